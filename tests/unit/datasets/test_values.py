import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets.values import join, to_arrow, to_python
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
