import dataclasses
import json
import pickle

import pytest

from madang.training import TrainerCallback, TrainingArguments
from madang.training.seq2seq import Seq2SeqTrainingArguments
from tests.unit.training import (
    test_arguments_learning as learning,
)
from tests.unit.training import (
    test_arguments_running as running,
)
from tests.unit.training import (
    test_arguments_saving as saving,
)
from tests.unit.training import (
    test_arguments_telling as telling,
)

NAMES = {field.name for field in dataclasses.fields(TrainingArguments)}


def test_every_argument_has_one_check_that_it_does_something():
    checks = [name for part in (learning, running, saving, telling) for name in part.CHECKS]
    assert sorted(checks) == sorted(NAMES)
    more = {field.name for field in dataclasses.fields(Seq2SeqTrainingArguments)} - NAMES
    assert more == {  # see test_seq2seq
        "sortish_sampler",
        "predict_with_generate",
        "generation_max_length",
        "generation_num_beams",
        "generation_config",
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eval_strategy": "epochs"}, "Did you mean 'epoch'"),
        ({"lr_scheduler_type": "linaer"}, "Did you mean 'linear'"),
        ({"optim": "adamw_torhc"}, "Did you mean 'adamw_torch'"),
        ({"per_device_train_batch_size": 0}, "at least 1"),
        ({"learning_rate": -1}, "not negative"),
        ({"learning_rate": "fast"}, "is a number"),
        ({"warmup_ratio": 2}, "0 to 1"),
        ({"num_train_epochs": 0}, "nothing to train"),
        ({"logging_steps": 0}, "above 0"),
        ({"eval_strategy": "best"}, "Known: epoch, no, steps"),
        ({"save_strategy": "bset"}, "Did you mean 'best'"),
        ({"hub_strategy": "all"}, "all_checkpoints"),
        ({"log_level": "loud"}, "Known: critical"),
        ({"include_for_metrics": ["input"]}, "Did you mean 'inputs'"),
        ({"include_num_input_tokens_seen": "some"}, "non_padding"),
        ({"lr_scheduler_kwargs": "min_lr=1"}, "a dict or a JSON object"),
        ({"label_smoothing_factor": 1}, "below 1"),
        ({"save_total_limit": 0}, "above 0"),
        ({"bf16": True, "fp16": True}, "choose one"),
        ({"bf16_full_eval": True, "fp16_full_eval": True}, "choose one"),
        ({"dataloader_prefetch_factor": 2}, "dataloader_num_workers to 1 or more"),
        ({"dataloader_persistent_workers": True}, "dataloader_num_workers to 1 or more"),
    ],
)
def test_impossible_values_are_explained(given, message):
    with pytest.raises(ValueError, match=message):
        TrainingArguments(**given)


def test_numbers_that_came_as_text_are_read():
    assert TrainingArguments(learning_rate="5e-5").learning_rate == 5e-5


def test_arguments_can_be_extended_copied_and_pickled():
    @dataclasses.dataclass
    class Mine(TrainingArguments):
        temperature: float = 1.0

    mine = Mine("out", temperature=0.5, evaluation_strategy="epoch")
    assert (mine.temperature, mine.eval_strategy) == (0.5, "epoch")
    assert dataclasses.replace(mine, seed=7).seed == 7
    assert pickle.loads(pickle.dumps(TrainingArguments(seed=3))).to_dict()["seed"] == 3


def test_a_callback_reads_the_arguments(make_trainer):
    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            assert args.train_batch_size == args.eval_batch_size == 8

    make_trainer(callbacks=[Look]).train()


def test_what_follows_from_others_is_filled_in():
    assert TrainingArguments(eval_strategy="steps", logging_steps=7).eval_steps == 7
    assert TrainingArguments(torch_compile_backend="eager").torch_compile
    best = TrainingArguments(load_best_model_at_end=True)
    assert (best.metric_for_best_model, best.greater_is_better) == ("loss", False)
    assert TrainingArguments(metric_for_best_model="f1").greater_is_better
    assert TrainingArguments(report_to="none").report_to == TrainingArguments().report_to == []
    assert TrainingArguments(report_to="jsonl").report_to == ["jsonl"]


def test_steps_may_be_parts_of_all_steps():
    args = TrainingArguments(logging_steps=0.25, save_steps=3, warmup_ratio=0.1)
    assert (args.steps("logging_steps", 10), args.steps("save_steps", 10), args.get_warmup_steps(25)) == (3, 3, 3)
    assert TrainingArguments(warmup_steps=7, warmup_ratio=0.5).get_warmup_steps(100) == 7


def test_a_file_of_arguments_makes_the_same_arguments_without_the_secret(tmp_path):
    args = TrainingArguments("out", learning_rate=1e-3, hub_token="secret", lr_scheduler_kwargs={"num_cycles": 2})
    args.save_to_json(tmp_path / "args.json")
    text = (tmp_path / "args.json").read_text(encoding="utf-8")
    assert "secret" not in text
    again = TrainingArguments.from_dict(json.loads(text))
    assert again == dataclasses.replace(args, hub_token=None)


def test_members_of_an_enumeration_are_taken_as_their_values():
    class Strategy:
        value = "epoch"

    assert TrainingArguments(eval_strategy=Strategy()).eval_strategy == "epoch"
