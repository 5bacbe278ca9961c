"""Stopping when the model gets no better."""

import math
from typing import TYPE_CHECKING, Any

from madang.errors import InputError
from madang.notices import notice
from madang.training.callbacks import ExportableState, TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments


class EarlyStoppingCallback(TrainerCallback, ExportableState):
    """Ends training once `early_stopping_patience` evaluations in a row were no better than the best before them.

    Better means by more than `early_stopping_threshold`. What is watched: `metric`, else `metric_for_best_model` of the
    arguments, else the evaluation's loss; the name may leave out `eval_`. Which way is better: `greater_is_better`,
    here or in the arguments; when neither says, less is better for a loss and more for anything else.

    The weights at the end are the last ones, unless the arguments say `load_best_model_at_end=True`.
    """

    def __init__(
        self,
        early_stopping_patience: int = 1,
        early_stopping_threshold: float | None = 0.0,
        metric: str | None = None,
        greater_is_better: bool | None = None,
    ) -> None:
        if early_stopping_patience < 1:
            raise InputError(f"early_stopping_patience is at least 1 evaluation, not {early_stopping_patience}.")
        self.early_stopping_patience = early_stopping_patience
        self.early_stopping_threshold = early_stopping_threshold or 0.0
        self.metric, self.greater_is_better = metric, greater_is_better
        self.early_stopping_patience_counter = 0
        self.best_metric: float | None = None
        self._running = False
        self._found_at = -1  # the step of the last evaluation that had the metric
        self._seen: set[str] = set()  # names of metrics of evaluations that lacked the one that is watched

    def on_train_begin(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.eval_strategy == "no":
            raise InputError(
                "EarlyStoppingCallback decides at evaluations, and eval_strategy='no' asks for none: set "
                "eval_strategy='epoch' or 'steps'."
            )
        if state.global_step == 0:
            self.early_stopping_patience_counter, self.best_metric = 0, None
        elif self.best_metric is None and self.metric is None:
            self.best_metric = state.best_metric
        self._running, self._seen, self._found_at = True, set(), -1

    def on_evaluate(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not self._running:
            return
        metrics, name = kwargs.get("metrics") or {}, self.watched(args)
        if name not in metrics:  # another of several datasets may have it
            if self._found_at != state.global_step:
                self._seen |= set(metrics)
            return
        self._seen, self._found_at = set(), state.global_step
        self._judge(float(metrics[name]), self._greater(args))
        if self.early_stopping_patience_counter >= self.early_stopping_patience:
            control.should_training_stop = True

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._seen:
            raise InputError(self._missing(args))

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._running = False
        if self._seen:  # too late to be an error: it would cost the training that is done
            notice(self._missing(args))
            self._seen = set()

    def watched(self, args: "TrainingArguments") -> str:
        """The full name of the metric that decides."""
        name = self.metric or args.metric_for_best_model or "loss"
        return name if name.startswith("eval_") else f"eval_{name}"

    def state(self) -> dict[str, dict[str, Any]]:
        """How patient it is, and how often in a row it was disappointed by what."""
        names = ("early_stopping_patience", "early_stopping_threshold", "metric", "greater_is_better")
        found = ("early_stopping_patience_counter", "best_metric")
        return {
            "args": {name: getattr(self, name) for name in names},
            "attributes": {name: getattr(self, name) for name in found},
        }

    def _greater(self, args: "TrainingArguments") -> bool:
        if self.greater_is_better is not None:
            return self.greater_is_better
        if self.metric is None and args.metric_for_best_model is not None and args.greater_is_better is not None:
            return args.greater_is_better
        return not self.watched(args).endswith("loss")

    def _judge(self, value: float, greater: bool) -> None:
        """Count. Many small improvements add up to none: each is compared with the best, which each becomes."""
        if math.isnan(value):
            gain = -math.inf
        elif self.best_metric is None:
            gain = math.inf
        else:
            gain = value - self.best_metric if greater else self.best_metric - value
        if gain > self.early_stopping_threshold:
            self.early_stopping_patience_counter = 0
        else:
            self.early_stopping_patience_counter += 1
        if gain > 0:
            self.best_metric = value

    def _missing(self, args: "TrainingArguments") -> str:
        found = ", ".join(sorted(name for name in self._seen if name != "epoch"))
        return (
            f"early stopping watches {self.watched(args)!r}, which the evaluation does not give. It gives: {found}. "
            "Name one of them as metric_for_best_model= or as metric= of EarlyStoppingCallback."
        )
