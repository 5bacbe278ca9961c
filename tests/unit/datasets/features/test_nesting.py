import numpy as np
import pyarrow as pa
import pytest

from madang.datasets.features.nesting import changed_list, changed_struct

ROWS = [[0, 1, 2], [3, None, 5], None, [6, 7, 8], None]


@pytest.mark.parametrize("given", [pa.list_(pa.int32()), pa.large_list(pa.int32()), pa.list_(pa.int32(), 3)])
@pytest.mark.parametrize("wanted", [pa.list_(pa.int64()), pa.large_list(pa.int64()), pa.list_(pa.int64(), 3)])
@pytest.mark.parametrize("part", [slice(None), slice(1, None), slice(-1), slice(1, 3), slice(2, 3), slice(1, 1)])
def test_lists_of_every_width_become_every_other(given, wanted, part):
    array = pa.array(ROWS, given)[part]
    seen = []
    made = changed_list(array, wanted, lambda values: seen.append(len(values)) or values.cast(pa.int64()))
    made.validate(full=True)
    assert made.type == wanted
    assert made.to_pylist() == ROWS[part]
    assert seen == [sum(len(row) for row in ROWS[part] if row is not None)]  # nothing outside the slice is touched


def test_values_under_empty_cells_are_left_out():
    array = pa.ListArray.from_arrays(pa.array([0, 2, 3], pa.int32()), pa.array([1, 2, 3]), mask=pa.array([True, False]))
    assert changed_list(array, array.type, lambda values: values).to_pylist() == [None, [3]]


def test_another_length_is_told():
    with pytest.raises(ValueError, match="a list of 1 values is not of length 2"):
        changed_list(pa.array([[1, 2], None, [1]]), pa.list_(pa.int64(), 2), lambda values: values)


def test_another_declared_length_is_told_even_of_no_lists():
    with pytest.raises(ValueError, match="lists of length 3 are not of length 2"):
        changed_list(pa.array([None], pa.list_(pa.int64(), 3)), pa.list_(pa.int64(), 2), lambda values: values)


def test_too_many_values_for_narrow_lists_are_told(monkeypatch):
    monkeypatch.setattr(np, "iinfo", lambda _: type("Few", (), {"max": 2}))
    with pytest.raises(ValueError, match=r"3 values together.*LargeList"):
        changed_list(pa.array([[1, 2], [3]]), pa.list_(pa.int64()), lambda values: values)


def test_members_of_structs_are_changed_and_empty_rows_stay_empty():
    array = pa.array([{"a": 1, "b": "x"}, None, {"a": None, "b": "y"}])[1:]
    made = changed_struct(
        array, {"b": lambda member: member, "a": lambda member: member.cast("int8"), "c": lambda _: pa.nulls(2)}
    )
    assert made.to_pylist() == [None, {"b": "y", "a": None, "c": None}]
    assert made.type.field("a").type == pa.int8()


def test_what_lies_under_an_empty_struct_is_not_data():
    array = pa.StructArray.from_arrays([pa.array([9, 1])], names=["a"], mask=pa.array([True, False]))
    seen = []
    changed_struct(array, {"a": lambda member: seen.extend(member.to_pylist()) or member})
    assert seen == [None, 1]


def test_a_struct_without_members_keeps_its_rows():
    assert changed_struct(pa.array([{}, None], pa.struct([])), {}).to_pylist() == [{}, None]
