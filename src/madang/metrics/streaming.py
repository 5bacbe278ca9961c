"""Scores that are counted batch by batch: the memory they take does not grow with the number of rows."""

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from madang.errors import InputError, unknown_name
from madang.metrics.classification import averaged, correlation

SCORES = ("accuracy", "f1", "precision", "recall", "matthews")
IGNORED = -100


class ClassScores:
    """Scores of predicted classes, added up: `compute_metrics=ClassScores("accuracy", "f1")`.

    `add_batch` takes classes, or logits with one more axis; labels that are -100 are left out. `compute` gives the
    scores by name, equal to those of the functions of these names, and begins anew. `average` as in `f1`.

    Example:
        >>> scores = ClassScores("accuracy")
        >>> scores.add_batch(predictions=[[0.1, 0.9], [0.8, 0.2]], references=[1, 1])
        >>> scores.compute()
        {'accuracy': 0.5}
    """

    wants_classes = True  # a trainer need not take more than the most likely class from the device

    def __init__(self, *scores: str, average: str = "macro") -> None:
        self._scores, self._average = scores or ("accuracy", "f1"), average
        for score in self._scores:
            if score not in SCORES:
                raise unknown_name("score", score, SCORES)
        self._pairs: Counter[tuple[Any, Any]] = Counter()

    def add_batch(self, predictions: ArrayLike, references: ArrayLike) -> None:
        """One batch: classes, or logits of which the largest counts; and the true classes, of any shape."""
        true, predicted = np.asarray(references), np.asarray(predictions)
        if predicted.ndim == true.ndim + 1:
            predicted = predicted.argmax(-1)
        if true.shape != predicted.shape:
            raise InputError(
                f"one predicted class per label is needed, but the shapes are {predicted.shape} and {true.shape}."
            )
        kept = true != IGNORED
        self._pairs.update(zip(true[kept].tolist(), predicted[kept].tolist(), strict=True))

    def compute(self) -> dict[str, Any]:
        """The scores of all batches since the last time."""
        if not self._pairs:
            raise InputError("there is nothing to score: no row was given.")
        classes = sorted({each for pair in self._pairs for each in pair})
        place = {each: number for number, each in enumerate(classes)}
        table = np.zeros((len(classes), len(classes)))
        for (true, predicted), count in self._pairs.items():
            table[place[true], place[predicted]] = count
        self._pairs.clear()
        right, predicted, true = table.diagonal(), table.sum(0), table.sum(1)
        found: dict[str, Callable[[], Any]] = {
            "accuracy": lambda: float(right.sum() / table.sum()),
            "f1": lambda: averaged(2 * right, predicted + true, true, self._average),
            "precision": lambda: averaged(right, predicted, true, self._average),
            "recall": lambda: averaged(right, true, true, self._average),
            "matthews": lambda: correlation(table),
        }
        return {score: found[score]() for score in self._scores}
