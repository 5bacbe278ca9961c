"""Where metrics go while a model learns: a file, TensorBoard, and services. One file for each."""

from collections.abc import Iterable

from madang.errors import InputError, UnknownNameError, nearest
from madang.training.reports.jsonl import JsonLinesReporter, write_metrics
from madang.training.reports.mlflow import MLflowReporter
from madang.training.reports.reporter import Reporter
from madang.training.reports.tensorboard import TensorBoardReporter
from madang.training.reports.wandb import WandbReporter

__all__ = [
    "REPORTERS",
    "JsonLinesReporter",
    "MLflowReporter",
    "Reporter",
    "TensorBoardReporter",
    "WandbReporter",
    "check_reporters",
    "installed_reporters",
    "reporters",
    "write_metrics",
]

REPORTERS: dict[str, type[Reporter]] = {
    "jsonl": JsonLinesReporter,
    "mlflow": MLflowReporter,
    "tensorboard": TensorBoardReporter,
    "wandb": WandbReporter,
}


def reporters(names: str | Iterable[str] | None) -> list[Reporter]:
    """A callback for each of the names, in their order; "all" stands for those that are installed, "none" for none.

    Raises UnknownNameError for other names and InputError for one whose package is not installed.
    """
    return [REPORTERS[name]() for name in check_reporters(names)]


def check_reporters(names: str | Iterable[str] | None) -> list[str]:
    """The names, each once, "all" and "none" resolved; raises as `reporters` does."""
    asked = [names] if isinstance(names, str) else [*(names or ())]
    found: dict[str, None] = {}
    for name in asked:
        if name == "all":
            found |= dict.fromkeys(installed_reporters())
        elif name in REPORTERS:
            found[name] = None
        elif name != "none":
            raise UnknownNameError(
                f"report_to={name!r} is nothing Madang reports to.{nearest(str(name), REPORTERS)} It knows: "
                f"{', '.join(REPORTERS)}, 'all', 'none'. For others pass a callback whose on_log sends the numbers on."
            )
    for name in found:
        if not REPORTERS[name].is_installed():
            raise InputError(f"report_to={name!r} needs a package that is not installed: {REPORTERS[name].install}")
    return list(found)


def installed_reporters() -> list[str]:
    """Those whose packages are there."""
    return [name for name, reporter in REPORTERS.items() if reporter.is_installed()]
