"""Looking at streams and reading their rows."""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets import ClassLabel, Features, List, Value
from madang.datasets.info import DatasetInfo
from madang.datasets.stream import IterableColumn, IterableDataset


def rows() -> Iterator[dict[str, Any]]:
    for number in range(4):
        yield {"a": number, "b": {"c": [number], "d": "x"}}


def plus_one(row: dict[str, Any]) -> dict[str, Any]:
    return {"a": row["a"] + 1}


def test_it_prints_as_people_know_it() -> None:
    known = IterableDataset.from_dict({"a": [1, 2], "b": [1, 2]}, num_shards=2)
    assert repr(known) == "IterableDataset({\n    features: ['a', 'b'],\n    num_shards: 2\n})"
    assert repr(known.map(plus_one)) == "IterableDataset({\n    features: Unknown,\n    num_shards: 2\n})"


def test_a_row_by_number_is_refused_with_advice() -> None:
    data = IterableDataset.from_generator(rows)
    for key in (0, slice(2), [1, 2]):
        with pytest.raises(TypeError, match=r"next\(iter\(dataset\)\)"):
            data[key]


def test_a_column_is_iterated_again_and_again() -> None:
    data = IterableDataset.from_generator(rows)
    column = data["b"]["d"]
    assert isinstance(column, IterableColumn)
    assert list(column) == list(column) == ["x"] * 4
    assert list(data["a"]) == [0, 1, 2, 3]
    with pytest.raises(TypeError, match="column of a stream"):
        data["a"][0]
    with pytest.raises(KeyError, match="Did you mean 'title'"):
        IterableDataset.from_dict({"title": ["x"]})["titel"]


def test_what_is_known_of_it() -> None:
    info = DatasetInfo(description="about", citation="@x", size_in_bytes=42)
    data = IterableDataset.from_dict({"a": [1]}, info=info, split="train")
    assert (data.description, data.citation, data.size_in_bytes, data.split) == ("about", "@x", 42, "train")
    assert data.info.features == data.features == Features({"a": Value("int64")})
    assert (data.column_names, data.num_columns) == (["a"], 1)
    unknown = IterableDataset.from_generator(rows)
    assert (unknown.features, unknown.column_names, unknown.num_columns) == (None, None, None)


def test_features_are_found_in_the_first_rows() -> None:
    data = IterableDataset.from_generator(rows)._resolve_features()
    assert data.features == Features({"a": Value("int64"), "b": {"c": List(Value("int64")), "d": Value("string")}})
    assert list(data) == list(rows())


def test_columns_come_in_the_order_of_their_first_appearance() -> None:
    data = IterableDataset.from_generator(lambda: iter([{"a": 1}, {"c": 1}, {"b": 1}]))._resolve_features()
    assert data.column_names == ["a", "c", "b"]
    assert list(data)[1] == {"a": None, "c": 1, "b": None}


def test_an_empty_beginning_does_not_decide_the_type() -> None:
    data = IterableDataset.from_generator(lambda: ({"a": None if number < 50 else "x"} for number in range(60)))
    assert data._resolve_features().features == Features({"a": Value("string")})


def test_values_that_do_not_fit_guessed_features_are_kept() -> None:
    data = IterableDataset.from_generator(lambda: iter([{"a": 1}] * 6 + [{"a": "x"}]))._resolve_features()
    assert [row["a"] for row in data] == [1] * 6 + ["x"]


def test_the_first_row_comes_after_one_call() -> None:
    calls = []

    def slow(row: dict[str, Any]) -> dict[str, Any]:
        calls.append(row["a"])
        return {"b": 1}

    data = IterableDataset.from_dict({"a": list(range(5000))}).map(slow)
    assert next(iter(data)) == {"a": 0, "b": 1}
    assert calls == [0]


def test_batches_in_every_format() -> None:
    data = IterableDataset.from_dict({"a": [1, 2, 3], "b": ["x", "y", "z"]})
    assert list(data.iter(2)) == [{"a": [1, 2], "b": ["x", "y"]}, {"a": [3], "b": ["z"]}]
    assert len(list(data.iter(2, drop_last_batch=True))) == 1
    batch = next(data.with_format("numpy").iter(2))
    assert batch["a"].dtype == np.int64
    assert isinstance(next(data.with_format("arrow").iter(2)), pa.Table)
    with pytest.raises(ValueError, match="batch_size=0"):
        next(data.iter(0))


@pytest.mark.parametrize("kind", ["numpy", "torch", "arrow", "pandas"])
def test_rows_that_functions_made_come_out_in_the_format(kind: str) -> None:
    plain = IterableDataset.from_dict({"a": [1, 2, 3]})
    stored = IterableDataset.from_dict({"a": [1, 2, 3], "n": [2, 3, 4]}).with_format(kind)
    mapped = plain.map(lambda row: {"n": row["a"] + 1}).with_format(kind)
    assert [repr(row) for row in mapped] == [repr(row) for row in stored]
    assert repr(next(mapped.iter(3))) == repr(next(stored.iter(3)))


def test_a_transform_makes_the_rows_as_they_are_read() -> None:
    data = IterableDataset.from_dict({"a": [1, 2, 3]}).map(lambda row: {"b": row["a"]})
    shown = data.with_transform(lambda batch: {"sum": [a + b for a, b in zip(batch["a"], batch["b"], strict=True)]})
    assert [row["sum"] for row in shown] == [2, 4, 6]


def test_it_pickles_and_copies() -> None:
    data = IterableDataset.from_generator(rows, gen_kwargs={}).map(plus_one).shuffle(seed=1, buffer_size=3)
    next(iter(data))
    expected = list(data)
    assert list(pickle.loads(pickle.dumps(data))) == expected
    data.set_epoch(4)
    assert copy.deepcopy(data).epoch == pickle.loads(pickle.dumps(data)).epoch == 4


def test_two_iterations_at_once_do_not_disturb_each_other() -> None:
    data = IterableDataset.from_generator(rows)
    assert [(one["a"], other["a"]) for one, other in zip(data, data, strict=True)] == [(n, n) for n in range(4)]


def test_head_gives_the_first_rows() -> None:
    data = IterableDataset.from_dict({"a": list(range(10))})
    assert data.head(3) == {"a": [0, 1, 2]}
    assert IterableDataset.from_generator(lambda: iter([])).head() == {}


def test_arrow_batches_carry_the_features() -> None:
    features = Features({"a": Value("int64"), "label": ClassLabel(names=["no", "yes"])})
    data = IterableDataset.from_dict({"a": [1, 2, 3], "label": [0, 1, 0]}, features=features)
    batches = list(data.arrow_batches(2))
    assert [batch.num_rows for batch in batches] == [2, 1]
    assert Features.from_arrow_schema(batches[0].schema) == features
    mapped = data.map(lambda row: {"n": [row["a"]]})
    assert [batch["n"].to_pylist() for batch in mapped.arrow_batches(2)] == [[[1], [2]], [[3]]]
