"""Scores of predictions: plain arrays in, numbers out. One file per kind of task."""

from madang.metrics.classification import accuracy, confusion_matrix, f1, matthews, precision, recall
from madang.metrics.entities import entities, entity_scores
from madang.metrics.regression import mean_absolute_error, mean_squared_error, pearson, spearman
from madang.metrics.streaming import ClassScores

__all__ = [
    "ClassScores",
    "accuracy",
    "confusion_matrix",
    "entities",
    "entity_scores",
    "f1",
    "matthews",
    "mean_absolute_error",
    "mean_squared_error",
    "pearson",
    "precision",
    "recall",
    "spearman",
]
