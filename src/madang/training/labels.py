"""Whether a dataset's labels fit the model: asked before time is spent, and told with the column's name."""

from typing import Any

import numpy as np
from torch import nn

from madang.errors import InputError


def check_labels(dataset: Any, column: str, model: nn.Module) -> None:
    """Refuse labels that the model's loss cannot use before time is spent, naming the column and what is expected."""
    if len(dataset) == 0:
        return
    config, task, name = getattr(model, "config", None), getattr(model, "task", None), type(model).__name__
    classes = getattr(config, "num_labels", None)
    value = dataset[0][column]
    first = value[0] if isinstance(value, (list, tuple)) and value else value
    if isinstance(first, str):
        raise InputError(
            f"column {column!r} holds texts such as {first!r}, but {name} expects numbers"
            f"{f' from 0 to {classes - 1}' if classes and classes > 1 else ''}. "
            f"dataset.class_encode_column({column!r}) turns names of classes into numbers."
        )
    if value is None:
        raise InputError(
            f"column {column!r} has an empty cell in its first row, but {name} expects a label in every row."
        )
    if task == "sequence-classification" and classes:
        _check_classes(dataset, column, value, name, classes, getattr(config, "problem_type", None))


def _check_classes(dataset: Any, column: str, value: Any, model: str, classes: int, problem: str | None) -> None:
    """Labels of whole texts: a class number, a number to predict, or a vector with one entry per class."""
    size = np.ndim(value)
    vector = f"column {column!r} holds {'lists of ' + str(len(value)) if size else type(value).__name__} values"
    if problem == "multi_label_classification" or (size and problem is None and classes > 1):
        if size != 1 or len(value) != classes:
            raise InputError(f"{vector}, but {model} expects one list of {classes} numbers (0 or 1) per row.")
        return
    if problem == "regression" or (problem is None and classes == 1):
        if size and len(value) != classes:
            raise InputError(f"{vector}, but {model} expects {classes} number(s) per row.")
        return
    if size or np.asarray(value).dtype.kind not in "iub":
        raise InputError(
            f"{vector}, but {model} expects one whole number from 0 to {classes - 1} per row. For numbers to predict, "
            "load it with num_labels=1; for several classes at once, with problem_type='multi_label_classification'."
        )
    numbers = np.asarray(dataset[column])
    if numbers.dtype.kind not in "iub":
        raise InputError(
            f"column {column!r} has empty cells, but {model} expects a label from 0 to {classes - 1} in every row."
        )
    outside = numbers[(numbers != -100) & ((numbers < 0) | (numbers >= classes))]
    if outside.size:
        raise InputError(
            f"column {column!r} holds {outside[0]}, but {model} has {classes} classes, 0 to {classes - 1}. "
            f"Load it with num_labels={int(numbers.max()) + 1}."
        )
