"""What all reporters share: when they are called, and that their failures never end a training."""

import contextlib
import json
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from madang.notices import notice
from madang.training.callbacks import TrainerCallback, TrainerControl, TrainerState

# so many failures in a row, each perhaps a minute of waiting for a network, and a reporter is left alone
_PATIENCE = 3


class Reporter(TrainerCallback):
    """Sends what is logged somewhere else, from the main process. One for another place overrides `begin`, `write` and
    perhaps `end`; whatever these raise is told once, and training goes on.
    """

    name: ClassVar[str]
    package: ClassVar[str | None] = None
    install: ClassVar[str] = ""

    def __init__(self) -> None:
        self._open = False
        self._start: int | None = None
        self._failures = 0
        self._told = False

    def begin(self, args: Any, state: TrainerState, model: Any, start: int | None) -> None:
        """Get ready for a training that begins after `start` steps (more than 0 when it goes on from a checkpoint), or,
        with None, for something that is logged outside of any."""

    def write(self, state: TrainerState, numbers: dict[str, float]) -> None:
        """Report `numbers` (loss, eval_loss, …) of step `state.global_step`."""

    def end(self, state: TrainerState) -> None:
        """The training is over; more may be logged later, after another `begin`."""

    @classmethod
    def is_installed(cls) -> bool:
        """Whether its package is there."""
        return cls.package is None or cls.package in sys.modules or find_spec(cls.package) is not None

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            self._failures, self._start = 0, state.global_step
            self._begin(args, state, kwargs.get("model"))

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero or self._failures >= _PATIENCE:
            return
        if not self._open:
            self._begin(args, state, kwargs.get("model"))
        if self._open:
            numbers = plain_numbers(kwargs.get("logs") or {})
            self._try(lambda: self.write(state, numbers))

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._open and state.is_world_process_zero:
            self._try(lambda: self.end(state))
        self._open, self._start = False, None

    def _begin(self, args: Any, state: TrainerState, model: Any) -> None:
        self._open = self._try(lambda: self.begin(args, state, model, self._start))

    def _try(self, work: Callable[[], object]) -> bool:
        """Whether `work` was done; the first time it was not, say so."""
        try:
            work()
        except Exception as error:
            self._failures += 1
            if not self._told:
                self._told = True
                notice(
                    f"reporting to {self.name} failed ({type(error).__name__}: {error}); training goes on. It is tried "
                    f"again, until it fails {_PATIENCE} times in a row."
                )
            return False
        self._failures = 0
        return True


def plain_numbers(logs: dict[str, Any]) -> dict[str, float]:
    """The numbers among what was logged, as Python's own."""
    values = {name: plain(value) for name, value in logs.items()}
    return {name: value for name, value in values.items() if isinstance(value, (int, float))}


def plain(value: Any) -> Any:
    """What an array or tensor of one number holds; anything else as it is."""
    if hasattr(value, "item"):
        with contextlib.suppress(ValueError, RuntimeError):  # of more numbers, or of none
            return value.item()
    return value


def sorted_by_kind(numbers: dict[str, float]) -> dict[str, float]:
    """`eval_loss` as `eval/loss`, `test_…` as `test/…`, others as `train/…`: tools draw what shares a beginning
    together."""
    found = {}
    for name, value in numbers.items():
        kind, _, rest = name.partition("_")
        found[f"{kind}/{rest}" if kind in ("eval", "test") and rest else f"train/{name}"] = value
    return found


def hyper_parameters(args: Any) -> dict[str, Any]:
    """The arguments as plain values, without secrets."""
    given = args.to_dict()
    return {name: value for name, value in given.items() if not name.endswith("_token")}


def model_config(model: Any) -> dict[str, Any]:
    """What the model's config says, or nothing for a model without one."""
    to_dict = getattr(getattr(model, "config", None), "to_dict", None)
    return dict(to_dict()) if to_dict is not None else {}


def as_text(values: dict[str, Any]) -> str:
    """JSON for people."""
    return json.dumps(values, indent=2, ensure_ascii=False, default=str)


def run_title(args: Any, state: TrainerState) -> str | None:
    """What a run is called: the trial's name in a search, else `run_name`; its last part where it is a path."""
    title = state.trial_name if state.is_hyper_param_search and state.trial_name else args.run_name
    return Path(str(title)).name or None if title else None
