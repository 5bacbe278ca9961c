"""What can be hooked into the training loop: the events, what each is told, and the two that show progress."""

import dataclasses
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments


@dataclass
class TrainerState:
    """Where training stands; kept in every checkpoint as `trainer_state.json`."""

    epoch: float = 0.0
    """Epochs done, with the part of the current one."""
    global_step: int = 0
    """Optimizer steps done."""
    max_steps: int = 0
    """Optimizer steps in all."""
    num_train_epochs: int = 0
    train_batch_size: int | None = None
    log_history: list[dict[str, Any]] = field(default_factory=list)
    """Everything that was logged, each with its step."""
    run_name: str | None = None

    def to_json(self) -> str:
        """As kept in checkpoints."""
        return json.dumps(dataclasses.asdict(self), indent=2, sort_keys=True) + "\n"


@dataclass
class TrainerControl:
    """What the loop should do next; callbacks set these, the loop acts and clears them."""

    should_training_stop: bool = False
    should_epoch_stop: bool = False
    should_log: bool = False
    should_evaluate: bool = False
    should_save: bool = False


class TrainerCallback:
    """Called at the events of training. Override those you need; each gets `args`, `state`, `control` and, by name,
    `model`, `tokenizer` (also as `processing_class`), `optimizer`, `lr_scheduler`, `train_dataloader`,
    `eval_dataloader`, and where it says so `logs` or `metrics`. Setting a flag of `control` steers the loop.
    """

    def on_init_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The trainer was made."""

    def on_train_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before the first epoch."""

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After the last epoch."""

    def on_epoch_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before an epoch's first step."""

    def on_epoch_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After an epoch's last step."""

    def on_step_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Before an optimizer step's first micro-batch."""

    def on_substep_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After each micro-batch but the last of an optimizer step."""

    def on_pre_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The gradients are complete (and shortened), the weights not changed yet."""

    def on_optimizer_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """The weights are changed, the gradients not cleared yet."""

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """After an optimizer step."""

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """Something was logged: `logs`."""

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """An evaluation ended: `metrics`."""

    def on_predict(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A prediction ended: `metrics`."""

    def on_prediction_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A batch was evaluated."""

    def on_save(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """A checkpoint was written."""

    def on_push_begin(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> Any:
        """An upload to a hub begins."""


_TIMES = ("_runtime", "_samples_per_second", "_steps_per_second")
EVENTS = tuple(name for name in vars(TrainerCallback) if name.startswith("on_"))


class Callbacks:
    """The callbacks of one trainer, called in order."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.list: list[TrainerCallback] = []
        for callback in callbacks:
            self.add(callback)

    def add(self, callback: Any) -> None:
        """Add a callback, or an instance of a callback class."""
        made = callback() if isinstance(callback, type) else callback
        if not any(hasattr(made, event) for event in EVENTS):
            raise InputError(f"{made!r} is no callback: it has none of the methods {', '.join(EVENTS[:4])}, …")
        self.list.append(made)

    def remove(self, callback: Any) -> TrainerCallback | None:
        """Take out a callback, or the first of a class; the one taken out, or None."""
        for known in self.list:
            if known is callback or (isinstance(callback, type) and isinstance(known, callback)):
                self.list.remove(known)
                return known
        return None

    def fire(self, event: str, args: Any, state: TrainerState, control: TrainerControl, **told: Any) -> None:
        """Call every callback that has the event; one may return a control of its own, whose flags then count."""
        for callback in self.list:
            method = getattr(callback, event, None)
            returned = method(args, state, control, **told) if method is not None else None
            if isinstance(returned, TrainerControl) and returned is not control:
                vars(control).update(vars(returned))


class FlowCallback(TrainerCallback):
    """Sets the flags as the strategies in the arguments say."""

    def on_step_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        step, total = state.global_step, state.max_steps
        first = step == 1 and args.logging_first_step
        if first or (args.logging_strategy == "steps" and step % args.steps("logging_steps", total) == 0):
            control.should_log = True
        if args.eval_strategy == "steps" and step % args.steps("eval_steps", total) == 0:
            control.should_evaluate = True
        if args.save_strategy == "steps" and step % args.steps("save_steps", total) == 0:
            control.should_save = True
        if step >= total:
            control.should_training_stop = True

    def on_epoch_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        control.should_log |= args.logging_strategy == "epoch"
        control.should_evaluate |= args.eval_strategy == "epoch"
        control.should_save |= args.save_strategy == "epoch"


class PrinterCallback(TrainerCallback):
    """Prints what is logged, as dicts."""

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        logs = kwargs.get("logs") or {}
        sys.stdout.write(f"{logs}\n")


class ProgressCallback(TrainerCallback):
    """A bar with the latest loss, and a line of a table for every evaluation (or every epoch without any)."""

    def __init__(self) -> None:
        self._training: Any = None
        self._evaluating: Any = None
        self._running = False
        self._told = (0.0, 0)  # sum of losses and number of steps at the line before
        self._heading: list[str] | None = None

    def on_train_begin(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._training = _bar(state.max_steps, args.run_name or "training", leave=True)
        self._running, self._told, self._heading = True, (0.0, 0), None

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._training is None or not self._training.update(state.global_step - self._training.n):
            return
        device = getattr(kwargs.get("model"), "device", None)
        if str(device) == "cpu":  # elsewhere reading the loss would make the program wait for the device
            mean = kwargs["meter"].recent_mean()
            self._training.set_postfix(loss="-" if mean is None else f"{mean:.4f}", refresh=False)

    def on_prediction_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        loader = kwargs.get("eval_dataloader")
        if self._evaluating is None:
            total = len(loader) if loader is not None and hasattr(loader, "__len__") else None
            self._evaluating = _bar(total, "evaluating", leave=False)
        if self._evaluating is not None:
            self._evaluating.update(1)

    def on_evaluate(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._close_evaluating()
        if self._running:
            self._line(state, kwargs["meter"], kwargs.get("metrics") or {})

    def on_predict(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        self._close_evaluating()

    def on_epoch_end(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if args.eval_strategy == "no":
            self._line(state, kwargs["meter"], {})

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._training is not None:
            self._training.close()
        self._training, self._running = None, False

    def _close_evaluating(self) -> None:
        if self._evaluating is not None:
            self._evaluating.close()
        self._evaluating = None

    def _line(self, state: TrainerState, meter: Any, metrics: dict[str, Any]) -> None:
        """One line of the table, with a heading when its columns are new; the loss is the mean since the last line."""
        total, steps = meter.totals()
        new = steps - self._told[1]
        cells = {"epoch": f"{state.epoch:.2f}", "step": str(state.global_step)}
        cells["training loss"] = f"{(total - self._told[0]) / new:.4f}" if new else "-"
        self._told = (total, steps)
        for name, value in metrics.items():
            if isinstance(value, float) and name != "epoch" and not name.endswith(_TIMES):
                cells[_heading(name)] = f"{value:.4f}"
        lines = [] if self._heading == list(cells) else ["  ".join(f"{name:>{_width(name)}}" for name in cells)]
        self._heading = list(cells)
        lines.append("  ".join(f"{value:>{_width(name)}}" for name, value in cells.items()))
        for line in lines:
            if self._training is not None:
                self._training.write(line, file=sys.stdout)
            else:
                sys.stdout.write(f"{line}\n")


def _heading(name: str) -> str:
    return "validation loss" if name == "eval_loss" else name.removeprefix("eval_").replace("_", " ")


def _width(name: str) -> int:
    return max(8, len(name))


def _bar(total: int | None, label: str, *, leave: bool) -> Any:
    """A progress bar, or None where the settings want none."""
    if not settings.progress_bars():
        return None
    from tqdm import tqdm

    return tqdm(total=total, desc=label, leave=leave, unit="step")
