"""What people see while a model learns: a bar with the loss, and a table with a line for every evaluation."""

import re
import shutil
import sys
import time
import unicodedata
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.training.callbacks import TrainerCallback, TrainerControl, TrainerState

if TYPE_CHECKING:
    from madang.training.arguments import TrainingArguments

_TIMES = ("runtime", "samples_per_second", "steps_per_second")


class PrinterCallback(TrainerCallback):
    """Prints what is logged, as dicts."""

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if state.is_world_process_zero:
            sys.stdout.write(f"{kwargs.get('logs') or {}}\n")


class ProgressCallback(TrainerCallback):
    """A bar with the latest loss, and a line of a table for every evaluation (or every epoch without any).

    The bar's loss is the mean since the last log. On the CPU it is looked up once a second; on other devices, where
    looking means waiting for all work under way, it is the one that was logged.
    """

    def __init__(self) -> None:
        self._training: Any = None
        self._evaluating: Any = None
        self._running = False
        self._looked = 0.0  # when the loss was looked up last
        self._told = (0.0, 0)  # sum of losses and number of steps at the line before
        self._line_of = (-1, "-")  # the last line's step and training loss
        self._heading: list[str] | None = None

    def on_train_begin(
        self, args: "TrainingArguments", state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        if not state.is_world_process_zero:
            return
        self._training = _bar(state.max_steps, _cut(args.run_name or "training", 20), begun=state.global_step)
        self._running, self._told = True, kwargs["meter"].totals()
        self._line_of, self._heading, self._looked = (-1, "-"), None, time.monotonic()

    def on_step_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._training is None:
            return
        self._training.update(state.global_step - self._training.n)
        now = time.monotonic()
        if now - self._looked >= 1 and str(getattr(kwargs.get("model"), "device", None)) == "cpu":
            self._looked = now
            self._show_loss(kwargs["meter"].recent_mean())

    def on_log(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._training is not None:
            self._show_loss((kwargs.get("logs") or {}).get("loss"))

    def on_prediction_step(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        if self._evaluating is None:
            self._evaluating = _bar(_length(kwargs.get("eval_dataloader")), "evaluating", leave=False)
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
        if self._running and args.eval_strategy == "no":
            self._line(state, kwargs["meter"], {})

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._training is not None:
            self._training.close()
        self._training, self._running = None, False

    def _show_loss(self, loss: float | None) -> None:
        if loss is not None:
            self._training.set_postfix(loss=_number(loss), refresh=False)

    def _close_evaluating(self) -> None:
        if self._evaluating is not None:
            self._evaluating.close()
        self._evaluating = None

    def _line(self, state: TrainerState, meter: Any, metrics: dict[str, Any]) -> None:
        """One line of the table, under a heading when its columns are new."""
        if self._line_of[0] != state.global_step:  # several datasets evaluated at one step share its loss
            total, steps = meter.totals()
            new = steps - self._told[1]
            self._line_of = (state.global_step, _number((total - self._told[0]) / new) if new else "-")
            self._told = (total, steps)
        cells = {"epoch": f"{state.epoch:.2f}", "step": str(state.global_step), "training loss": self._line_of[1]}
        cells |= _evaluated(metrics)
        heading, line, rest = table_line(cells, _columns())
        if self._heading != list(cells):
            self._heading = list(cells)
            self._write(heading)
        for text in (line, *rest):
            self._write(text)

    def _write(self, line: str) -> None:
        if self._training is not None:
            self._training.write(line, file=sys.stdout)
        else:
            sys.stdout.write(f"{line}\n")


def table_line(cells: dict[str, str], columns: int | None) -> tuple[str, str, list[str]]:
    """The heading, the line under it, and cells beyond `columns`, on lines of their own as "name value".

    None: as wide as it gets.
    """
    widths = {name: max(8, width(name), width(value)) for name, value in cells.items()}
    kept, used = [], 0
    for name in cells:
        used += widths[name] + 2
        if columns is not None and used - 2 > columns:
            break
        kept.append(name)
    rest: list[str] = []
    for name in cells:
        pair = f"{name} {cells[name]}"
        if name in kept:
            continue
        if rest and columns is not None and width(rest[-1]) + 2 + width(pair) <= columns:
            rest[-1] += f"  {pair}"
        else:
            rest.append(f"{' ' * 10}{pair}")
    heading = "  ".join(_right(name, widths[name]) for name in kept)
    return heading, "  ".join(_right(cells[name], widths[name]) for name in kept), rest


def width(text: str) -> int:
    """Columns of a terminal that a text takes: Hangul and its kin take two, marks that combine none."""
    return sum(
        0 if unicodedata.combining(letter) else 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        for letter in text
    )


def dataset_name(metrics: dict[str, Any]) -> str | None:
    """Which of several evaluation datasets these are the metrics of: `eval_<name>_runtime` tells; None for the only."""
    for name in metrics:
        if match := re.fullmatch("eval_(.+)_runtime", name):
            return match[1]
    return None


def _evaluated(metrics: dict[str, Any]) -> dict[str, str]:
    """The cells of an evaluation: with several datasets its name first, so that all share their columns."""
    dataset = dataset_name(metrics)
    cells = {"data": dataset} if dataset is not None else {}
    prefix = "eval_" if dataset is None else f"eval_{dataset}_"
    for name, value in metrics.items():
        short = name.removeprefix(prefix)
        shown = isinstance(value, (int, float)) and not isinstance(value, bool)
        if shown and name != "epoch" and short not in _TIMES:
            heading = "validation loss" if short == "loss" else short.replace("_", " ")
            cells[heading] = str(value) if isinstance(value, int) else _number(value)
    return cells


def _number(value: float) -> str:
    return f"{value:.4f}" if value == 0 or 1e-3 <= abs(value) < 1e6 else f"{value:.3g}"


def _right(text: str, columns: int) -> str:
    return " " * (columns - width(text)) + text


def _cut(text: str, columns: int) -> str:
    """The beginning of a text that would leave no room for what matters."""
    while width(text) > columns:
        text = text[:-2] + "…"
    return text


def _columns() -> int | None:
    """How wide the terminal is; None where lines go into a file or a page."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def _length(loader: Any) -> int | None:
    try:
        return len(loader)
    except TypeError:  # no loader, or one over a source that does not say how long it is
        return None


def _bar(total: int | None, label: str, *, leave: bool = True, begun: int = 0) -> Any:
    """A progress bar, or None where the settings want none."""
    if not settings.progress_bars():
        return None
    notebook = "ipykernel" in sys.modules and find_spec("ipywidgets") is not None
    bar = import_module("tqdm.notebook" if notebook else "tqdm").tqdm
    # a log file gets a line every ten seconds, not ten a second
    interval = 0.1 if sys.stderr.isatty() or "ipykernel" in sys.modules else 10.0
    return bar(
        total=total, desc=label, leave=leave, initial=begun, unit="step", mininterval=interval, dynamic_ncols=True
    )
