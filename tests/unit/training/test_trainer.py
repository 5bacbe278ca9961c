import json

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training import Trainer, TrainerCallback, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged


class Plain(nn.Module):
    """Any torch module that returns its loss first."""

    def __init__(self):
        super().__init__()
        self.embed = nn.EmbeddingBag(11, 6)
        self.head = nn.Linear(6, 3)

    def forward(self, input_ids, labels=None):
        logits = self.head(self.embed(input_ids))
        return (logits,) if labels is None else (F.cross_entropy(logits, labels), logits)


def fixed(count=20, seed=0):
    """Texts of one length, for models that know no padding."""
    return Dataset.from_list([{**row, "input_ids": (row["input_ids"] * 4)[:4]} for row in examples(count, seed=seed)])


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


def accuracy(prediction):
    logits, labels = prediction
    return {"accuracy": (logits.argmax(-1) == labels).mean()}


class MeanLoss(Trainer):
    """An override of before `num_items_in_batch`: the mean of its own batch."""

    def compute_loss(self, model, inputs, return_outputs=False):
        outputs = model(**inputs)
        loss = outputs[0] if isinstance(outputs, tuple) else outputs["loss"]
        return (loss, outputs) if return_outputs else loss


class SummedLoss(Trainer):
    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)


class OldStep(Trainer):
    def training_step(self, model, inputs):
        return super().training_step(model, inputs)


class TestExactness:
    cases = (
        ("texts", TinyClassifier, lambda: Dataset.from_list(examples(22))),
        ("tokens", TinyTagger, lambda: Dataset.from_list(tagged(22))),
        ("plain module", Plain, lambda: fixed(22)),
    )

    @pytest.mark.parametrize(("name", "model", "rows"), cases, ids=[case[0] for case in cases])
    @pytest.mark.parametrize("cls", [Trainer, MeanLoss, SummedLoss, OldStep])
    def test_cutting_a_step_into_micro_batches_changes_nothing(self, make_trainer, name, model, rows, cls):
        results = []
        for size, accumulation in ((8, 1), (2, 4), (3, 3)):
            set_seed(0)
            given = {
                "per_device_train_batch_size": size,
                "gradient_accumulation_steps": accumulation,
                "learning_rate": 0.01,
            }
            # (3, 3) makes steps of 9: only its first step is compared, with itself cut otherwise
            given |= {"max_steps": 3} if size * accumulation == 8 else {"max_steps": 1}
            trainer = make_trainer(given, cls, model=model(), train_dataset=rows())
            results.append((trainer.train().training_loss, weights(trainer)))
        assert results[0][0] == pytest.approx(results[1][0], abs=1e-6)
        torch.testing.assert_close(results[0][1], results[1][1], rtol=1e-5, atol=1e-6)
        set_seed(0)
        given = {"per_device_train_batch_size": 9, "learning_rate": 0.01, "max_steps": 1}
        whole = make_trainer(given, cls, model=model(), train_dataset=rows())
        assert whole.train().training_loss == pytest.approx(results[2][0], abs=1e-6)
        torch.testing.assert_close(weights(whole), results[2][1], rtol=1e-5, atol=1e-6)

    def test_the_last_step_of_an_epoch_may_have_fewer_micro_batches(self, make_trainer):
        rows = Dataset.from_list(examples(11))
        given = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 4}
        trainer = make_trainer(given, train_dataset=rows)
        assert trainer.train().global_step == 2
        assert trainer.state.epoch == 1

    @pytest.mark.parametrize("cls", [Trainer, MeanLoss])
    @pytest.mark.parametrize(("model", "rows"), [(TinyClassifier, examples), (TinyTagger, tagged)])
    def test_the_evaluation_loss_does_not_depend_on_the_batch_size(self, make_trainer, cls, model, rows):
        set_seed(0)
        net, data = model(), Dataset.from_list(rows(19))
        losses = [
            make_trainer({"per_device_eval_batch_size": size}, cls, model=net).evaluate(data)["eval_loss"]
            for size in (1, 4, 19)
        ]
        assert losses == pytest.approx([losses[0]] * 3, abs=1e-6)
        total, count = 0.0, 0
        for row in rows(19):
            label = row.get("labels", row.get("label"))
            inputs = {"input_ids": torch.tensor([row["input_ids"]]), "labels": torch.tensor([label])}
            targets = net.count_targets(inputs)
            total, count = total + (net(**inputs)["loss"].item() * targets if targets else 0), count + targets
        assert losses[0] == pytest.approx(total / count, abs=1e-6)

    def test_a_batch_without_a_single_target_counts_nothing(self, make_trainer):
        rows = [{"input_ids": [2, 3], "labels": [-100, -100]}, {"input_ids": [4, 6], "labels": [1, 0]}]
        set_seed(0)
        trainer = make_trainer(
            {"per_device_eval_batch_size": 1, "per_device_train_batch_size": 1},
            model=TinyTagger(),
            train_dataset=Dataset.from_list(rows),
        )
        alone = trainer.evaluate(Dataset.from_list(rows[1:]))["eval_loss"]
        assert trainer.evaluate(Dataset.from_list(rows))["eval_loss"] == pytest.approx(alone)
        assert np.isfinite(trainer.train().training_loss)


class TestTraining:
    def test_it_learns(self, make_trainer):
        rows = Dataset.from_list(examples(200))
        given = {"num_train_epochs": 6, "learning_rate": 0.05, "logging_steps": 10}
        trainer = make_trainer(given, train_dataset=rows, compute_metrics=accuracy)
        before = trainer.evaluate(rows)
        result = trainer.train()
        after = trainer.evaluate(rows)
        assert (result.global_step, result.metrics["epoch"]) == (150, 6.0)
        assert after["eval_loss"] < before["eval_loss"] - 0.2
        assert after["eval_accuracy"] > before["eval_accuracy"]
        losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
        assert len(losses) == 15
        assert losses[-1] < losses[0]

    def test_the_same_seed_gives_the_same_weights_and_another_order_others(self, make_trainer):
        def run(**given):
            set_seed(3)
            trainer = make_trainer({"learning_rate": 0.01, **given}, model=TinyClassifier())
            trainer.train()
            return weights(trainer)

        assert torch.equal(run(), run())
        assert not torch.equal(run(), run(data_seed=7))
        assert torch.equal(run(data_seed=7), run(data_seed=7))

    def test_model_init_makes_the_model_anew_for_every_training(self, make_trainer):
        trainer = make_trainer({"learning_rate": 0.01}, model_init=TinyClassifier)
        trainer.train()
        first = weights(trainer)
        trainer.train()
        assert torch.equal(first, weights(trainer))
        with pytest.raises(InputError, match="either a model or model_init"):
            make_trainer(model=TinyClassifier(), model_init=TinyClassifier)

    def test_max_steps_decides_over_epochs(self, make_trainer):
        trainer = make_trainer({"max_steps": 7, "num_train_epochs": 1})
        assert trainer.train().global_step == 7
        assert trainer.state.epoch == pytest.approx(7 / 3)

    def test_epochs_may_be_fractions(self, make_trainer):
        assert make_trainer({"num_train_epochs": 1.5, "per_device_train_batch_size": 5}).train().global_step == 6

    def test_given_optimizers_are_used(self, make_trainer):
        model = TinyClassifier()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.ConstantLR(optimizer, factor=1.0)
        trainer = make_trainer({"logging_steps": 1}, model=model, optimizers=(optimizer, schedule))
        trainer.train()
        assert trainer.state.log_history[0]["learning_rate"] == 0.5
        assert trainer.optimizer is optimizer

    def test_half_precision_without_mixed_precision_is_said(self, make_trainer):
        with pytest.warns(UserWarning, match=r"training in bfloat16.*dtype='float32'"):
            make_trainer({"optim": "sgd", "max_grad_norm": 0}, model=TinyClassifier().bfloat16()).train()

    def test_an_iterable_dataset_needs_max_steps(self, make_trainer):
        class Stream(torch.utils.data.IterableDataset):
            def __iter__(self):
                return iter(fixed(20).remove_columns("text"))

        assert make_trainer({"max_steps": 5}, train_dataset=Stream()).train().global_step == 5
        with pytest.raises(InputError, match="max_steps"):
            make_trainer(train_dataset=Stream()).train()


class TestEvaluating:
    def test_metrics_have_the_familiar_names(self, make_trainer):
        trainer = make_trainer(compute_metrics=accuracy)
        metrics = trainer.evaluate(Dataset.from_list(examples(10)))
        assert list(metrics) == [
            "eval_loss", "eval_accuracy", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second", "epoch",
        ]  # fmt: skip
        assert isinstance(metrics["eval_accuracy"], float)
        assert trainer.state.log_history[-1]["eval_loss"] == metrics["eval_loss"]

    def test_several_datasets_are_told_apart(self, make_trainer):
        metrics = make_trainer().evaluate({"a": Dataset.from_list(examples(4)), "b": Dataset.from_list(examples(5))})
        assert {"eval_a_loss", "eval_b_loss"} <= set(metrics)

    def test_predictions_come_in_the_order_of_the_rows(self, make_trainer):
        rows = examples(11)
        trainer = make_trainer({"per_device_eval_batch_size": 4}, compute_metrics=accuracy)
        predictions, labels, metrics = trainer.predict(Dataset.from_list(rows))
        assert (predictions.shape, labels.tolist()) == ((11, 3), [row["label"] for row in rows])
        assert set(metrics) > {"test_loss", "test_accuracy"}
        alone = trainer.predict(Dataset.from_list(rows[9:10])).predictions[0]
        np.testing.assert_allclose(predictions[9], alone, atol=1e-6)

    def test_rows_without_labels_can_be_predicted(self, make_trainer):
        rows = Dataset.from_list(examples(5)).remove_columns("label")
        result = make_trainer().predict(rows)
        assert (result.predictions.shape, result.label_ids) == ((5, 3), None)
        assert "test_loss" not in result.metrics

    def test_predictions_per_token_are_filled_to_the_longest(self, make_trainer):
        rows = tagged(9)
        trainer = make_trainer({"per_device_eval_batch_size": 2}, model=TinyTagger())
        predictions, labels, _ = trainer.predict(Dataset.from_list(rows))
        longest = max(len(row["input_ids"]) for row in rows)
        assert (predictions.shape, labels.shape) == ((9, longest, 3), (9, longest))
        for row, given in zip(labels.tolist(), rows, strict=True):
            assert row == given["labels"] + [-100] * (longest - len(given["labels"]))

    def test_logits_can_be_reduced_batch_by_batch(self, make_trainer):
        seen = []
        trainer = make_trainer(
            preprocess_logits_for_metrics=lambda logits, labels: logits.argmax(-1),
            compute_metrics=lambda p: seen.append(p.predictions.shape) or {"right": float((p[0] == p[1]).mean())},
        )
        trainer.evaluate(Dataset.from_list(examples(10)))
        assert seen == [(10,)]

    def test_without_metrics_no_prediction_is_kept(self, make_trainer, monkeypatch):
        from madang.training import prediction

        monkeypatch.setattr(prediction.Gathered, "add", lambda self, tensors: pytest.fail("kept"))
        assert "eval_loss" in make_trainer().evaluate(Dataset.from_list(examples(5)))

    def test_a_plain_module_is_evaluated_too(self, make_trainer):
        trainer = make_trainer(model=Plain(), compute_metrics=accuracy)
        assert trainer.evaluate(fixed(7))["eval_accuracy"] >= 0

    def test_evaluation_needs_a_dataset(self, make_trainer):
        with pytest.raises(InputError, match="eval_dataset="):
            make_trainer().evaluate()

    def test_a_model_that_returns_no_loss_is_named(self, make_trainer):
        class NoLoss(TinyClassifier):
            def forward(self, input_ids, attention_mask=None, labels=None):
                return {"logits": self.head(self.embed(input_ids).sum(1))}

            count_targets = None

        with pytest.raises(InputError, match="NoLoss returned no loss"):
            make_trainer(model=NoLoss()).train()


class TestSaving:
    def test_checkpoints_are_written_and_the_oldest_removed(self, make_trainer, tmp_path):
        given = {"save_strategy": "steps", "save_steps": 2, "save_total_limit": 2, "max_steps": 7, "logging_steps": 2}
        make_trainer(given).train()
        out = tmp_path / "out"
        assert sorted(path.name for path in out.iterdir()) == ["checkpoint-6", "checkpoint-7"]
        assert {path.name for path in (out / "checkpoint-6").iterdir()} == {
            "weights.pt", "state.safetensors", "tokenizer.json", "trainer_state.json", "training_args.json",
            "optimizer.pt", "scheduler.pt", "rng_state.pth", "position.pt",
        }  # fmt: skip
        state = json.loads((out / "checkpoint-6" / "trainer_state.json").read_text(encoding="utf-8"))
        assert (state["global_step"], state["max_steps"], len(state["log_history"])) == (6, 7, 3)

    def test_a_failed_save_leaves_no_checkpoint(self, make_trainer, tmp_path, monkeypatch):
        trainer = make_trainer({"save_strategy": "epoch"})
        monkeypatch.setattr(trainer.processing_class, "save_pretrained", lambda folder: 1 / 0, raising=False)
        with pytest.raises(ZeroDivisionError):
            trainer.train()
        assert not list((tmp_path / "out").glob("checkpoint-*"))

    def test_save_model_writes_model_and_tokenizer(self, make_trainer, tmp_path):
        make_trainer().save_model(tmp_path / "saved")
        assert {path.name for path in (tmp_path / "saved").iterdir()} == {"weights.pt", "tokenizer.json"}

    def test_a_plain_module_is_saved_as_safetensors(self, make_trainer):
        from safetensors.torch import load_file

        trainer = make_trainer(model=Plain(), tokenizer=None)
        trainer.save_model()
        saved = load_file(f"{trainer.args.output_dir}/model.safetensors")
        assert torch.equal(saved["head.weight"], trainer.model.head.weight)

    @pytest.mark.parametrize(
        ("given", "first", "repository", "message"),
        [
            ({}, "kim/ynat", "kim/ynat", "End of training"),
            ({}, "first try", "out", "first try"),
            ({"hub_model_id": "kim/other"}, None, "kim/other", "End of training"),
        ],
    )
    def test_push_to_hub_takes_a_repository_first_and_says_where(
        self, make_trainer, monkeypatch, capsys, tmp_path, given, first, repository, message
    ):
        pushed = {}

        def push(save, repo_id, *, commit_message, **options):
            save(tmp_path / "pushed")
            pushed.update(repo_id=repo_id, commit_message=commit_message)
            return "https://hub/commit/1"

        monkeypatch.setattr("madang.client.push_saved", push)
        assert make_trainer(given).push_to_hub(first) == "https://hub/commit/1"
        assert pushed == {"repo_id": repository, "commit_message": message}
        assert repository in capsys.readouterr().out
        assert (tmp_path / "pushed" / "tokenizer.json").exists()


def test_a_callback_can_stop_training(make_trainer):
    class Stop(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            control.should_training_stop = state.global_step == 2

    assert make_trainer({"max_steps": 9}, callbacks=[Stop]).train().global_step == 2


def test_both_names_of_the_tokenizer_work(make_trainer):
    tokenizer = TinyTokenizer()
    assert make_trainer(tokenizer=tokenizer).processing_class is tokenizer
    trainer = make_trainer(tokenizer=None, processing_class=tokenizer)
    assert trainer.tokenizer is tokenizer


def test_a_metric_that_decides_nothing_asks_for_no_evaluation(make_trainer):
    assert make_trainer({"metric_for_best_model": "accuracy"}).train().global_step == 3
    with pytest.raises(InputError, match="set eval_strategy"):
        make_trainer({"lr_scheduler_type": "reduce_lr_on_plateau"}).train()
