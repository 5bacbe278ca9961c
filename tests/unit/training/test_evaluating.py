import random
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from madang.datasets import Dataset, DatasetDict
from madang.errors import InputError, UnknownNameError
from madang.metrics import ClassScores
from madang.testing import tiny_model
from madang.training import EvalLoopOutput, EvalPrediction, Trainer, TrainerCallback, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged

drawn = random.Random(3)


def accuracy(prediction):
    logits, labels = prediction
    return {"accuracy": (logits.argmax(-1) == labels).mean()}


def texts(count, shortest=2, longest=9, vocabulary=60):
    return [
        {"input_ids": [drawn.randrange(4, vocabulary) for _ in range(drawn.randrange(shortest, longest))]}
        for _ in range(count)
    ]


def with_labels(make, count=11):
    return [{**row, **make(row["input_ids"])} for row in texts(count)]


def padded(rows):
    """Rows of texts, each column filled to its longest."""
    batch = {}
    for name in rows[0]:
        values = [torch.tensor(row[name]) for row in rows]
        fill = -100 if name == "labels" else 0
        batch[name] = nn.utils.rnn.pad_sequence(values, True, fill) if values[0].ndim else torch.stack(values)
    lengths = torch.tensor([len(row["input_ids"]) for row in rows])
    batch["attention_mask"] = (torch.arange(int(lengths.max())) < lengths[:, None]).long()
    return batch


class MeanOfMean(nn.Module):
    """A module of one's own: returns the mean over its batch first."""

    def __init__(self):
        super().__init__()
        self.embed = nn.EmbeddingBag(61, 6, padding_idx=0)
        self.head = nn.Linear(6, 4)

    def forward(self, input_ids, labels=None):
        logits = self.head(self.embed(input_ids))
        return (logits,) if labels is None else (F.cross_entropy(logits, labels), logits)


def collated(rows):
    return {name: torch.tensor([row[name] for row in rows]) for name in rows[0]}


def span(ids):
    return {"start_positions": drawn.randrange(len(ids)), "end_positions": drawn.randrange(len(ids) + 3)}


HEADS = {
    "classes": (lambda: tiny_model("bert", "sequence-classification"), lambda ids: {"labels": ids[0] % 4}),
    "several classes at once": (
        lambda: tiny_model("bert", "sequence-classification", problem_type="multi_label_classification"),
        lambda ids: {"labels": [float(ids[0] % 2), 1.0, 0.0, 1.0]},
    ),
    "a number": (
        lambda: tiny_model("bert", "sequence-classification", num_labels=1),
        lambda ids: {"labels": ids[0] / 7},
    ),
    "tokens": (
        lambda: tiny_model("bert", "token-classification"),
        lambda ids: {"labels": [-100 if each % 5 == 0 else each % 4 for each in ids]},
    ),
    "masked": (
        lambda: tiny_model("bert", "masked-language"),
        lambda ids: {"labels": [each if each % 3 == 0 else -100 for each in ids]},
    ),
    "a span": (lambda: tiny_model("bert", "question-answering"), span),
    "the next token, encoder family": (lambda: tiny_model("gpt2", "causal-language"), lambda ids: {"labels": ids}),
    "the next token, llama": (lambda: tiny_model("llama", "causal-language"), lambda ids: {"labels": ids}),
    "an answer": (
        lambda: tiny_model("t5", "sequence-to-sequence-language"),
        lambda ids: {"labels": ids[: 1 + ids[0] % len(ids)]},
    ),
    "a module of one's own": (MeanOfMean, lambda ids: {"labels": ids[0] % 4}),
}


class TestExactLoss:
    @pytest.mark.parametrize("kind", HEADS)
    def test_p2_the_evaluation_loss_is_the_mean_over_targets_whatever_the_batch_size(self, make_trainer, kind):
        make_model, make_labels = HEADS[kind]
        model, rows = make_model(), with_labels(make_labels)
        given = {"remove_unused_columns": True}
        losses = [
            make_trainer({**given, "per_device_eval_batch_size": size}, model=model, data_collator=padded).evaluate(
                rows
            )["eval_loss"]
            for size in (1, 4, 11)
        ]
        assert losses == pytest.approx([losses[0]] * 3, rel=1e-6)
        total = targets = 0.0
        count = getattr(model, "count_targets", lambda batch: 1)
        for row in rows:
            batch = padded([row])
            if isinstance(model, MeanOfMean):
                batch.pop("attention_mask")
            number = count(batch)
            if number:
                outputs = model.eval()(**batch)
                total, targets = total + outputs[0].item() * number, targets + number
        assert losses[0] == pytest.approx(total / targets, rel=1e-6)

    def test_a_loss_function_of_ones_own_is_averaged_over_targets_too(self, make_trainer):
        def summed(outputs, labels, num_items_in_batch):
            loss = F.cross_entropy(outputs["logits"].flatten(0, 1), labels.flatten(), reduction="sum")
            return loss / num_items_in_batch

        model, rows = TinyTagger(), Dataset.from_list(tagged(13))
        losses = [
            make_trainer({"per_device_eval_batch_size": size}, model=model, compute_loss_func=summed).evaluate(rows)
            for size in (1, 5)
        ]
        plain = make_trainer(model=model).evaluate(rows)
        assert [found["eval_loss"] for found in losses] == pytest.approx([plain["eval_loss"]] * 2, rel=1e-6)

    def test_sums_are_of_double_precision(self, make_trainer):
        class Counts(Trainer):
            """Batch after batch a loss that float32 could not add to the sum before it."""

            def prediction_step(self, model, inputs, prediction_loss_only, ignore_keys=None):
                first = inputs["input_ids"][0, 0] == 0
                return torch.tensor(2.0**25 if first else 1.0), None, None

        rows = [{"input_ids": [0], "labels": 0}] + [{"input_ids": [1], "labels": 0}] * 9
        found = make_trainer({"per_device_eval_batch_size": 1}, Counts).evaluate(Dataset.from_list(rows))
        assert found["eval_loss"] == (2.0**25 + 9) / 10

    def test_losses_are_read_once_and_not_batch_by_batch(self, make_trainer, monkeypatch):
        """On a GPU each reading would make the program wait for all work under way."""
        read: list[str] = []
        for name in ("__float__", "item", "tolist", "cpu", "numpy"):
            real = getattr(torch.Tensor, name)
            monkeypatch.setattr(
                torch.Tensor, name, lambda self, *a, real=real, name=name, **k: read.append(name) or real(self, *a, **k)
            )
        trainer = make_trainer({"per_device_eval_batch_size": 2}, model=MeanOfMean(), data_collator=collated)
        counts = []
        for count in (4, 40):
            read.clear()
            trainer.evaluate([{"input_ids": [1, 2], "labels": 1}] * count)
            counts.append(sorted(read))
        assert counts[0] == counts[1]
        assert counts[0].count("__float__") == 1

    def test_a_model_that_learns_without_labels_has_a_loss(self, make_trainer):
        class Rebuilds(nn.Module):
            def __init__(self):
                super().__init__()
                self.scale = nn.Parameter(torch.ones(()))

            def forward(self, values):
                return {"loss": (values - self.scale * 2).square().mean(), "rebuilt": values * self.scale}

        rows = [{"values": [1.0, 3.0]}, {"values": [2.0, 2.0]}, {"values": [2.0, 5.0]}]
        trainer = make_trainer({"per_device_eval_batch_size": 2}, model=Rebuilds(), tokenizer=None)
        assert trainer.evaluate(rows)["eval_loss"] == pytest.approx(11 / 6)


class TestDatasets:
    def test_several_datasets_are_evaluated_under_their_names(self, make_trainer):
        rows = Dataset.from_list(examples(9))
        for several in ({"one": rows, "two": rows}, DatasetDict({"one": rows, "two": rows})):
            trainer = make_trainer(eval_dataset=several, compute_metrics=accuracy)
            found = trainer.evaluate()
            assert found["eval_one_loss"] == found["eval_two_loss"]
            assert {"eval_one_accuracy", "eval_two_accuracy"} <= set(found)
            assert trainer.evaluate(several).keys() == found.keys()

    def test_a_text_names_one_of_them(self, make_trainer):
        trainer = make_trainer(
            eval_dataset={"one": Dataset.from_list(examples(9)), "two": Dataset.from_list(examples(4))}
        )
        assert trainer.evaluate("two")["eval_loss"] == trainer.evaluate()["eval_two_loss"]
        with pytest.raises(UnknownNameError, match=r"'twoo'.*Did you mean 'two'"):
            trainer.evaluate("twoo")
        with pytest.raises(InputError, match="no dict"):
            make_trainer(eval_dataset=Dataset.from_list(examples(9))).evaluate("two")

    @pytest.mark.parametrize("empty", [Dataset.from_list(examples(2)).select([]), []], ids=["table", "list"])
    def test_an_empty_dataset_is_an_error(self, make_trainer, empty):
        for call in ("evaluate", "predict"):
            with pytest.raises(InputError, match="empty"):
                getattr(make_trainer(), call)(empty)

    def test_no_training_data_are_needed(self, make_trainer):
        assert "eval_loss" in make_trainer(train_dataset=None).evaluate(Dataset.from_list(examples(5)))

    @pytest.mark.parametrize("workers", [0, 2])
    def test_streams_are_evaluated_in_order(self, make_trainer, workers):
        rows = Dataset.from_list(examples(9))
        trainer = make_trainer({"per_device_eval_batch_size": 4})
        table = trainer.predict(rows)
        stream = trainer.predict(rows.to_iterable_dataset())
        np.testing.assert_allclose(stream.predictions, table.predictions, atol=1e-6)
        assert stream.metrics["test_loss"] == pytest.approx(table.metrics["test_loss"])

    def test_labels_that_the_model_cannot_have_are_named(self, make_trainer):
        rows = Dataset.from_list([*examples(5), {"text": "", "input_ids": [2], "label": 3}])
        with pytest.raises(InputError, match="column 'label' holds 3, but TinyClassifier has 3 classes"):
            make_trainer().evaluate(rows)

    def test_metrics_without_a_label_column_are_an_error_that_names_what_is_there(self, make_trainer):
        rows = Dataset.from_list(examples(5)).remove_columns("label")
        trainer = make_trainer(compute_metrics=accuracy)
        with pytest.raises(InputError, match=r"no 'labels': they hold \['attention_mask', 'input_ids'\]"):
            trainer.evaluate(rows)
        assert trainer.predict(rows).label_ids is None  # nobody knows the answers yet: that is what predict is for

    def test_speed_counts_rows_and_batches(self, make_trainer, monkeypatch):
        clock = iter([10.0, 12.0])
        monkeypatch.setattr("time.perf_counter", lambda: next(clock, 12.0))
        found = make_trainer({"per_device_eval_batch_size": 4}).evaluate(Dataset.from_list(examples(10)))
        assert found["eval_runtime"] == 2
        assert (found["eval_samples_per_second"], found["eval_steps_per_second"]) == (5, 1.5)


class TestHooks:
    def test_evaluate_and_predict_go_through_the_evaluation_loop(self, make_trainer):
        called = []

        class Own(Trainer):
            def evaluation_loop(
                self, dataloader, description, prediction_loss_only=None, ignore_keys=None, metric_key_prefix="eval"
            ):
                output = super().evaluation_loop(
                    dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix
                )
                called.append((description, prediction_loss_only, ignore_keys, metric_key_prefix))
                return output._replace(metrics={**output.metrics, f"{metric_key_prefix}_own": 1.0})

        trainer, rows = make_trainer(cls=Own), Dataset.from_list(examples(5))
        assert trainer.evaluate(rows, ["x"])["eval_own"] == 1
        assert trainer.predict(rows).metrics["test_own"] == 1
        assert called == [("Evaluation", True, ["x"], "eval"), ("Prediction", None, None, "test")]

    def test_the_evaluation_loop_can_be_used_by_itself(self, make_trainer):
        """As scripts for question answering do: without compute_metrics, to post-process all predictions."""
        trainer, rows = make_trainer({"per_device_eval_batch_size": 4}), Dataset.from_list(examples(10))
        output = trainer.evaluation_loop(trainer.get_eval_dataloader(rows), "Evaluation")
        assert isinstance(output, EvalLoopOutput)
        predictions, labels, metrics, count = output
        assert (predictions.shape, labels.shape, set(metrics), count) == ((10, 3), (10,), {"eval_loss"}, 10)

    def test_a_loop_of_another_loader_is_possible(self, make_trainer):
        rows = torch.utils.data.DataLoader(
            [{"input_ids": torch.tensor([2, 3]), "labels": torch.tensor(1)}] * 5, batch_size=2
        )

        class Own(Trainer):
            def get_eval_dataloader(self, eval_dataset=None):
                return rows

        assert "eval_accuracy" in make_trainer(cls=Own, compute_metrics=accuracy).evaluate()

    def test_callbacks_see_every_batch_and_the_metrics(self, make_trainer):
        seen = []

        class Watches(TrainerCallback):
            def on_prediction_step(self, args, state, control, eval_dataloader=None, **kwargs):
                seen.append(len(eval_dataloader))

            def on_evaluate(self, args, state, control, metrics=None, **kwargs):
                seen.append(metrics["epoch"])

        trainer = make_trainer({"per_device_eval_batch_size": 4}, callbacks=[Watches])
        trainer.evaluate(Dataset.from_list(examples(10)))
        assert seen == [3, 3, 3, 0.0]


class TestHalfPrecision:
    @pytest.mark.parametrize(
        ("argument", "dtype"), [("bf16_full_eval", torch.bfloat16), ("fp16_full_eval", torch.float16)]
    )
    def test_weights_are_cast_and_come_back_to_the_bit(self, make_trainer, argument, dtype):
        seen = []

        class Looks(Trainer):
            def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
                seen.append(model.dtype)
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

        model = tiny_model("gpt2", "causal-language")
        rows = with_labels(lambda ids: {"labels": ids})
        before = {name: (parameter, parameter.clone()) for name, parameter in model.named_parameters()}
        full = make_trainer(model=model, data_collator=padded).evaluate(rows)["eval_loss"]
        half = make_trainer({argument: True}, Looks, model=model, data_collator=padded).evaluate(rows)["eval_loss"]
        assert set(seen) == {dtype}
        assert half != full
        assert half == pytest.approx(full, rel=0.02)
        for name, parameter in model.named_parameters():
            assert parameter is before[name][0]
            assert torch.equal(parameter, before[name][1])
        assert model.head.output.weight is model.get_input_embeddings().weight

    def test_images_and_recurrent_layers_follow_the_weights(self, make_trainer):
        class Reads(nn.Module):
            def __init__(self):
                super().__init__()
                self.reads, self.head = nn.LSTM(3, 4, batch_first=True), nn.Linear(4, 2)
                self.norm = nn.BatchNorm1d(4)

            def forward(self, values, labels=None):
                logits = self.head(self.norm(self.reads(values)[0][:, -1]))
                return F.cross_entropy(logits.float(), labels), logits

        rows = [{"values": [[0.5, 1, 2], [1, 2, 3]], "labels": 1}, {"values": [[1.5, 1, 2], [1, 0, 3]], "labels": 0}]
        model = Reads()
        found = make_trainer({"bf16_full_eval": True}, model=model, tokenizer=None).evaluate(rows)
        assert np.isfinite(found["eval_loss"])
        assert {tensor.dtype for tensor in model.state_dict().values() if tensor.is_floating_point()} == {torch.float32}
        assert np.isfinite(make_trainer(model=model, tokenizer=None).evaluate(rows)["eval_loss"])

    def test_an_evaluation_in_the_middle_does_not_disturb_training(self, make_trainer):
        def trained(**given):
            set_seed(0)
            arguments = {"learning_rate": 0.05, "eval_strategy": "steps", "eval_steps": 1, **given}
            trainer = make_trainer(arguments, model=TinyClassifier(), eval_dataset=Dataset.from_list(examples(5)))
            trainer.train()
            return torch.cat([parameter.flatten() for parameter in trainer.model.parameters()])

        assert torch.equal(trained(bf16_full_eval=True), trained(eval_strategy="no"))

    def test_an_error_leaves_the_weights_as_they_were(self, make_trainer):
        model = TinyClassifier()

        def fails(prediction):
            raise ZeroDivisionError

        def breaks(logits, labels):
            raise ZeroDivisionError

        for parts in (
            {"compute_metrics": fails},
            {"compute_metrics": accuracy, "preprocess_logits_for_metrics": breaks},
        ):
            with pytest.raises(ZeroDivisionError):
                make_trainer({"bf16_full_eval": True}, model=model, **parts).evaluate(Dataset.from_list(examples(5)))
            assert model.head.weight.dtype == torch.float32


class TestBeforeTraining:
    best = {"metric_for_best_model": "accuracy", "load_best_model_at_end": True, "eval_strategy": "epoch"}  # noqa: RUF012
    best |= {"save_strategy": "epoch"}

    def test_p19_a_metric_that_evaluating_does_not_give_fails_at_the_start_naming_those_there_are(self, make_trainer):
        steps = []
        rows = Dataset.from_list(examples(30))
        trainer = make_trainer(
            {**self.best, "metric_for_best_model": "f1"}, eval_dataset=rows, compute_metrics=accuracy
        )
        trainer.training_step = lambda *a, **k: steps.append(1)
        with pytest.raises(UnknownNameError, match=r"'f1' is no number.*eval_accuracy, eval_loss"):
            trainer.train()
        assert not steps

    def test_p19_the_best_model_works_with_any_dataset_of_several(self, make_trainer):
        rows = {"one": Dataset.from_list(examples(9)), "two": Dataset.from_list(examples(7))}
        given = {**self.best, "metric_for_best_model": "two_accuracy"}
        trainer = make_trainer(given, eval_dataset=rows, compute_metrics=accuracy)
        trainer.train()
        assert trainer.state.best_metric is not None

    def test_p19_an_evaluate_of_ones_own_is_not_foretold(self, make_trainer):
        class Own(Trainer):
            def evaluate(self, *positional, **named):
                return {**super().evaluate(*positional, **named), "eval_own": 0.5}

        given = {**self.best, "metric_for_best_model": "own"}
        trainer = make_trainer(given, Own, eval_dataset=Dataset.from_list(examples(9)))
        trainer.train()
        assert trainer.state.best_metric == 0.5

    def test_trying_the_first_batch_is_quick_and_leaves_no_trace(self, make_trainer, capsys):
        seen, asked = [], []

        class Watches(TrainerCallback):
            def on_prediction_step(self, args, state, control, **kwargs):
                seen.append("step")

            def on_log(self, args, state, control, **kwargs):
                seen.append("log")

        def drawing(prediction):
            asked.append(len(prediction.predictions))
            return {"accuracy": np.random.random() + random.random() + torch.rand(()).item()}

        rows = Dataset.from_list(examples(30))
        trainer = make_trainer(
            {"per_device_eval_batch_size": 4}, eval_dataset=rows, compute_metrics=drawing, callbacks=[Watches]
        )
        trainer.model.train()
        trainer.model.norm.eval()
        set_seed(5)
        expected = (np.random.random(), random.random(), torch.rand(()).item())
        set_seed(5)
        names = trainer.names_of_metrics()
        assert (np.random.random(), random.random(), torch.rand(()).item()) == expected
        assert {"eval_loss", "eval_accuracy", "eval_runtime"} <= names
        assert asked == [4]
        assert not seen
        assert not trainer.state.log_history
        assert capsys.readouterr().out == ""
        assert (trainer.model.training, trainer.model.head.training, trainer.model.norm.training) == (True, True, False)

    def test_metrics_that_fail_do_so_before_training_with_a_line_that_says_when(self, make_trainer):
        def broken(prediction):
            return {"accuracy": prediction.no_such_thing}

        trainer = make_trainer(self.best, eval_dataset=Dataset.from_list(examples(9)), compute_metrics=broken)
        with pytest.raises(AttributeError, match="no_such_thing") as caught:
            trainer.train()
        assert trainer.state.global_step == 0
        assert any(entry.name == "broken" for entry in caught.traceback)
        (note,) = caught.value.__notes__
        assert "before training: the first batch of the evaluation data was tried" in note

    def test_a_metric_that_adds_up_begins_anew_after_the_trial(self, make_trainer):
        given = {**self.best, "per_device_eval_batch_size": 4}
        rows, scores = Dataset.from_list(examples(10)), ClassScores("accuracy")
        trainer = make_trainer(given, eval_dataset=rows, compute_metrics=scores)
        trainer.train()
        whole = make_trainer(model=trainer.model, compute_metrics=accuracy).evaluate(rows)
        best = max(entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry)
        assert best == pytest.approx(whole["eval_accuracy"])


class TestP17LabelsAreWhatTheLossNeeds:
    def test_p17_whole_numbers_are_fine_for_regression_and_for_several_classes(self, make_trainer):
        rows = [{"input_ids": [5, 6], "labels": 2}, {"input_ids": [7, 8, 9], "labels": 0}]
        model = tiny_model("bert", "sequence-classification", num_labels=1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            number = make_trainer(model=model).evaluate(Dataset.from_list(rows))
            rows = [{**row, "labels": [1, 0, 0, 1]} for row in rows]
            model = tiny_model("bert", "sequence-classification", problem_type="multi_label_classification")
            several = make_trainer(model=model).evaluate(Dataset.from_list(rows))
        assert np.isfinite([number["eval_loss"], several["eval_loss"]]).all()

    @pytest.mark.parametrize(
        ("labels", "expected"),
        [(["ja", "nein"], "holds texts such as 'ja'"), ([0.5, 1.5], "float values.*whole number from 0 to 3")],
    )
    def test_p17_a_wrong_type_fails_before_anything_is_computed_with_column_and_expected_type(
        self, make_trainer, labels, expected
    ):
        rows = Dataset.from_list([{"input_ids": [5, 6], "label": label} for label in labels])
        model = tiny_model("bert", "sequence-classification", problem_type="single_label_classification")
        model.forward = None
        with pytest.raises(InputError, match=f"column 'label' {'holds ' if expected[0] != 'h' else ''}{expected}"):
            make_trainer(model=model).evaluate(rows)

    def test_p17_the_first_batch_decides_nothing_for_the_next(self, make_trainer):
        model = tiny_model("bert", "sequence-classification")
        make_trainer(model=model).evaluate(Dataset.from_list([{"input_ids": [5], "labels": [1.0, 0.0, 0.0, 1.0]}]))
        assert model.config.problem_type is None
        found = make_trainer(model=model).evaluate(Dataset.from_list([{"input_ids": [5], "labels": 1}]))
        assert np.isfinite(found["eval_loss"])


def test_what_compute_metrics_gets_unpacks_to_what_was_asked_for():
    assert tuple(EvalPrediction(1, 2)) == (1, 2)
    assert tuple(EvalPrediction(1, 2, inputs=3)) == (1, 2, 3)
    assert tuple(EvalPrediction(1, 2, losses=4)) == (1, 2, 4)
    prediction = EvalPrediction(predictions=1, label_ids=2, inputs=3, losses=4)
    assert (prediction[0], prediction[3], prediction[1:]) == (1, 4, (2, 3, 4))
    with pytest.raises(IndexError):
        prediction[4]


def test_texts_of_any_length_are_padded_by_the_tokenizer(make_trainer):
    trainer = make_trainer(tokenizer=TinyTokenizer("left"), compute_metrics=accuracy)
    assert 0 <= trainer.evaluate(Dataset.from_list(examples(9)))["eval_accuracy"] <= 1
