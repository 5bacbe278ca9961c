import numpy as np
import pyarrow as pa
import pytest

from madang.datasets import Dataset, Json, Value
from madang.datasets.mixed import as_json, is_mixed
from madang.errors import InputError


@pytest.mark.parametrize(
    "values",
    [
        [1, "x"],
        [None, 1, "x"],
        [[1], 2],
        [[1, "x"]],
        [[1], ["x"]],
        [{"a": 1}, {"b": 1}],
        [{"a": 1}, {"a": 1, "b": 2}],
        [{"a": 1}, {"a": "x"}],
        [{"a": {"b": 1}}, {"a": {"c": 1}}],
        [{}],
        [np.int64(1), np.str_("x")],
    ],
)
def test_values_without_a_common_type(values):
    assert is_mixed(values)


@pytest.mark.parametrize(
    "values",
    [
        [],
        [None],
        [1, 2.5, True, None],
        [np.int32(1), np.float32(2), 3],
        ["x", None],
        [[], [1], None, [2.5]],
        [(1, 2), [3]],
        [{"a": 1}, None, {"a": None}, {"a": 2.5}],
    ],
)
def test_values_with_one(values):
    assert not is_mixed(values)


def test_json_is_used_where_it_is_asked_for():
    assert as_json([1, "x"], None) is None
    assert as_json([1, "x"], "use_json") == Json()
    assert as_json([1, 2], "use_json") is None
    for typed in (np.array([1, 2]), pa.array([1]), pa.chunked_array([[1]])):
        assert as_json(typed, "use_json") is None
    with pytest.raises(ValueError, match="Did you mean 'use_json'"):
        as_json([1], "use_jsno")


ROWS = [{"a": 1, "d": {"x": 1}}, {"a": "둘", "d": {"y": [2]}}, {"a": None, "d": None}]


class TestInDatasets:
    def test_from_list_gives_back_what_was_put_in(self):
        data = Dataset.from_list(ROWS, on_mixed_types="use_json")
        assert data.features == {"a": Json(), "d": Json()}
        assert data.to_list() == ROWS

    def test_without_it_the_column_is_named(self):
        with pytest.raises(InputError, match="column 'a' mixes values that have no common type"):
            Dataset.from_list([{"a": 1}, {"a": "x"}])

    def test_map_stores_mixed_values_as_json(self):
        data = Dataset.from_dict({"i": [0, 1]})
        mapped = data.map(lambda row: {"v": "x" if row["i"] else 1})
        assert (mapped.features["v"], mapped["v"]) == (Json(), [1, "x"])

    def test_dicts_of_different_keys_stay_structs_unless_asked(self):
        data = Dataset.from_dict({"i": [0, 1]})

        def make(row):
            return {"v": {"x": 1} if row["i"] else {"y": "a"}}

        assert data.map(make)["v"] == [{"x": None, "y": "a"}, {"x": 1, "y": None}]
        assert data.map(make, on_mixed_types="use_json")["v"] == [{"y": "a"}, {"x": 1}]

    def test_numbers_of_both_kinds_are_not_mixed(self):
        mapped = Dataset.from_dict({"i": [0, 1]}).map(lambda row: {"v": 0.5 if row["i"] else 1})
        assert mapped.features["v"] == Value("float64")
