"""Files for TensorBoard: `tensorboard --logdir <output_dir>/runs` draws them."""

import time
from pathlib import Path
from typing import Any

from madang.training.callbacks import TrainerState
from madang.training.reports.reporter import (
    Reporter,
    as_text,
    hyper_parameters,
    model_config,
    run_title,
    sorted_by_kind,
)


class TensorBoardReporter(Reporter):
    """Scalars (`train/loss`, `train/learning_rate`, `eval/loss`, …), and arguments and config as text.

    The files go to `logging_dir`, else to `<output_dir>/runs/<run_name or time of the start>`; a training that goes on
    from a checkpoint goes on in the folder of its run.
    """

    name = "tensorboard"
    package = "tensorboard"
    install = "pip install 'madang[reports]'"

    def __init__(self) -> None:
        super().__init__()
        self.folder: Path | None = None
        self._writer: Any = None

    def begin(self, args: Any, state: TrainerState, model: Any, start: int | None) -> None:
        from torch.utils.tensorboard import SummaryWriter

        if start is not None or self.folder is None:
            self.folder = log_folder(args, state, resumed=bool(start))
        # what an interrupted run wrote after the checkpoint is not drawn
        purge = start + 1 if start else None
        self._writer = SummaryWriter(log_dir=str(self.folder), purge_step=purge)
        if start == 0:
            self._writer.add_text("arguments", f"```json\n{as_text(hyper_parameters(args))}\n```")
            config = model_config(model)
            if config:
                self._writer.add_text("config", f"```json\n{as_text(config)}\n```")

    def write(self, state: TrainerState, numbers: dict[str, float]) -> None:
        for name, value in sorted_by_kind(numbers).items():
            self._writer.add_scalar(name, value, state.global_step)
        self._writer.flush()

    def end(self, state: TrainerState) -> None:
        self._writer.close()


def log_folder(args: Any, state: TrainerState, *, resumed: bool) -> Path:
    """The folder of a run: that of the latest one for a training that goes on, else one that is not there yet."""
    if args.logging_dir and not state.is_hyper_param_search:
        return Path(args.logging_dir)
    runs = Path(args.logging_dir or Path(args.output_dir) / "runs")
    title = run_title(args, state)
    named = title or time.strftime("%Y-%m-%d_%H-%M-%S")
    if resumed:
        there = [path for path in runs.glob("*") if path.is_dir() and (title is None or _is_run(path.name, title))]
        if there:
            return max(there, key=lambda path: (path.stat().st_mtime, path.name))
    number = 2
    folder = runs / named
    while folder.exists():
        folder, number = runs / f"{named}-{number}", number + 1
    return folder


def _is_run(name: str, title: str) -> bool:
    return name == title or (name.startswith(f"{title}-") and name[len(title) + 1 :].isdigit())
