"""`metrics.jsonl` in the output folder: one line of JSON for everything that is logged."""

import json
import math
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from madang.training.callbacks import TrainerState
from madang.training.reports.reporter import Reporter, plain
from madang.writing import write_text

FILE = "metrics.jsonl"


class JsonLinesReporter(Reporter):
    """Keeps `metrics.jsonl` equal to `state.log_history`, entry by entry.

    A training that goes on from a checkpoint begins with the lines up to that step, so every step is there once. What
    could not be written (a full disk) is written with the next line that can be.
    """

    name = "jsonl"

    def __init__(self) -> None:
        super().__init__()
        self._path = Path(FILE)
        self._written = 0

    def begin(self, args: Any, state: TrainerState, model: Any, start: int | None) -> None:
        self._path = Path(args.output_dir) / FILE
        if start is not None:
            write_metrics(self._path, state.log_history)
            self._written = len(state.log_history)
        else:  # an evaluation on its own: the lines of the training before it stay
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._written = max(self._written, len(state.log_history) - 1)

    def write(self, state: TrainerState, numbers: dict[str, float]) -> None:
        new = state.log_history[self._written :]
        before = self._path.stat().st_size if self._path.exists() else 0
        try:
            with open(self._path, "ab") as file:
                file.write("".join(map(line, new)).encode())
        except OSError:
            if self._path.exists():  # no half lines
                os.truncate(self._path, before)
            raise
        self._written += len(new)

    def end(self, state: TrainerState) -> None:
        if self._written < len(state.log_history):
            self.write(state, {})


def write_metrics(path: str | os.PathLike[str], log_history: Iterable[Mapping[str, Any]]) -> None:
    """Replace the file at `path` with a line for every entry."""
    write_text(path, "".join(map(line, log_history)))


def line(entry: Mapping[str, Any]) -> str:
    """One entry as JSON that every reader accepts: numbers that are none (nan, inf) become null."""
    return json.dumps({str(name): _told(value) for name, value in entry.items()}, ensure_ascii=False) + "\n"


def _told(value: Any) -> Any:
    value = plain(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if isinstance(value, (int, str, bool, type(None))) else str(value)
