"""Which rows go into the training and which into the test part.

For the same seed these are the same rows as the datasets package (and scikit-learn) choose, so that results
published with either can be repeated.
"""

import math
from typing import Any

import numpy as np

from madang.errors import InputError

Rows = np.ndarray[Any, Any]


def sizes(total: int, test_size: float | int | None, train_size: float | int | None) -> tuple[int, int]:
    """How many rows train and test get: numbers of rows, or fractions; a quarter is for testing by default."""
    if test_size is None and train_size is None:
        test_size = 0.25
    for name, size in (("test_size", test_size), ("train_size", train_size)):
        _check(name, size, total)
    if isinstance(test_size, float) and isinstance(train_size, float) and test_size + train_size > 1:
        raise InputError(f"test_size and train_size are parts of one whole, but add up to {test_size + train_size}.")
    test = math.ceil(test_size * total) if isinstance(test_size, float) else test_size
    train = math.floor(train_size * total) if isinstance(train_size, float) else train_size
    if test is None:
        assert train is not None
        test = total - train
    elif train is None:
        train = total - test
    if train + test > total:
        raise InputError(f"train ({train}) and test ({test}) together need more rows than the {total} there are.")
    if train == 0:
        raise InputError(
            f"with test_size={test_size} and train_size={train_size} no row of {total} is left for training."
        )
    return train, test


def _check(name: str, size: float | int | None, total: int) -> None:
    if size is None:
        return
    if isinstance(size, bool) or not isinstance(size, (int, float, np.integer, np.floating)):
        raise InputError(f"{name} is a number of rows or a fraction, not {size!r}.")
    whole = isinstance(size, (int, np.integer))
    if (whole and not 0 < size < total) or (not whole and not 0 < size < 1):
        raise InputError(
            f"{name}={size} should be either positive and smaller than the number of samples {total} "
            "or a float in the (0, 1) range"
        )


def shuffled(total: int, train: int, test: int, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows for train and test at random: the first of a permutation are for testing."""
    order = random.permutation(total)
    return order[test : test + train], order[:test]


def stratified(labels: Rows, train: int, test: int, random: np.random.Generator) -> tuple[Rows, Rows]:
    """Rows for train and test such that every class has the same share in both, as nearly as whole rows allow."""
    classes, numbers = np.unique(labels, return_inverse=True)
    counts = np.bincount(numbers)
    if counts.min() < 2:
        raise InputError(f"stratifying needs at least 2 rows of every class; class {classes[counts.argmin()]} has 1.")
    for name, size in (("train_size", train), ("test_size", test)):
        if size < len(classes):
            raise InputError(
                f"stratifying needs at least one row per class: {name} is {size}, but there are {len(classes)} classes."
            )
    by_class = np.split(np.argsort(numbers, kind="stable"), np.cumsum(counts)[:-1])
    for_train = _shares(counts, train, random)
    for_test = _shares(counts - for_train, test, random)
    train_rows, test_rows = [], []
    for rows, first, second in zip(by_class, for_train, for_test, strict=True):
        rows = rows.take(random.permutation(len(rows)), mode="clip")
        train_rows.append(rows[:first])
        test_rows.append(rows[first : first + second])
    return random.permutation(np.concatenate(train_rows)), random.permutation(np.concatenate(test_rows))


def _shares(counts: Rows, draws: int, random: np.random.Generator) -> Rows:
    """`draws` shared out in proportion to `counts`, whole numbers by the largest remainder; ties are drawn."""
    exact = draws * counts / counts.sum()  # in this order: remainders that tie must be equal to the last bit
    shares = np.floor(exact)
    missing = int(draws - shares.sum())
    if missing > 0:
        remainder = exact - shares
        for value in np.sort(np.unique(remainder))[::-1]:
            (tied,) = np.where(remainder == value)
            tied = random.choice(tied, size=min(len(tied), missing), replace=False)
            shares[tied] += 1
            missing -= len(tied)
            if missing == 0:
                break
    counted: Rows = shares.astype(np.int64)
    return counted
