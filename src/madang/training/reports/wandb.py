"""Runs on Weights & Biases. Its own settings say where: WANDB_PROJECT, WANDB_MODE, WANDB_RUN_ID, …"""

from importlib import import_module
from typing import Any

from madang.training.callbacks import TrainerState
from madang.training.reports.reporter import Reporter, hyper_parameters, model_config, run_title, sorted_by_kind


class WandbReporter(Reporter):
    """Logs to the run that is under way, or begins one; a run it began ends with the program, or with the next
    training, so that what is evaluated after training belongs to it."""

    name = "wandb"
    package = "wandb"
    install = "pip install wandb"

    def __init__(self) -> None:
        super().__init__()
        self._wandb: Any = None
        self._own: Any = None

    def begin(self, args: Any, state: TrainerState, model: Any, start: int | None) -> None:
        self._wandb = import_module("wandb")
        if start is not None and self._own is not None:
            self._own.finish()
            self._own = None
        if self._wandb.run is None:
            self._own = self._wandb.init(name=run_title(args, state))
            # evaluations of a step may be logged after its training loss: an axis of its own has no order to keep
            self._wandb.define_metric("train/global_step")
            self._wandb.define_metric("*", step_metric="train/global_step", step_sync=True)
        config = {**model_config(model), **hyper_parameters(args)}
        self._wandb.config.update(config, allow_val_change=True)

    def write(self, state: TrainerState, numbers: dict[str, float]) -> None:
        self._wandb.log({**sorted_by_kind(numbers), "train/global_step": state.global_step})
