"""Which rows go where; test_dataset.py asks the datasets that have them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import train_test
from madang.errors import InputError


def test_classes_whose_remainders_tie_are_drawn_as_the_datasets_package_draws():
    # 12 · 7 / 20 and 12 · 9 / 20 leave the same remainder only when they are computed in this order
    labels = np.repeat([0, 1, 2], [7, 9, 4])
    train, test = train_test.stratified(labels, 12, 4, np.random.default_rng(5))
    assert train.tolist() == [10, 13, 2, 8, 15, 7, 18, 16, 4, 3, 1, 14]
    assert test.tolist() == [19, 9, 11, 0]


@given(st.lists(st.integers(2, 9), min_size=1, max_size=4), st.data())
def test_every_class_has_its_share_and_no_row_comes_twice(counts, data):
    total = sum(counts)
    train = data.draw(st.integers(len(counts), total - len(counts)))
    test = data.draw(st.integers(len(counts), total - train))
    labels = np.random.default_rng(0).permutation(np.repeat(np.arange(len(counts)), counts))
    parts = train_test.stratified(labels, train, test, np.random.default_rng(1))
    assert [len(part) for part in parts] == [train, test]
    assert len(set(np.concatenate(parts).tolist())) == train + test
    found = np.bincount(labels[parts[0]], minlength=len(counts))
    assert np.all(np.abs(found - np.array(counts) / total * train) < 1)


@pytest.mark.parametrize(
    ("given_sizes", "expected"),
    [
        ((None, None), (7, 3)),
        ((0.25, None), (7, 3)),
        ((None, 0.25), (2, 8)),
        ((3, 0.55), (5, 3)),
        ((np.int64(1), 2), (2, 1)),
    ],
)
def test_sizes(given_sizes, expected):
    assert train_test.sizes(10, *given_sizes) == expected


def test_sizes_that_are_none():
    for size in (True, "3", 0, -1, 0.0, 1.5):
        with pytest.raises(InputError):
            train_test.sizes(10, size, None)
    with pytest.raises(ValueError, match=r"add up to 1\.1"):
        train_test.sizes(10, 0.5, 0.6)
    with pytest.raises(ValueError, match="no row of 1 is left for training"):
        train_test.sizes(1, 0.5, None)


def test_stratifying_too_few_rows_says_which_side():
    labels = np.array([0, 0, 1, 1])
    with pytest.raises(ValueError, match="test_size is 1, but there are 2 classes"):
        train_test.stratified(labels, 3, 1, np.random.default_rng(0))
