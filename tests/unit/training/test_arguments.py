"""Every accepted argument does something: one test for each, and none is without."""

import dataclasses
import pickle

import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError, UnknownNameError
from madang.training import Trainer, TrainerCallback, TrainingArguments, set_seed
from madang.training.arguments import SPELLINGS
from tests.unit.training.tiny import TinyClassifier, examples

CHECKS = {}


def honours(*names):
    def note(function):
        CHECKS.update(dict.fromkeys(names, function))
        return function

    return note


def run(make, cls=Trainer, **given):
    """The trainer after training on 20 rows: 3 steps of 8, 8 and 4 by default."""
    set_seed(0)
    trainer = make({"learning_rate": 0.1, **given}, cls, model=TinyClassifier())
    trainer.eval_dataset = trainer.train_dataset.take(10)
    trainer.train()
    return trainer


def logged(trainer, key):
    return [entry[key] for entry in trainer.state.log_history if key in entry]


def changes(make, **given):
    """Whether the arguments change the trained weights."""
    return not torch.equal(run(make).model.head.weight, run(make, **given).model.head.weight)


@honours("output_dir", "save_strategy")
def _(make, out, _monkeypatch, _capsys):
    run(make, output_dir=str(out / "here"), save_strategy="epoch")
    assert [path.name for path in (out / "here").iterdir()] == ["checkpoint-3"]


@honours("overwrite_output_dir")
def _(make, out, _monkeypatch, capsys):
    for given, said in (({}, False), ({}, True), ({"overwrite_output_dir": True}, False)):
        capsys.readouterr()
        run(make, output_dir=str(out), save_strategy="epoch", **given)
        assert ("already holds checkpoint-3" in capsys.readouterr().out) is said


@honours("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps")
def _(make, *_):
    assert run(make, num_train_epochs=2).state.global_step == 6
    assert run(make, max_steps=5).state.global_step == 5
    assert run(make, per_device_train_batch_size=2).state.global_step == 10
    assert run(make, gradient_accumulation_steps=3).state.global_step == 1


@honours("per_device_eval_batch_size")
def _(make, *_):
    assert len(make({"per_device_eval_batch_size": 5}).get_eval_dataloader(Dataset.from_list(examples(10)))) == 2


@honours("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "optim")
def _(make, *_):
    given = {
        "learning_rate": 0.2, "weight_decay": 0.5, "adam_beta1": 0.1, "adam_beta2": 0.1, "adam_epsilon": 0.1,
        "optim": "sgd",
    }  # fmt: skip
    for name, value in given.items():
        assert changes(make, **{name: value}), name
    # Adam does not mind the length of a gradient, plain gradient descent does
    clipped, free = (run(make, optim="sgd", max_grad_norm=norm).model.head.weight for norm in (0.01, 0))
    assert not torch.equal(clipped, free)


@honours("lr_scheduler_type", "warmup_ratio", "warmup_steps")
def _(make, *_):
    rates = logged(run(make, lr_scheduler_type="constant", logging_steps=1), "learning_rate")
    assert rates == pytest.approx([0.1, 0.1, 0.1])
    for warmup in ({"warmup_steps": 2}, {"warmup_ratio": 0.5}, {"warmup_steps": 0.5}):
        rates = logged(run(make, max_steps=4, logging_steps=1, **warmup), "learning_rate")
        assert rates == pytest.approx([0.05, 0.1, 0.05, 0])


@honours("eval_strategy", "eval_steps")
def _(make, *_):
    assert logged(run(make), "eval_loss") == []
    assert len(logged(run(make, eval_strategy="epoch", num_train_epochs=2), "eval_loss")) == 2
    assert len(logged(run(make, eval_strategy="steps", eval_steps=2, max_steps=5), "eval_loss")) == 2
    assert len(logged(run(make, eval_strategy="steps", logging_steps=1), "eval_loss")) == 3
    assert len(logged(run(make, eval_strategy="steps", eval_steps=0.2, max_steps=10), "eval_loss")) == 5


@honours("logging_strategy", "logging_steps", "logging_first_step")
def _(make, *_):
    assert logged(run(make), "loss") == []
    assert len(logged(run(make, logging_steps=2, max_steps=5), "loss")) == 2
    assert len(logged(run(make, logging_strategy="epoch"), "loss")) == 1
    assert logged(run(make, logging_strategy="no", logging_steps=1), "loss") == []
    assert len(logged(run(make, logging_first_step=True), "loss")) == 1


@honours("save_steps", "save_total_limit")
def _(make, out, *_):
    run(make, output_dir=str(out), save_strategy="steps", save_steps=1, save_total_limit=1)
    assert [path.name for path in out.iterdir()] == ["checkpoint-3"]


@honours("seed", "data_seed")
def _(make, *_):
    assert changes(make, seed=1)
    assert changes(make, data_seed=1)
    assert not changes(make, data_seed=42)


@honours("bf16")
def _(make, *_):
    kinds = []

    class Look(Trainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            kinds.append(model.head(torch.zeros(1, 8)).dtype)
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)

    run(make, Look, bf16=True, max_steps=1)
    run(make, Look, max_steps=1)
    assert kinds == [torch.bfloat16, torch.float32]


@honours("gradient_checkpointing")
def _(make, *_):
    assert run(make, gradient_checkpointing=True).model.checkpointing
    with pytest.raises(InputError, match="gradient_checkpointing_enable"):
        make({"gradient_checkpointing": True}, model=torch.nn.Linear(1, 1), train_dataset=[{"input": [1.0]}]).train()


@honours("use_cpu")
def _(make, _out, monkeypatch, _capsys):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert make({"use_cpu": True})._choose_device().type == "cpu"
    trainer = make()
    trainer.args.use_cpu = False
    assert trainer._choose_device().type == "cuda"


@honours("dataloader_num_workers", "dataloader_drop_last")
def _(make, *_):
    assert make({"dataloader_num_workers": 2}).get_train_dataloader().num_workers == 2
    assert run(make, dataloader_drop_last=True).state.global_step == 2


@honours("remove_unused_columns")
def _(make, *_):
    seen = []

    def collate(rows):
        seen.append(set(rows[0]))
        return {"input_ids": torch.tensor([[2, 3]] * len(rows)), "labels": torch.tensor([0] * len(rows))}

    make({"remove_unused_columns": False, "max_steps": 1}, data_collator=collate).train()
    assert seen == [{"text", "input_ids", "label"}]


@honours("label_names")
def _(make, *_):
    rows = Dataset.from_list(examples(4))
    assert make({"label_names": ["attention_mask"]}).predict(rows).label_ids.shape[0] == 4


@honours("group_by_length")
def _(make, *_):
    order = list(make({"group_by_length": True, "per_device_train_batch_size": 4}).get_train_dataloader().sampler)
    lengths = [len(row["input_ids"]) for row in examples()]
    assert lengths[order[0]] == max(lengths)
    assert order != list(make().get_train_dataloader().sampler)


@honours("disable_tqdm", "run_name")
def _(make, _out, monkeypatch, capsys):
    monkeypatch.setenv("MADANG_PROGRESS", "1")
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    run(make, disable_tqdm=False, run_name="first try")
    assert "first try" in capsys.readouterr().err
    run(make, disable_tqdm=True)
    assert capsys.readouterr().err == ""


@honours("report_to")
def _(make, *_):
    assert TrainingArguments(report_to=[]).report_to == []
    with pytest.raises(InputError, match="report_to='none'"):
        TrainingArguments(report_to="wandb")


@honours("push_to_hub", "hub_model_id")
def _(make, _out, monkeypatch, _capsys):
    pushed = []
    monkeypatch.setattr("madang.client.push_saved", lambda save, repository, **options: pushed.append(repository) or "")
    run(make, push_to_hub=True, hub_model_id="kim/ynat")
    assert pushed == ["kim/ynat"]


@pytest.mark.parametrize("name", [field.name for field in dataclasses.fields(TrainingArguments)])
def test_every_argument_does_something(name, make_trainer, tmp_path, monkeypatch, capsys):
    CHECKS[name](make_trainer, tmp_path / name, monkeypatch, capsys)


def test_no_check_is_for_an_argument_that_is_gone():
    assert set(CHECKS) == {field.name for field in dataclasses.fields(TrainingArguments)}


def test_an_unknown_argument_names_the_nearest():
    with pytest.raises(
        UnknownNameError, match=r"unknown training argument 'learing_rate'. Did you mean 'learning_rate'\?"
    ):
        TrainingArguments("out", learing_rate=1)
    with pytest.raises(UnknownNameError, match="Did you mean 'evaluation_strategy'"):
        TrainingArguments(evaluation_stratagy="epoch")


def test_older_spellings_mean_the_same():
    old = TrainingArguments(
        evaluation_strategy="epoch", per_gpu_train_batch_size=3, per_gpu_eval_batch_size=4, no_cuda=True
    )
    new = TrainingArguments(
        eval_strategy="epoch", per_device_train_batch_size=3, per_device_eval_batch_size=4, use_cpu=True
    )
    assert old == new
    assert old.evaluation_strategy == "epoch"
    assert set(SPELLINGS.values()) <= set(CHECKS)
    with pytest.raises(InputError, match="two spellings"):
        TrainingArguments(evaluation_strategy="epoch", eval_strategy="steps")


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
