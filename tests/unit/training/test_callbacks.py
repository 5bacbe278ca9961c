import re

import pytest

from madang.datasets import Dataset
from madang.errors import InputError
from madang.training import PrinterCallback, ProgressCallback, TrainerCallback
from tests.unit.training.tiny import examples


def test_a_table_shows_losses_and_metrics_epoch_by_epoch(make_trainer, capsys):
    trainer = make_trainer(
        {"disable_tqdm": False, "num_train_epochs": 2, "eval_strategy": "epoch"},
        eval_dataset=Dataset.from_list(examples(5)),
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(-1) == p[1]).mean())},
    )
    trainer.train()
    heading, first, second = capsys.readouterr().out.strip().split("\n")
    assert re.split(r"\s{2,}", heading.strip()) == ["epoch", "step", "training loss", "validation loss", "accuracy"]
    assert first.split()[:2] == ["1.00", "3"]
    assert second.split()[:2] == ["2.00", "6"]
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert [f"{loss:.4f}" for loss in logged] == [first.split()[3], second.split()[3]]


def test_without_evaluation_every_epoch_is_a_line(make_trainer, capsys, monkeypatch):
    monkeypatch.setenv("MADANG_PROGRESS", "0")
    make_trainer({"disable_tqdm": False, "num_train_epochs": 2}).train()
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.strip().split("\n")] == ["epoch", "1.00", "2.00"]
    assert captured.err == ""


def test_without_bars_logs_are_printed_as_dicts(make_trainer, capsys):
    make_trainer({"disable_tqdm": True, "logging_steps": 1, "max_steps": 1}).train()
    captured = capsys.readouterr()
    assert captured.out.startswith("{'loss': ")
    assert captured.err == ""


def test_callbacks_can_be_added_and_taken_out(make_trainer):
    trainer = make_trainer()
    taken = trainer.pop_callback(PrinterCallback)
    assert isinstance(taken, PrinterCallback)
    trainer.add_callback(ProgressCallback)
    trainer.remove_callback(ProgressCallback)
    assert trainer.pop_callback(ProgressCallback) is None


def test_a_callback_is_told_the_parts_of_training(make_trainer):
    told = {}

    class Look(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            told.update(kwargs)

    trainer = make_trainer(callbacks=[Look()])
    trainer.train()
    assert told["model"] is trainer.model
    assert told["tokenizer"] is told["processing_class"] is trainer.tokenizer
    assert told["optimizer"] is trainer.optimizer
    assert told["lr_scheduler"] is trainer.lr_scheduler
    assert len(told["train_dataloader"]) == 3


def test_what_is_no_callback_is_refused(make_trainer):
    with pytest.raises(InputError, match="is no callback"):
        make_trainer(callbacks=[3])
