"""Where streams begin."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from madang.datasets import Dataset, Features, Value
from madang.datasets.stream import IterableDataset


def test_a_generator_is_asked_for_no_row_too_many() -> None:
    asked = []

    def rows() -> Iterator[dict[str, int]]:
        for number in range(10):
            asked.append(number)
            yield {"a": number}

    data = IterableDataset.from_generator(rows).map(lambda row: {"b": row["a"] + 1}).filter(lambda row: row["b"] != 2)
    iterator = iter(data)
    assert asked == []
    assert next(iterator) == {"a": 0, "b": 1}
    assert asked == [0]
    assert [next(iterator)["a"] for _ in range(2)] == [2, 3]
    assert asked == [0, 1, 2, 3]
    assert next(IterableDataset.from_generator(rows).iter(4)) == {"a": [0, 1, 2, 3]}
    assert asked[4:] == [0, 1, 2, 3]


def test_lists_among_the_arguments_of_a_generator_are_shards() -> None:
    calls = []

    def rows(files: list[str], suffix: tuple[str, ...]) -> Iterator[dict[str, str]]:
        calls.append(files)
        yield {"file": files[0] + suffix[0]}

    data = IterableDataset.from_generator(rows, gen_kwargs={"files": ["a", "b", "c"], "suffix": (".txt",)})
    assert data.num_shards == data.n_shards == 3
    assert [row["file"] for row in data] == ["a.txt", "b.txt", "c.txt"]
    assert calls == [["a"], ["b"], ["c"]]


def test_lists_of_unequal_length_are_no_shards() -> None:
    with pytest.raises(ValueError, match=r"Sharding is ambiguous.*'a': 2, 'b': 3"):
        IterableDataset.from_generator(iter, gen_kwargs={"a": [1, 2], "b": [1, 2, 3]})


def test_a_generator_of_something_else_is_refused() -> None:
    data = IterableDataset.from_generator(lambda: iter([(0, {"a": 1})]))  # type: ignore[arg-type, return-value]
    with pytest.raises(TypeError, match=r"one dict per row.*tuple"):
        list(data)


def test_rows_of_a_generator_keep_the_keys_and_values_they_have() -> None:
    given: list[dict[str, Any]] = [{"a": 1}, {"b": "x", "a": 2.5}, {"a": (1, 2)}]
    assert list(IterableDataset.from_generator(lambda: iter(given))) == given


def test_a_generator_may_fill_the_same_dict_again() -> None:
    def rows() -> Iterator[dict[str, int]]:
        row = {"a": 0}
        for _ in range(3):
            row["a"] += 1
            yield row

    assert next(IterableDataset.from_generator(rows).iter(3)) == {"a": [1, 2, 3]}


def test_features_store_what_a_generator_yields() -> None:
    features = Features({"a": Value("int32"), "b": Value("string")})
    data = IterableDataset.from_generator(lambda: iter([{"a": 1, "more": 0}, {"b": "x"}]), features=features)
    assert data.features == features
    assert list(data) == [{"a": 1, "b": None}, {"a": None, "b": "x"}]


def test_a_generator_may_yield_tables() -> None:
    data = IterableDataset.from_generator(lambda: iter([pa.table({"a": [1, 2]}), pa.table({"a": [3]})]))
    assert [row["a"] for row in data] == [1, 2, 3]


def test_shards_are_opened_when_their_turn_comes() -> None:
    opened = []

    def open_shard(shard: int) -> Iterator[pa.Table]:
        opened.append(shard)
        yield pa.table({"a": [shard] * 3})

    data = IterableDataset.from_shards(open_shard, [5, 6, 7], split="test")
    assert (data.num_shards, data.split, data.features) == (3, "test", None)
    assert [row["a"] for row in islice(data, 4)] == [5, 5, 5, 6]
    assert opened == [5, 6]


def test_types_may_differ_between_shards_when_nothing_is_known() -> None:
    values: dict[int, list[Any]] = {0: [1, 2], 1: [2.5], 2: ["x"]}
    data = IterableDataset.from_shards(lambda shard: iter([pa.table({"a": values[shard]})]), [0, 1, 2])
    assert [row["a"] for row in data] == [1, 2, 2.5, "x"]
    assert next(data.iter(4)) == {"a": [1, 2, 2.5, "x"]}


def test_from_tables_of_all_kinds(tmp_path: Path) -> None:
    rows = [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}, {"a": 3, "b": "z"}]
    columns = {"a": [1, 2, 3], "b": ["x", "y", "z"]}
    pandas = pytest.importorskip("pandas")
    with (
        pa.OSFile(str(tmp_path / "x.arrow"), "wb") as file,
        pa.ipc.new_stream(file, pa.table(columns).schema) as writer,
    ):
        writer.write_table(pa.table(columns))
    for data in (
        IterableDataset.from_dict(columns, num_shards=2),
        IterableDataset.from_list(rows),
        IterableDataset.from_pandas(pandas.DataFrame(columns)),
        IterableDataset.from_file(tmp_path / "x.arrow"),
        Dataset.from_dict(columns).to_iterable_dataset(num_shards=3),
    ):
        assert list(data) == rows
        assert data.column_names == ["a", "b"]
    with pytest.raises(ValueError, match="size 3 into 4 shards"):
        IterableDataset.from_dict(columns, num_shards=4)


def test_shards_are_shared_out_as_neighbours_or_in_turn() -> None:
    data = IterableDataset.from_dict({"a": list(range(10))}, num_shards=5)
    assert [row["a"] for row in data.shard(2, 0)] == [0, 1, 2, 3, 4, 5]
    assert [row["a"] for row in data.shard(2, 0, contiguous=False)] == [0, 1, 4, 5, 8, 9]
    assert [data.shard(2, index).num_shards for index in (0, 1)] == [3, 2]
    with pytest.raises(ValueError, match="index should be in"):
        data.shard(2, 2)
