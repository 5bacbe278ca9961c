"""Runs on MLflow. Its own settings say where: MLFLOW_TRACKING_URI, MLFLOW_EXPERIMENT_NAME, …"""

import contextlib
import re
from importlib import import_module
from typing import Any

from madang.training.callbacks import TrainerState
from madang.training.reports.reporter import Reporter, hyper_parameters, model_config, run_title

# what servers accept: parameters per request, letters of a value
_AT_ONCE, _LONGEST = 100, 500


class MLflowReporter(Reporter):
    """Logs to the run that is under way, or begins one and ends it with the training; what is evaluated afterwards is
    added to that run."""

    name = "mlflow"
    package = "mlflow"
    install = "pip install mlflow"

    def __init__(self) -> None:
        super().__init__()
        self._mlflow: Any = None
        self._own: str | None = None  # the id of the run it began

    def begin(self, args: Any, state: TrainerState, model: Any, start: int | None) -> None:
        self._mlflow = import_module("mlflow")
        if self._mlflow.active_run() is not None:
            if start is not None:
                self._own = None
        elif self._own is not None and start is None:
            self._mlflow.start_run(run_id=self._own)
        else:
            self._own = self._mlflow.start_run(run_name=run_title(args, state)).info.run_id
        if start is not None:
            values = list({**model_config(model), **hyper_parameters(args)}.items())
            # of a run that has been trained in before, parameters cannot be changed
            with contextlib.suppress(self._mlflow.exceptions.MlflowException):
                for first in range(0, len(values), _AT_ONCE):
                    some = values[first : first + _AT_ONCE]
                    self._mlflow.log_params({name: str(value)[:_LONGEST] for name, value in some})

    def write(self, state: TrainerState, numbers: dict[str, float]) -> None:
        accepted = {re.sub(r"[^\w\-. /]", "_", name): value for name, value in numbers.items()}
        self._mlflow.log_metrics(accepted, step=state.global_step)

    def end(self, state: TrainerState) -> None:
        if self._own is not None:
            self._mlflow.end_run()
