"""Evaluating and telling: every argument does something."""

import json
import logging

import pytest
import torch

from madang.datasets import Dataset
from madang.training import TrainerCallback, prediction
from tests.unit.training.effects import Checks, carry_out, logged
from tests.unit.training.tiny import TinyClassifier, examples

CHECKS = Checks()
HALF = {"bf16_full_eval": torch.bfloat16, "fp16_full_eval": torch.float16}


# ---- evaluating


@CHECKS.of("eval_strategy", "eval_steps")
def _(run):
    def steps(**given):
        return [entry["step"] for entry in run(**given).state.log_history if "eval_loss" in entry]

    assert steps() == []
    assert steps(eval_strategy="epoch", num_train_epochs=2) == [3, 6]
    assert steps(eval_strategy="steps", eval_steps=2, max_steps=5) == [2, 4, 5]
    assert steps(eval_strategy="steps", logging_steps=1) == [1, 2, 3]
    assert steps(eval_strategy="steps", eval_steps=0.2, max_steps=10) == [2, 4, 6, 8, 10]


@CHECKS.of("eval_delay", "eval_on_start")
def _(run):
    def steps(**given):
        return [entry["step"] for entry in run(**given).state.log_history if "eval_loss" in entry]

    assert steps(eval_strategy="epoch", num_train_epochs=3, eval_delay=2) == [6, 9]
    assert steps(eval_strategy="steps", eval_steps=1, eval_delay=3) == [3]
    assert steps(eval_strategy="epoch", eval_on_start=True) == [0, 3]


@CHECKS.of("prediction_loss_only")
def _(make_trainer):
    rows = Dataset.from_list(examples(4))
    called = []
    trainer = make_trainer({"prediction_loss_only": True}, compute_metrics=lambda seen: called.append(seen) or {})
    assert "eval_loss" in trainer.evaluate(rows)
    assert not called
    assert trainer.predict(rows).predictions is None


@CHECKS.of("eval_accumulation_steps")
def _(make_trainer, monkeypatch):
    rows, batches, moved = Dataset.from_list(examples(10)), [], []

    class Count(TrainerCallback):
        def on_prediction_step(self, args, state, control, **kwargs):
            batches.append(1)

    to_numpy = prediction.to_numpy
    monkeypatch.setattr(prediction, "to_numpy", lambda value: moved.append(len(batches) + 1) or to_numpy(value))
    for given, after in (({}, {1, 2, 3, 4, 5}), ({"eval_accumulation_steps": 2}, {2, 4, 6})):
        batches.clear(), moved.clear()
        result = make_trainer({"per_device_eval_batch_size": 2, **given}, callbacks=[Count]).predict(rows)
        assert result.predictions.shape == (10, 3)
        assert set(moved) == after


@CHECKS.of("batch_eval_metrics")
def _(make_trainer):
    seen = []

    def compute(prediction, compute_result):
        seen.append((len(prediction.predictions), compute_result))
        return {"rows": sum(rows for rows, _ in seen)} if compute_result else {}

    trainer = make_trainer({"batch_eval_metrics": True, "per_device_eval_batch_size": 4}, compute_metrics=compute)
    assert trainer.evaluate(Dataset.from_list(examples(10)))["eval_rows"] == 10
    assert seen == [(4, False), (4, False), (2, True)]


@CHECKS.of("include_for_metrics")
def _(make_trainer):
    def compute(prediction):
        return {"inputs": prediction.inputs is not None, "losses": prediction.losses is not None}

    rows = Dataset.from_list(examples(4))
    for asked in ([], ["inputs"], ["loss"], ["inputs", "loss"]):
        metrics = make_trainer({"include_for_metrics": asked}, compute_metrics=compute).evaluate(rows)
        assert (metrics["eval_inputs"], metrics["eval_losses"]) == ("inputs" in asked, "loss" in asked)


@CHECKS.of("bf16_full_eval", "fp16_full_eval")
def _(make_trainer):
    class Look(TinyClassifier):
        def forward(self, input_ids, **inputs):
            kinds.append(self.head.weight.dtype)
            return super().forward(input_ids, **inputs)

    rows = Dataset.from_list(examples(4))
    for given, kind in (({}, torch.float32), *((({name: True}), kind) for name, kind in HALF.items())):
        kinds = []
        trainer = make_trainer(given, model=Look())
        before = trainer.model.head.weight.clone()
        trainer.evaluate(rows)
        assert kinds == [kind]
        assert torch.equal(trainer.model.head.weight, before)


# ---- telling


@CHECKS.of("log_level")
def _(run, recwarn):

    logger = logging.getLogger("madang")
    try:
        run(log_level="error", model=lambda: TinyClassifier().bfloat16(), optim="sgd", max_grad_norm=0)
        assert not recwarn.list
        assert logger.level == logging.ERROR
    finally:
        logger.setLevel(logging.NOTSET)
    with pytest.warns(UserWarning, match="training in bfloat16"):
        run(model=lambda: TinyClassifier().bfloat16(), optim="sgd", max_grad_norm=0)


@CHECKS.of("logging_strategy", "logging_steps", "logging_first_step")
def _(run):
    assert logged(run(), "loss") == []
    assert len(logged(run(logging_steps=2, max_steps=5), "loss")) == 2
    assert len(logged(run(logging_strategy="epoch"), "loss")) == 1
    assert logged(run(logging_strategy="no", logging_steps=1), "loss") == []
    assert len(logged(run(logging_first_step=True), "loss")) == 1


@CHECKS.of("disable_tqdm", "run_name")
def _(run, monkeypatch, capsys):
    monkeypatch.setenv("MADANG_PROGRESS", "1")
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)
    run(disable_tqdm=False, run_name="first try")
    assert "first try" in capsys.readouterr().err
    run(disable_tqdm=True)
    assert capsys.readouterr().err == ""


@CHECKS.of("report_to")
def _(run, tmp_path):
    run(report_to="jsonl", logging_steps=1)
    lines = (tmp_path / "out" / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2, 3, 3]
    run(report_to="none", output_dir=str(tmp_path / "silent"))
    assert not (tmp_path / "silent").exists()


@CHECKS.of("logging_dir")
def _(run, tmp_path):
    pytest.importorskip("tensorboard")
    run(report_to="tensorboard", logging_dir=str(tmp_path / "there"), max_steps=1)
    assert list((tmp_path / "there").glob("events.out.tfevents*"))


@CHECKS.of("include_num_input_tokens_seen")
def _(run):
    real = sum(len(row["input_ids"]) for row in examples())
    assert run().state.num_input_tokens_seen == 0
    trainer = run(include_num_input_tokens_seen="non_padding", logging_steps=1)
    assert logged(trainer, "num_input_tokens_seen")[-1] == trainer.state.num_input_tokens_seen == real
    assert run(include_num_input_tokens_seen=True).state.num_input_tokens_seen > real


@CHECKS.each()
def test_every_argument_does_something(check, request):
    carry_out(check, request)
