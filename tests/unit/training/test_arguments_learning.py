"""What is learned, for how long and with which chance: every argument does something."""

from pathlib import Path

import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training import TrainerCallback
from tests.unit.training.effects import Checks, bert, carry_out, changes, logged
from tests.unit.training.tiny import TinyClassifier, examples

CHECKS = Checks()


# ---- what and how long


@CHECKS.of("output_dir", "save_strategy")
def _(run, tmp_path):
    run(output_dir=str(tmp_path / "here"), save_strategy="epoch")
    assert [path.name for path in (tmp_path / "here").iterdir()] == ["checkpoint-3"]


@CHECKS.of("overwrite_output_dir")
def _(run, tmp_path, capsys):
    for given, said in (({}, False), ({}, True), ({"overwrite_output_dir": True}, False)):
        capsys.readouterr()
        run(output_dir=str(tmp_path), save_strategy="epoch", **given)
        assert ("already holds checkpoint-3" in capsys.readouterr().out) is said


@CHECKS.of("do_train", "do_eval", "do_predict")
def _():
    from madang.cli import train as command

    # what follows from them is tested with the command; the Trainer's methods are called by whoever wants them
    source = Path(command.__file__).read_text(encoding="utf-8")
    assert all(f".{name}" in source for name in ("do_train", "do_eval", "do_predict"))


@CHECKS.of("num_train_epochs", "max_steps", "per_device_train_batch_size", "gradient_accumulation_steps")
def _(run):
    assert run(num_train_epochs=2).state.global_step == 6
    assert run(max_steps=5).state.global_step == 5
    assert run(per_device_train_batch_size=2).state.global_step == 10
    assert run(gradient_accumulation_steps=3).state.global_step == 1


@CHECKS.of("per_device_eval_batch_size")
def _(make_trainer):
    batches = make_trainer({"per_device_eval_batch_size": 5}).get_eval_dataloader(Dataset.from_list(examples(10)))
    assert [len(batch["labels"]) for batch in batches] == [5, 5]


@CHECKS.of("auto_find_batch_size")
def _(run):
    class Narrow(TinyClassifier):
        def forward(self, input_ids, **inputs):
            if len(input_ids) > 3:
                raise torch.OutOfMemoryError("no room")
            return super().forward(input_ids, **inputs)

    with pytest.raises(MemoryError, match="auto_find_batch_size=True"):
        run(model=Narrow)
    with pytest.warns(UserWarning, match="batches are cut") as told:
        assert run(model=Narrow, auto_find_batch_size=True).state.global_step == 3
    assert len(told) == 2  # in halves, and in halves again


# ---- the optimizer


@CHECKS.of("learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "optim")
def _(run):
    given = {
        "learning_rate": 0.2, "weight_decay": 0.5, "adam_beta1": 0.1, "adam_beta2": 0.1, "adam_epsilon": 0.1,
        "optim": "sgd",
    }  # fmt: skip
    for name, value in given.items():
        assert changes(run, **{name: value}), name
    # Adam does not mind the length of a gradient, plain gradient descent does
    assert changes(run, {"optim": "sgd"}, max_grad_norm=0.01)


@CHECKS.of("optim_args")
def _(run):
    assert changes(run, {"optim": "sgd"}, optim_args="momentum=0.9")
    assert not changes(run, {"optim": "sgd"}, optim_args={"momentum": 0})


@CHECKS.of("lr_scheduler_type", "warmup_ratio", "warmup_steps")
def _(run):
    rates = logged(run(lr_scheduler_type="constant", logging_steps=1), "learning_rate")
    assert rates == pytest.approx([0.1, 0.1, 0.1])
    for warmup in ({"warmup_steps": 2}, {"warmup_ratio": 0.5}, {"warmup_steps": 0.5}):
        rates = logged(run(max_steps=4, logging_steps=1, **warmup), "learning_rate")
        assert rates == pytest.approx([0.05, 0.1, 0.05, 0])


@CHECKS.of("lr_scheduler_kwargs")
def _(run):
    given = {"lr_scheduler_type": "cosine_with_min_lr", "logging_steps": 1}
    for options in ({"min_lr": 0.05}, '{"min_lr": 0.05}'):
        assert logged(run(**given, lr_scheduler_kwargs=options), "learning_rate")[-1] == pytest.approx(0.05)


# ---- what is learned


@CHECKS.of("label_smoothing_factor")
def _(run):
    plain, smooth = (run(model=bert, label_smoothing_factor=part, eval_strategy="epoch") for part in (0.0, 0.5))
    assert logged(plain, "train_loss") != logged(smooth, "train_loss")
    # the evaluation's loss stays a plain one
    assert smooth.evaluate()["eval_loss"] == logged(smooth, "eval_loss")[0]
    assert smooth.model.head.smoothing == 0
    with pytest.raises(InputError, match="no head whose loss is a cross entropy"):
        run(label_smoothing_factor=0.1)


@CHECKS.of("neftune_noise_alpha")
def _(run):
    def trained(**given):
        return logged(run(model=lambda: bert().eval(), optim="sgd", **given), "train_loss")

    assert trained() == trained() != trained(neftune_noise_alpha=5)


# ---- chance


@CHECKS.of("seed", "data_seed")
def _(run):
    assert changes(run, seed=1)
    assert changes(run, data_seed=1)
    assert not changes(run, data_seed=42)


@CHECKS.of("full_determinism")
def _(run, monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":16:8")
    for name in ("deterministic", "benchmark"):
        monkeypatch.setattr(torch.backends.cudnn, name, getattr(torch.backends.cudnn, name))
    seen = []

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            seen.append(torch.are_deterministic_algorithms_enabled())

    try:
        run(callbacks=[Look])
        run(callbacks=[Look], full_determinism=True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert seen == [False, True]


@CHECKS.each()
def test_every_argument_does_something(check, request):
    carry_out(check, request)
