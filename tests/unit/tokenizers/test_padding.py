"""Rows made equal and rows made arrays."""

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.errors import UnknownNameError
from madang.tokenizers.padding import as_rows, found_tensor_type, pad_array, pad_rows, tensor_type

ROWS = st.lists(st.lists(st.integers(-100, 60000), max_size=7), max_size=6)


@given(rows=ROWS, extra=st.integers(0, 3), side=st.sampled_from(["left", "right"]))
def test_the_array_holds_what_the_padded_lists_hold(rows: list[list[int]], extra: int, side: str) -> None:
    length = max(map(len, rows), default=0) + extra
    array = pad_array(rows, length, -7, side)
    assert array.dtype == numpy.int64
    assert array.shape == (len(rows), length)
    assert array.tolist() == pad_rows(rows, length, -7, side)


def test_longer_rows_stay_and_the_rows_given_are_not_changed() -> None:
    rows = [[1], [1, 2, 3]]
    assert pad_rows(rows, 2, 0, "left") == [[0, 1], [1, 2, 3]]
    assert rows == [[1], [1, 2, 3]]


def test_rows_from_arrays_of_any_nesting() -> None:
    assert as_rows(numpy.array([[1, 2], [3, 4]])) == [[1, 2], [3, 4]]
    assert as_rows([numpy.array([1]), numpy.array([2, 3])]) == [[1], [2, 3]]
    assert as_rows((1, 2)) == [1, 2]
    assert as_rows([numpy.int64(1), numpy.int64(2)]) == [1, 2]
    assert as_rows([]) == []


def test_kinds_of_tensors() -> None:
    assert found_tensor_type([[1]]) is None
    assert found_tensor_type([numpy.array([1])]) == "np"
    assert found_tensor_type([numpy.int64(1)]) is None
    assert tensor_type("pt") == "pt"
    with pytest.raises(UnknownNameError, match="unknown return_tensors 'tf'"):
        tensor_type("tf")
