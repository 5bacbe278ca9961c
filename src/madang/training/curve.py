"""How a training went, as a picture: losses above, metrics below, per optimizer step."""

import math
import os
import sys
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from madang.errors import InputError
from madang.training.callbacks import TrainerCallback, TrainerControl, TrainerState
from madang.training.reports.jsonl import FILE, write_metrics
from madang.writing import write_file

# (step, value) by step
Points = list[tuple[int, float]]

HOW_TO_DRAW = "pip install 'madang[plots]'"
# Okabe and Ito's colours, which people who see few colours tell apart
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_NO_METRICS = ("_runtime", "_samples_per_second", "_steps_per_second", "_jit_compilation_time")


def draw_curve(log_history: Iterable[Mapping[str, Any]], path: str | os.PathLike[str]) -> Path | None:
    """Write a PNG, 1280 pixels wide; None, and no file, when nothing was logged that could be drawn.

    Raises InputError where matplotlib is not installed.
    """
    losses, metrics = curves(log_history)
    if not losses and not metrics:
        return None
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
        from matplotlib.ticker import MaxNLocator
    except ImportError as error:
        raise InputError(f"drawing a curve needs matplotlib: {HOW_TO_DRAW}") from error

    panels = [("loss", losses)] if losses else []
    # scores and, say, perplexities cannot share an axis
    scores = {name: points for name, points in metrics.items() if all(-1 <= value <= 1 for _, value in points)}
    panels += [("metrics", scores)] if scores else []
    others = {name: points for name, points in metrics.items() if name not in scores}
    panels += [("metrics", others)] if others else []

    # a figure of its own, not one of pyplot's: nothing of it stays, and no window system is looked for
    # 5 inches: letters that can be read when a phone shows its whole width
    figure = Figure(figsize=(5, 1.2 + 2.2 * len(panels)), dpi=256, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(panels), sharex=True, squeeze=False)[:, 0]
    for axis, (title, lines) in zip(axes, panels, strict=True):
        _panel(axis, title, lines)
    axes[-1].set_xlabel("step", fontsize=11)
    axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=6, steps=[1, 2, 5, 10], integer=True))
    path = Path(path)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # its box says as much
        write_file(path, lambda part: figure.savefig(part, format="png", facecolor="white"))
    return path


def curves(log_history: Iterable[Mapping[str, Any]]) -> tuple[dict[str, Points], dict[str, Points]]:
    """What was logged as lines: losses ("training", "validation", …) and the metrics of evaluations.

    Where a step was logged twice the first value counts: what is evaluated after training may be other weights, or
    other data. Values that are no numbers are left out.
    """
    losses: dict[str, dict[int, float]] = {"training": {}}
    metrics: dict[str, dict[int, float]] = {}
    for entry in log_history:
        step = int(entry.get("step", 0))
        for name, value in entry.items():
            if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
                continue
            if name == "loss":
                losses["training"].setdefault(step, value)
            elif name.startswith("eval_") and not name.endswith(_NO_METRICS):
                short = name.removeprefix("eval_")
                if short == "loss" or short.endswith("_loss"):
                    losses.setdefault(f"validation {short[:-5]}".strip(), {}).setdefault(step, value)
                else:
                    metrics.setdefault(short.replace("_", " "), {}).setdefault(step, value)

    def lines(found: dict[str, dict[int, float]]) -> dict[str, Points]:
        return {name: sorted(points.items()) for name, points in found.items() if points}

    return lines(losses), lines(metrics)


def _panel(axis: Any, title: str, lines: dict[str, Points]) -> None:
    for place, (name, points) in enumerate(lines.items()):
        colour = _COLOURS[place % len(_COLOURS)]
        style = "-" if place < len(_COLOURS) else "--"
        steps, values = [step for step, _ in points], [value for _, value in points]
        if name == "training" and len(points) > 40:  # single steps jump; what counts is where they go
            axis.plot(steps, values, color=colour, alpha=0.25, linewidth=0.8)
            values = _smooth(values)
        marker = "o" if len(points) <= 30 else None
        axis.plot(steps, values, style, color=colour, label=name, marker=marker, markersize=4, linewidth=1.6)
    axis.set_ylabel(title, fontsize=11)
    axis.tick_params(labelsize=10)
    axis.grid(visible=True, color="#DDDDDD", linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    handles = [line for line in axis.get_lines() if line.get_alpha() is None]
    labels = [name[:28].replace("$", r"\$") for name in lines]  # not a formula
    # above the panel, where no line can run through it
    columns = 2 if max(map(len, labels)) > 12 else 3
    look = {"fontsize": 10, "frameon": False, "borderaxespad": 0.2}
    axis.legend(handles, labels, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, **look)


def _smooth(values: list[float]) -> list[float]:
    """Means of each value and its neighbours, a twentieth of all of them to each side."""
    reach = max(1, len(values) // 20)
    return [sum(part) / len(part) for part in (values[max(0, i - reach) : i + reach + 1] for i in range(len(values)))]


class CurveCallback(TrainerCallback):
    """When training ends, writes `curve.png` and `metrics.jsonl` (everything that was logged) into the output folder,
    or says in one line how to get the picture."""

    def on_train_end(self, args: Any, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if not state.is_world_process_zero:
            return
        folder = Path(args.output_dir)
        write_metrics(folder / FILE, state.log_history)
        try:
            draw_curve(state.log_history, folder / "curve.png")
        except InputError as error:
            sys.stdout.write(f"There is no picture of the training: {error}\n")
