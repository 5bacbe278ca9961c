"""What people get wrong: each is an error that says what was found, what was expected, and what to do."""

import pytest
import torch
from torch.utils.data import DataLoader

from madang.datasets import Dataset, DatasetDict
from madang.errors import ConfigError, InputError, TrainingError, UnknownNameError, WrongTypeError
from madang.testing import tiny_model
from madang.training import Trainer, TrainerCallback, default_data_collator
from tests.unit.training.effects import bert
from tests.unit.training.tiny import TinyClassifier, examples

ROWS = Dataset.from_list(examples())


def weights(trainer):
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


class TestParts:
    @pytest.mark.parametrize(
        ("parts", "message"),
        [
            ({"model": TinyClassifier}, r"the class TinyClassifier, not a model.*TinyClassifier.from_pretrained"),
            ({"model": "bert-base"}, r"model is 'bert-base' \(str\); expected a torch module.*from_pretrained"),
            ({"model": 5}, r"model is 5 \(int\); expected a torch module"),
            ({"data_collator": "padding"}, r"data_collator is 'padding' \(str\); expected a function"),
            ({"compute_metrics": {"accuracy": 1}}, r"compute_metrics is .* expected a function"),
            ({"callbacks": TrainerCallback()}, r"expected a list: callbacks=\[…\]"),
            ({"callbacks": [5]}, "5 is no callback"),
            ({"train_datset": ROWS}, "unknown argument of Trainer 'train_datset'. Did you mean 'train_dataset'"),
        ],
    )
    def test_what_cannot_be_one_is_refused(self, make_trainer, parts, message):
        with pytest.raises((WrongTypeError, UnknownNameError, InputError), match=message):
            make_trainer(**parts)

    def test_arguments_are_training_arguments(self):
        with pytest.raises(WrongTypeError, match=r"args is 'out' \(str\); expected TrainingArguments"):
            Trainer(TinyClassifier(), "out")

    @pytest.mark.parametrize(
        ("dataset", "message"),
        [
            (None, "training needs train_dataset"),
            ("klue", r"train_dataset is the text 'klue'.*load_dataset"),
            (DatasetDict(train=ROWS, test=ROWS), r"a DatasetDict with train, test; expected one .* dataset\['train'\]"),
            ({"train": ROWS}, r"a dict with train.*dataset\['train'\]"),
            (5, r"train_dataset is 5 \(int\); expected a dataset, or a list of dicts"),
            (DataLoader([1]), "a DataLoader; expected the dataset itself.*get_train_dataloader"),
            (ROWS.select([]), "train_dataset is empty"),
            ([], "train_dataset is empty"),
        ],
        ids=["none", "text", "splits", "dict", "number", "loader", "empty", "empty list"],
    )
    def test_what_is_no_dataset_is_refused(self, make_trainer, dataset, message):
        trainer = make_trainer()
        trainer.train_dataset = dataset
        with pytest.raises(InputError, match=message):
            trainer.train()

    def test_a_data_frame_is_told_how_to_become_a_dataset(self, make_trainer):
        frame = pytest.importorskip("pandas").DataFrame({"input_ids": [[2]], "label": [1]})
        with pytest.raises(WrongTypeError, match=r"Dataset.from_pandas\(…\)"):
            make_trainer(train_dataset=frame).train()

    def test_a_list_of_dicts_is_a_dataset(self, make_trainer):
        assert make_trainer(train_dataset=examples()).train().global_step == 3

    def test_evaluations_need_a_dataset_from_the_beginning(self, make_trainer):
        for given in ({"eval_strategy": "epoch"}, {"eval_on_start": True}):
            seen = []
            trainer = make_trainer(given)
            trainer.get_train_dataloader().collate_fn = seen.append
            with pytest.raises(InputError, match=r"asks for evaluations, and there is no eval_dataset"):
                trainer.train()
            assert trainer.state.global_step == 0

    def test_evaluations_of_ones_own_need_none(self, make_trainer):
        class Own(Trainer):
            def evaluate(self, *_given, **_more):
                return {"eval_loss": 1.0}

        assert make_trainer({"eval_strategy": "epoch"}, Own).train().global_step == 3

    def test_wrong_datasets_to_evaluate_are_refused(self, make_trainer):
        with pytest.raises(InputError, match="eval_dataset is 5"):
            make_trainer().evaluate(5)
        with pytest.raises(InputError, match="test_dataset is a dict with a"):
            make_trainer().predict({"a": ROWS})


class TestRows:
    def test_a_dataset_shorter_than_a_batch_that_drops_it_is_told(self, make_trainer):
        with pytest.raises(InputError, match="shorter than a batch with drop_last"):
            make_trainer({"dataloader_drop_last": True, "per_device_train_batch_size": 64}).train()

    def test_columns_that_the_model_does_not_take_are_listed_with_those_it_does(self, make_trainer):
        rows = Dataset.from_dict({"title": ["x"], "label": [1]})
        with pytest.raises(InputError, match=r"it has \['title', 'label'\], the model takes \['input_ids'.*Tokenize"):
            make_trainer(train_dataset=rows).train()

    def test_rows_of_different_lengths_need_a_tokenizer(self, make_trainer):
        with pytest.raises(
            InputError, match=r"'input_ids' has rows of different lengths.*Give the Trainer a tokenizer"
        ):
            make_trainer(tokenizer=None).train()

    def test_without_labels_there_is_no_loss(self, make_trainer):
        with pytest.raises(InputError, match=r"returned no loss for the inputs.*does the dataset have that column"):
            make_trainer(train_dataset=ROWS.remove_columns("label")).train()

    def test_a_row_that_is_no_dict_is_told(self, make_trainer):
        with pytest.raises(InputError, match="a row is of type int; expected a dict of columns"):
            make_trainer(train_dataset=[1, 2, 3], data_collator=default_data_collator).train()

    def test_a_collator_must_make_a_dict(self, make_trainer):
        with pytest.raises(WrongTypeError, match=r"data_collator made a Tensor; expected a dict .*\(At step 1.\)"):
            make_trainer(data_collator=lambda rows: torch.zeros(len(rows))).train()

    def test_metrics_must_be_a_dict(self, make_trainer):
        trainer = make_trainer(compute_metrics=lambda prediction: 0.5)
        with pytest.raises(WrongTypeError, match=r"compute_metrics returned 0.5 \(float\); expected a dict"):
            trainer.evaluate(ROWS)


class TestLabels:
    """Those of a table are looked at before training (see test_labels); those of a stream when they come."""

    @pytest.mark.parametrize("label", [7, -1])
    def test_one_out_of_range_in_a_stream_is_named_at_its_step(self, make_trainer, label):
        rows = [{"input_ids": [5, 6, 7], "label": 1} for _ in range(11)] + [{"input_ids": [5, 6], "label": label}]
        stream = Dataset.from_list(rows).to_iterable_dataset()
        trainer = make_trainer({"max_steps": 4, "per_device_train_batch_size": 4}, model=bert(), train_dataset=stream)
        with pytest.raises(
            (InputError, ConfigError), match=rf"label {label} does not exist: th.* 4 classes.*\(At step 3.\)"
        ):
            trainer.train()
        assert trainer.state.global_step == 2

    def test_one_out_of_range_among_those_of_tokens_is_named(self, make_trainer):
        rows = Dataset.from_dict({"input_ids": [[5, 6]], "labels": [[0, 9]]})
        with pytest.raises(InputError, match="label 9 does not exist: there are 4 classes"):
            make_trainer(model=tiny_model("bert", "token-classification"), train_dataset=rows).train()

    @pytest.mark.parametrize(
        ("labels", "message"),
        [
            ([0, 5], "column 'label' holds 5, but .* has 4 classes, 0 to 3"),
            ([0.5, 1.0], "column 'label' holds float values.*one whole number from 0 to 3"),
            (["사회", "경제"], r"column 'label' holds texts such as '사회'.*class_encode_column\('label'\)"),
        ],
    )
    def test_those_of_a_table_are_refused_before_anything_is_computed(self, make_trainer, labels, message):
        rows = Dataset.from_dict({"input_ids": [[5, 6], [7, 8]], "label": labels})
        model = bert()
        model.forward = lambda *_, **__: pytest.fail("computed")
        with pytest.raises(InputError, match=message):
            make_trainer(model=model, train_dataset=rows).train()


class Spoilt(Trainer):
    """Its loss is no number from step 3 on."""

    bad = float("nan")

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return loss * self.bad if self.state.global_step == 2 and not return_outputs else loss


class TestNotANumber:
    @pytest.mark.parametrize("bad", [float("nan"), float("inf")])
    def test_the_step_the_rows_and_the_checkpoint_before_are_named_and_the_weights_whole(
        self, make_trainer, tmp_path, bad
    ):
        given = {
            "max_steps": 3,
            "per_device_train_batch_size": 3,
            "gradient_accumulation_steps": 2,
            "learning_rate": 0.1,
        }
        good = make_trainer({**given, "max_steps": 2, "lr_scheduler_type": "constant"})
        good.train()
        cls = type("Bad", (Spoilt,), {"bad": bad})
        trainer = make_trainer(
            {**given, "lr_scheduler_type": "constant", "save_strategy": "steps", "save_steps": 1}, cls
        )
        with pytest.raises(TrainingError) as told:
            trainer.train()
        rows = [row for number in (4, 5) for row in trainer.train_batches.picks.pick(number).rows]
        assert f"became {bad} at step 3, batch 5 to 6 of epoch 1 (rows {', '.join(map(str, rows))} of" in str(
            told.value
        )
        assert f"{tmp_path / 'out' / 'checkpoint-2'} is the last checkpoint before it" in str(told.value)
        assert torch.equal(weights(trainer), weights(good))

    def test_without_a_checkpoint_none_is_named(self, make_trainer):
        with pytest.raises(TrainingError, match=r"at step 3.*that are not finite\.$"):
            make_trainer(cls=Spoilt).train()


class TestTheBestModel:
    @pytest.mark.parametrize("save", ["no", "steps", "epoch", "best"])
    @pytest.mark.parametrize("evaluate", ["steps", "epoch"])
    def test_it_is_found_and_loaded_with_any_strategies(self, make_trainer, save, evaluate):
        kept = {}

        class Rising(Trainer):
            """The second evaluation is the best."""

            def evaluate(self, *given, **more):
                metrics = super().evaluate(*given, **more)
                kept[self.state.global_step] = weights(self).clone()
                return {**metrics, "eval_loss": abs(len(kept) - 2)}

        given = {
            "eval_strategy": evaluate, "eval_steps": 2, "save_strategy": save, "save_steps": 4, "num_train_epochs": 3,
            "load_best_model_at_end": True, "save_total_limit": 1, "learning_rate": 0.1,
        }  # fmt: skip
        trainer = make_trainer(given, Rising, eval_dataset=ROWS.take(4))
        trainer.train()
        best = list(kept)[1]
        assert trainer.state.best_global_step == best < trainer.state.global_step
        assert torch.equal(weights(trainer), kept[best])

    @pytest.mark.parametrize("save", ["no", "steps", "epoch", "best"])
    def test_without_evaluations_it_is_an_error_at_the_start(self, make_trainer, save):
        trainer = make_trainer({"save_strategy": save, "load_best_model_at_end": True})
        with pytest.raises(InputError, match=r"which model is best.*'epoch' or 'steps'"):
            trainer.train()
        assert trainer.state.global_step == 0

    def test_a_metric_that_is_not_there_is_told_at_the_start_with_those_that_are(self, make_trainer):
        given = {"eval_strategy": "epoch", "save_strategy": "best", "metric_for_best_model": "f1"}
        metrics = {"compute_metrics": lambda prediction: {"accuracy": 0.5}}
        trainer = make_trainer(given, eval_dataset=ROWS.take(4), **metrics)
        with pytest.raises(UnknownNameError, match=r"metric_for_best_model='f1' .*There are: eval_accuracy, eval_loss"):
            trainer.train()
        assert trainer.state.global_step == 0
