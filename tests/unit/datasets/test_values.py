import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import values
from madang.datasets.values import join, lengths, to_arrow, to_numpy, to_python
from madang.errors import InputError

cells = st.one_of(
    st.lists(st.one_of(st.none(), st.integers(-(2**40), 2**40))),
    st.lists(st.floats(allow_nan=False)),
    st.lists(st.booleans()),
    st.lists(st.text(max_size=4)),
    st.lists(st.lists(st.integers(0, 9), max_size=3)),
    st.lists(st.one_of(st.none(), st.lists(st.text(max_size=2), max_size=2))),
    st.lists(st.fixed_dictionaries({"a": st.integers(0, 3), "b": st.lists(st.floats(0, 1), max_size=2)})),
)


@given(cells, st.integers(0, 3))
def test_python_values_survive_arrow_also_sliced(values, start):
    array = to_arrow(values)
    assert to_python(array) == values
    assert to_python(array.slice(start)) == values[start:]


def test_parts_widen_when_joined():
    parts = [pa.array([None]), pa.array([1]), pa.array([1.5])]
    assert join(parts, "a").to_pylist() == [None, 1.0, 1.5]
    assert join([pa.array([[]]), pa.array([["x"]])], "a").to_pylist() == [[], ["x"]]
    with pytest.raises(InputError, match="column 'a' got values of types"):
        join([pa.array([1]), pa.array(["x"])], "a")


@pytest.mark.parametrize("size", [0, 2])
def test_lists_of_one_length_are_lists(size: int) -> None:
    array = pa.array([[1, 2][:size], [3, 4][:size]] * 2, pa.list_(pa.int64(), size)).slice(1, 2)
    assert to_python(array) == array.to_pylist()
    assert lengths(array).tolist() == [size, size]


def test_views_are_texts() -> None:
    array = pa.array(["한글", None, ""], pa.string_view())
    assert lengths(array).tolist() == [2, 0, 0]
    assert [values.cells(array)(row) for row in range(3)] == ["한글", None, ""]
    assert values.cells(array.slice(0, 1))(0) == "한글"
    assert to_numpy(array.slice(2), "a").tolist() == [""]
