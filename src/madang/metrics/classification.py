"""Scores of predicted classes against true ones.

Everywhere the true classes come first. Classes are whole numbers or names, given as lists or arrays of one dimension.
A score whose denominator is zero (a class that was never predicted) counts as 0.
"""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from madang.errors import InputError, unknown_name

AVERAGES = ("micro", "macro", "weighted")


def accuracy(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The part of predictions that are right."""
    true, predicted = _pair(labels, predictions)
    return float((true == predicted).mean())


def precision(labels: ArrayLike, predictions: ArrayLike, average: str | None = "macro") -> Any:
    """Of what was predicted to be a class, the part that is; see `f1` for `average`."""
    right, predicted, true = _counts(labels, predictions)
    return averaged(right, predicted, true, average)


def recall(labels: ArrayLike, predictions: ArrayLike, average: str | None = "macro") -> Any:
    """Of what is a class, the part that was predicted to be; see `f1` for `average`."""
    right, _, true = _counts(labels, predictions)
    return averaged(right, true, true, average)


def f1(labels: ArrayLike, predictions: ArrayLike, average: str | None = "macro") -> Any:
    """The harmonic mean of precision and recall.

    `average`: "macro" is the mean over the classes that occur, "weighted" weighs each by how often it is true,
    "micro" counts all classes together, None gives an array with one score per class in sorted order.
    """
    right, predicted, true = _counts(labels, predictions)
    return averaged(2 * right, predicted + true, true, average)


def confusion_matrix(
    labels: ArrayLike, predictions: ArrayLike, classes: ArrayLike | None = None
) -> np.ndarray[Any, Any]:
    """How often each true class (row) was predicted to be each class (column); (classes, classes) int64.

    `classes` lists them in order; without it, those that occur, sorted.
    """
    true, predicted = _pair(labels, predictions)
    known = np.unique(np.concatenate([true, predicted])) if classes is None else np.asarray(classes)
    order = np.argsort(known, kind="stable")
    rows, columns = (
        order[np.searchsorted(known, values, sorter=order).clip(max=len(known) - 1)] for values in (true, predicted)
    )
    missing = set(true[known[rows] != true].tolist()) | set(predicted[known[columns] != predicted].tolist())
    if missing:
        raise InputError(f"classes {sorted(missing)} occur but are not among {known.tolist()}.")
    counts = np.bincount(rows * len(known) + columns, minlength=len(known) ** 2)
    return counts.reshape(len(known), len(known)).astype(np.int64)


def matthews(labels: ArrayLike, predictions: ArrayLike) -> float:
    """Matthews' correlation for any number of classes, -1 to 1; 0 is chance. 0 too where only one class occurs."""
    return correlation(confusion_matrix(labels, predictions))


def correlation(table: np.ndarray[Any, Any]) -> float:
    """Matthews' correlation of a confusion matrix."""
    table = table.astype(np.float64)
    true, predicted, total = table.sum(1), table.sum(0), table.sum()
    above = table.trace() * total - true @ predicted
    below = np.sqrt((total**2 - predicted @ predicted) * (total**2 - true @ true))
    return float(above / below) if below else 0.0


def _pair(labels: ArrayLike, predictions: ArrayLike) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    true, predicted = np.asarray(labels), np.asarray(predictions)
    if true.ndim != 1 or true.shape != predicted.shape:
        hint = " Take the class with the largest logit first: logits.argmax(-1)." if predicted.ndim == 2 else ""
        raise InputError(
            "one true and one predicted class per row are needed, but the shapes are "
            f"{true.shape} and {predicted.shape}.{hint}"
        )
    if not true.size:
        raise InputError("there is nothing to score: no row was given.")
    return true, predicted


Counts = np.ndarray[Any, np.dtype[np.float64]]


def _counts(labels: ArrayLike, predictions: ArrayLike) -> tuple[Counts, Counts, Counts]:
    """Per class: how often right, how often predicted, how often true."""
    table = confusion_matrix(labels, predictions).astype(np.float64)
    return table.diagonal(), table.sum(0), table.sum(1)


def averaged(above: Counts, below: Counts, true: Counts, average: str | None) -> Any:
    """Scores above / below, one per class, as one number; see `f1` for `average`."""
    if average == "micro":
        return float(above.sum() / below.sum())
    scores = np.divide(above, below, out=np.zeros_like(above), where=below > 0)
    if average is None:
        return scores
    if average == "macro":
        return float(scores.mean())
    if average == "weighted":
        return float(scores @ true / true.sum())
    raise unknown_name("average", str(average), AVERAGES)
