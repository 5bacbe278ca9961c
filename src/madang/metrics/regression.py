"""Scores of predicted numbers against true ones, which come first; both are of one dimension and equal length."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from madang.errors import InputError

Numbers = np.ndarray[Any, np.dtype[np.float64]]


def mean_squared_error(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The mean of the squared differences."""
    true, predicted = _pair(labels, predictions)
    return float(((true - predicted) ** 2).mean())


def mean_absolute_error(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The mean of the differences, all taken as positive."""
    true, predicted = _pair(labels, predictions)
    return float(np.abs(true - predicted).mean())


def pearson(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The linear correlation, -1 to 1; not a number where one side is constant or there are fewer than two rows."""
    true, predicted = _pair(labels, predictions)
    true, predicted = _spread(true), _spread(predicted)
    below = np.sqrt((true @ true) * (predicted @ predicted))
    return float(np.clip(true @ predicted / below, -1, 1)) if below else float("nan")


def spearman(labels: ArrayLike, predictions: ArrayLike) -> float:
    """The correlation of the ranks, -1 to 1; equal values share the mean of their ranks."""
    true, predicted = _pair(labels, predictions)
    return pearson(_ranks(true), _ranks(predicted))


def _spread(values: Numbers) -> Numbers:
    """Differences from the mean, scaled to at most 1, so that squares neither vanish nor overflow."""
    if (values == values[0]).all():
        return np.zeros_like(values)
    away = values - values.mean()
    scaled: Numbers = away / np.abs(away).max()
    return scaled


def _ranks(values: Numbers) -> Numbers:
    _, group, sizes = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(sizes)
    ranks: Numbers = ((last - sizes + 1 + last) / 2)[group]
    return ranks


def _pair(labels: ArrayLike, predictions: ArrayLike) -> tuple[Numbers, Numbers]:
    true, predicted = np.asarray(labels, dtype=np.float64), np.asarray(predictions, dtype=np.float64)
    if predicted.shape == (*true.shape, 1):  # logits of a model with one output
        predicted = predicted[..., 0]
    if true.ndim != 1 or true.shape != predicted.shape:
        raise InputError(
            "one true and one predicted number per row are needed, but the shapes are "
            f"{true.shape} and {predicted.shape}."
        )
    if not true.size:
        raise InputError("there is nothing to score: no row was given.")
    return true, predicted
