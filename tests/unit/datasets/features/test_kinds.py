"""What types hold."""

import pyarrow as pa
import pytest

from madang.datasets.features.kinds import is_list, is_number, is_text


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_texts_of_any_width(kind: pa.DataType) -> None:
    assert (is_text(kind), is_list(kind), is_number(kind)) == (True, False, False)


@pytest.mark.parametrize("kind", [pa.list_(pa.string()), pa.large_list(pa.int8()), pa.list_(pa.int8(), 2)])
def test_lists_of_any_width(kind: pa.DataType) -> None:
    assert (is_text(kind), is_list(kind), is_number(kind)) == (False, True, False)


@pytest.mark.parametrize("kind", [pa.int8(), pa.uint64(), pa.float16(), pa.float64()])
def test_numbers(kind: pa.DataType) -> None:
    assert (is_text(kind), is_list(kind), is_number(kind)) == (False, False, True)


@pytest.mark.parametrize("kind", [pa.bool_(), pa.decimal128(3), pa.binary(), pa.null(), pa.struct([])])
def test_nothing_else(kind: pa.DataType) -> None:
    assert not is_text(kind)
    assert not is_list(kind)
    assert not is_number(kind)
