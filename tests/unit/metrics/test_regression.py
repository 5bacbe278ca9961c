import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.errors import InputError
from madang.metrics import mean_absolute_error, mean_squared_error, pearson, spearman

numbers = st.floats(-1e3, 1e3).map(lambda value: round(value, 2))
rows = st.lists(st.tuples(numbers, numbers), min_size=2, max_size=20)


def test_errors_computed_by_hand():
    assert mean_squared_error([1, 2, 3], [1, 4, 2]) == pytest.approx(5 / 3)
    assert mean_absolute_error([1, 2, 3], [1, 4, 2]) == pytest.approx(1)


def test_pearson_computed_by_hand():
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert pearson([1, 2, 3], [-2, -4, -6]) == pytest.approx(-1)


def test_spearman_shares_ranks_between_equal_values():
    assert spearman([1, 2, 3, 4], [10, 100, 1000, 10000]) == pytest.approx(1)
    # ranks 1, 2.5, 2.5, 4 against 1, 2, 3, 4
    assert spearman([5, 6, 6, 9], [1, 2, 3, 4]) == pytest.approx(4.5 / math.sqrt(4.5 * 5))


@given(rows)
def test_pearson_equals_numpy(pairs):
    true, predicted = map(np.array, zip(*pairs, strict=True))
    if np.ptp(true) < 0.1 or np.ptp(predicted) < 0.1:
        return
    assert pearson(true, predicted) == pytest.approx(np.corrcoef(true, predicted)[0, 1], abs=1e-9)


@given(rows)
def test_spearman_is_pearson_of_naive_ranks(pairs):
    true, predicted = zip(*pairs, strict=True)

    def rank(values):
        return [sum(v < value for v in values) + (sum(v == value for v in values) + 1) / 2 for value in values]

    if len(set(true)) < 2 or len(set(predicted)) < 2:
        assert math.isnan(spearman(true, predicted))
    else:
        assert spearman(true, predicted) == pytest.approx(pearson(rank(true), rank(predicted)))


def test_a_constant_side_has_no_correlation():
    assert math.isnan(pearson([1, 1, 1], [1, 2, 3]))
    assert math.isnan(pearson([0.1, 0.1, 0.1], [1, 2, 3]))


def test_logits_of_one_output_are_taken_as_they_are():
    assert mean_squared_error([1.0, 2.0], [[1.0], [4.0]]) == 2


def test_different_lengths_are_refused():
    with pytest.raises(InputError, match=r"\(2,\) and \(3,\)"):
        pearson([1, 2], [1, 2, 3])
