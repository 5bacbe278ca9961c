"""What `compute_metrics` may be: a function of all predictions, one called per batch, or an object that adds up.

The last two need no prediction to be kept, so that evaluating takes the same memory for any number of rows.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from madang.errors import WrongTypeError
from madang.training.gathered import Gathered, mapped
from madang.training.results import EvalPrediction


class Rows(NamedTuple):
    """What a batch gave, or all of them: numpy arrays, or tuples, lists and dicts of them; None what is not there."""

    predictions: Any
    labels: Any
    inputs: Any = None
    losses: Any = None


class AllAtOnce:
    """Keeps every row, for a function `compute(prediction)` or for whoever asked for the predictions."""

    def __init__(self, filler: int) -> None:
        self._gathered = (Gathered(filler), Gathered(), Gathered(), Gathered())
        self._rows: Rows | None = None

    def add(self, rows: Rows) -> None:
        """One batch."""
        for gathered, value in zip(self._gathered, rows, strict=True):
            gathered.add(value)

    def rows(self) -> Rows:
        """All batches as one."""
        if self._rows is None:
            self._rows = Rows(*(gathered.joined() for gathered in self._gathered))
        return self._rows

    def computed(self, compute: Any) -> Any:
        """What the function says of all rows."""
        return compute(EvalPrediction(*self.rows()))


class BatchByBatch:
    """Calls `compute(prediction, compute_result=…)` with every batch, as tensors; the last one's answer counts."""

    def __init__(self, compute: Any) -> None:
        self._compute = compute
        self._last: Rows | None = None

    def add(self, rows: Rows) -> None:
        """One batch; whether it is the last one is known when the next one comes, or none."""
        if self._last is not None:
            self._call(compute_result=False)
        self._last = rows

    def computed(self) -> Any:
        """The answer."""
        return self._call(compute_result=True)

    def _call(self, *, compute_result: bool) -> Any:
        assert self._last is not None
        return self._compute(EvalPrediction(*map(_tensors, self._last)), compute_result=compute_result)


class AddingUp:
    """Gives every batch to `metric.add_batch(predictions=…, references=…)`, and asks `metric.compute()` at the end."""

    def __init__(self, metric: Any) -> None:
        self._metric = metric

    def add(self, rows: Rows) -> None:
        """One batch."""
        self._metric.add_batch(predictions=rows.predictions, references=rows.labels)

    def computed(self) -> Any:
        """The metric's answer."""
        return self._metric.compute()


def streaming(compute: Any, *, by_batch: bool) -> BatchByBatch | AddingUp | None:
    """How `compute` gets its rows one batch after the other; None when it wants all at once."""
    if callable(getattr(compute, "add_batch", None)) and callable(getattr(compute, "compute", None)):
        return AddingUp(compute)
    return BatchByBatch(compute) if by_batch and compute is not None else None


def wants_classes(compute: Any) -> bool:
    """Whether a metric says that the most likely class is all it needs of the logits."""
    return bool(getattr(compute, "wants_classes", False))


def named(computed: Mapping[str, Any], prefix: str) -> dict[str, Any]:
    """Metrics as plain numbers, each under the prefix."""
    if not isinstance(computed, Mapping):
        raise WrongTypeError(
            f"compute_metrics returned {computed!r:.40} ({type(computed).__name__}); expected a dict from names to "
            'numbers, such as {"accuracy": 0.5}.'
        )
    found = {}
    for name, value in computed.items():
        plain = value.item() if hasattr(value, "item") and _is_one(value) else value
        found[name if name.startswith(f"{prefix}_") else f"{prefix}_{name}"] = plain
    return found


def _is_one(value: Any) -> bool:
    return bool(value.numel() == 1 if isinstance(value, torch.Tensor) else getattr(value, "size", 1) == 1)


def _tensors(nested: Any) -> Any:
    return None if nested is None else mapped(torch.as_tensor, nested)
