"""Callbacks without a trainer: a run whose events a test fires itself."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from madang.training.arguments import TrainingArguments
from madang.training.callbacks import Callbacks, TrainerControl, TrainerState


class Losses:
    """A meter that was told its losses; `looks` counts how often somebody wanted to know."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.looks = 0

    def recent_mean(self) -> float | None:
        self.looks += 1
        return sum(self.losses) / len(self.losses) if self.losses else None

    def totals(self) -> tuple[float, int]:
        return sum(self.losses), len(self.losses)


class Run:
    """What a trainer has at hand when it fires an event."""

    def __init__(self, folder: Path, callbacks: list[Any], *, device: str = "cpu", **given: Any) -> None:
        self.args = TrainingArguments(str(folder), **given)
        self.state, self.control = TrainerState(max_steps=10), TrainerControl()
        self.callbacks, self.meter = Callbacks(callbacks), Losses()
        self.model = SimpleNamespace(device=device)

    def fire(self, event: str, **told: Any) -> None:
        told = {"model": self.model, "meter": self.meter, "eval_dataloader": None} | told
        self.callbacks.fire(event, self.args, self.state, self.control, **told)

    def begin(self) -> None:
        self.fire("on_train_begin")

    def step(self, loss: float = 1.0) -> None:
        """An optimizer step."""
        self.fire("on_step_begin")
        self.state.global_step += 1
        self.state.epoch = self.state.global_step / 4
        self.meter.losses.append(loss)
        self.fire("on_step_end")

    def log(self, **logs: Any) -> None:
        logs = {**logs, "epoch": self.state.epoch}
        self.state.log_history.append({**logs, "step": self.state.global_step})
        self.fire("on_log", logs=logs)

    def evaluate(self, **metrics: Any) -> None:
        """Logged, then told, as a trainer does."""
        self.log(**metrics)
        self.fire("on_evaluate", metrics=metrics | {"epoch": self.state.epoch})

    def end(self) -> None:
        self.fire("on_train_end")
