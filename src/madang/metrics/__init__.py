"""Scores of predictions: plain arrays in, numbers out. One file per kind of task."""

from madang.metrics.classification import accuracy, confusion_matrix, f1, matthews, precision, recall
from madang.metrics.regression import mean_absolute_error, mean_squared_error, pearson, spearman

__all__ = [
    "accuracy",
    "confusion_matrix",
    "f1",
    "matthews",
    "mean_absolute_error",
    "mean_squared_error",
    "pearson",
    "precision",
    "recall",
    "spearman",
]
