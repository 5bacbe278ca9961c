"""What can be done with the rows and columns of a stream."""

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets import ClassLabel, Dataset, Features, List, Value
from madang.datasets.stream import IterableDataset

ROWS = {"a": [0, 1, 2, 3], "t": ["x", "yy", "zzz", "w"]}


def data(num_shards: int = 1) -> IterableDataset:
    return IterableDataset.from_dict(ROWS, num_shards=num_shards)


def rows(*numbers: int) -> list[dict[str, Any]]:
    return [{"a": number, "t": ROWS["t"][number]} for number in numbers]


class TestMap:
    def test_a_row_is_updated_by_what_comes_back(self) -> None:
        mapped = list(data().map(lambda row: {"n": len(row["t"]), "a": -row["a"]}))
        assert mapped[2] == {"a": -2, "t": "zzz", "n": 3}
        assert list(mapped[2]) == ["a", "t", "n"]

    @pytest.mark.parametrize("batched", [False, True])
    @pytest.mark.parametrize("remove", [None, ["a"], "t", ["a", "t"]])
    def test_it_gives_what_map_of_a_dataset_gives(self, batched: bool, remove: Any) -> None:
        def function(row: Any) -> Any:
            row["n"] = [len(text) for text in row["t"]] if batched else len(row["t"])
            return {"a": row["a"], "m": row["n"]} if batched else {"m": row["n"], "a": row["a"]}

        arguments: dict[str, Any] = {"batched": batched, "batch_size": 3, "remove_columns": remove}
        expected = Dataset.from_dict(ROWS).map(function, **arguments)
        generated = IterableDataset.from_generator(lambda: iter(rows(0, 1, 2, 3)))
        assert list(data().map(function, **arguments)) == list(expected)
        assert list(generated.map(function, **arguments)) == list(expected)

    def test_a_row_given_back_loses_the_columns_to_remove(self) -> None:
        generated = IterableDataset.from_generator(lambda: iter(rows(0, 1)))
        for given in (generated, data().take(2)):
            assert list(given.map(lambda row: row, remove_columns="t")) == [{"a": 0}, {"a": 1}]
            assert list(given.map(lambda row: {**row}, remove_columns="t")) == rows(0, 1)

    def test_arguments(self) -> None:
        given = data().map(
            lambda a, index, more: {"s": f"{a}{index}{more}"},
            with_indices=True,
            input_columns="a",
            fn_kwargs={"more": "!"},
        )
        assert [row["s"] for row in given] == ["00!", "11!", "22!", "33!"]
        batched = data().map(lambda a, index: {"i": index}, with_indices=True, input_columns=["a"], batched=True)
        assert [row["i"] for row in batched] == [0, 1, 2, 3]

    def test_nothing_returned_changes_nothing(self) -> None:
        assert list(data().map(lambda row: None)) == list(data().map(lambda batch: None, batched=True)) == list(data())

    def test_a_result_keeps_its_kind(self) -> None:
        torch = pytest.importorskip("torch")
        made = next(iter(data().map(lambda row: {"array": np.arange(3), "tensor": torch.ones(2), "set": {1}})))
        assert isinstance(made["array"], np.ndarray)
        assert isinstance(made["tensor"], torch.Tensor)
        assert made["set"] == {1}

    def test_rows_may_come_back_with_different_keys(self) -> None:
        made = list(data().map(lambda row: {"even": 1} if row["a"] % 2 == 0 else {"odd": row["a"]}))
        assert made[0] == {"a": 0, "t": "x", "even": 1}
        assert made[1] == {"a": 1, "t": "yy", "odd": 1}

    def test_a_function_may_return_the_same_dict_again(self) -> None:
        result: dict[str, int] = {}

        def fill(row: Any) -> dict[str, int]:
            result["n"] = row["a"]
            return result

        assert [row["n"] for row in data().map(fill)] == [0, 1, 2, 3]

    def test_lists_changed_in_place_are_seen(self) -> None:
        def change(row: Any) -> None:
            row["l"].append(9)

        nested = IterableDataset.from_dict({"l": [[1], [2]], "b": [1, 2]})
        assert [row["l"] for row in nested.map(change)] == [[1, 9], [2, 9]]
        assert [row["l"] for row in nested.map(lambda b: b["l"][0].clear(), batched=True)] == [[], [2]]

    def test_deleted_columns_are_gone(self) -> None:
        def delete(row: Any) -> Any:
            del row["t"]
            return row

        assert list(data().map(delete)) == [{"a": number} for number in range(4)]
        assert list(data().map(delete, batched=True)) == [{"a": number} for number in range(4)]
        some = list(data().map(lambda row: delete(row) if row["a"] == 1 else row))
        assert some == [*rows(0), {"a": 1}, *rows(2, 3)]

    def test_a_batch_may_become_longer_or_shorter(self) -> None:
        twice = data().map(lambda b: {"a": b["a"] * 2}, batched=True, batch_size=2, remove_columns="t")
        assert [row["a"] for row in twice] == [0, 1, 0, 1, 2, 3, 2, 3]
        whole = data().map(lambda b: {"n": [len(b["a"])]}, batched=True, batch_size=None, remove_columns=["a", "t"])
        assert list(whole) == [{"n": 4}]
        none = data().map(lambda b: {"n": []}, batched=True, batch_size=1, remove_columns=["a", "t"])
        assert list(none) == []

    @pytest.mark.parametrize("result", [{"a": [1]}, {"n": [1]}, {"a": [1] * 9}])
    def test_a_batch_whose_columns_differ_in_length_is_refused(self, result: dict[str, list[int]]) -> None:
        with pytest.raises(ValueError, match=r"Column lengths mismatch.*rows 0 to 3"):
            list(data().map(lambda batch: result, batched=True))

    def test_the_last_batch_can_be_dropped(self) -> None:
        kept = data().map(lambda batch: batch, batched=True, batch_size=3, drop_last_batch=True)
        assert list(kept) == rows(0, 1, 2)

    def test_what_a_function_may_not_return(self) -> None:
        with pytest.raises(TypeError, match=r"must return a dict.*int"):
            list(data().map(lambda row: 3))
        with pytest.raises(TypeError, match=r"one list .* per column.*'n'.*str"):
            list(data().map(lambda batch: {"n": "text"}, batched=True))
        with pytest.raises(TypeError, match="a function is needed"):
            data().map("lower")  # type: ignore[arg-type]

    def test_an_error_names_the_row(self) -> None:
        with pytest.raises(ZeroDivisionError) as raised:
            list(data().map(lambda row: {"n": 1 // (row["a"] - 2)}))
        assert "row 2 " in raised.value.__notes__[0]

    def test_features_store_what_comes_back(self) -> None:
        features = Features({"t": Value("string"), "n": Value("float32")})
        made = data().map(lambda row: {"n": row["a"]}, features=features)
        assert made.features == features
        assert list(made)[1] == {"t": "yy", "n": 1.0}
        assert data().map(lambda row: row).features is None

    @pytest.mark.parametrize("batched", [False, True])
    def test_async_functions_run_at_the_same_time(self, batched: bool) -> None:
        running, most = 0, 0

        async def slow(row: Any) -> Any:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return {"n": row["a"]}

        assert [row["n"] for row in data().map(slow, batched=batched)] == [0, 1, 2, 3]
        assert most == (1 if batched else 4)

    @pytest.mark.parametrize("kind", ["arrow", "pandas"])
    def test_tables_in_tables_out(self, kind: str) -> None:
        def add(table: Any) -> Any:
            if kind == "arrow":
                return table.append_column("n", pa.array([1] * len(table)))
            return table.assign(n=[1] * len(table))

        shown = data().with_format(kind)
        for made in (shown.map(add), shown.map(add, batched=True), shown.map(add).map(lambda table: table)):
            assert list(made.with_format(None)) == [{**row, "n": 1} for row in rows(0, 1, 2, 3)]

    def test_functions_see_the_format(self) -> None:
        made = data().with_format("numpy").map(lambda row: {"kind": type(row["a"]).__name__, "a": row["a"] + 1})
        assert next(iter(made.with_format(None))) == {"a": 1, "t": "x", "kind": "int64"}
        assert next(iter(made))["a"].dtype == np.int64


class TestFilter:
    def test_rows_are_kept_and_features_too(self) -> None:
        kept = data(2).filter(lambda row: row["a"] % 2)
        assert list(kept) == rows(1, 3)
        assert kept.features == data().features
        assert list(kept.filter(lambda row: row["a"] > 1)) == rows(3)

    def test_arguments(self) -> None:
        assert list(data().filter(lambda a, index: a == index == 2, with_indices=True, input_columns="a")) == rows(2)
        assert list(data().filter(lambda batch, n: [a > n for a in batch["a"]], batched=True, fn_kwargs={"n": 1})) == (
            rows(2, 3)
        )

    def test_async(self) -> None:
        async def odd(row: Any) -> Any:
            return row["a"] % 2

        assert list(data().filter(odd)) == rows(1, 3)

    @pytest.mark.parametrize("batch_size", [1, 3, 1000])
    def test_with_tables(self, batch_size: int) -> None:
        import pyarrow.compute as pc

        shown = data().with_format("arrow").filter(lambda t: pc.greater(t["a"], 1), batched=True, batch_size=batch_size)
        assert list(shown.with_format(None)) == rows(2, 3)


class TestRows:
    @pytest.mark.parametrize("count", [0, 2, 4, 10**10])
    def test_take_and_skip(self, count: int) -> None:
        assert list(data(2).take(count)) == rows(0, 1, 2, 3)[:count]
        assert list(data(2).skip(count)) == rows(0, 1, 2, 3)[count:]

    @pytest.mark.parametrize(("shards", "of"), [(1, 2), (2, 3), (3, 2)])
    def test_shares_of_rows_taken_add_up(self, shards: int, of: int) -> None:
        many = IterableDataset.from_dict({"a": list(range(30))}, num_shards=shards)
        taken, left = many.take(8), many.skip(8)
        assert sum(len(list(taken.shard(of, index))) for index in range(of)) == 8
        assert sum(len(list(left.shard(of, index))) for index in range(min(shards, of))) == 22

    def test_repeat(self) -> None:
        assert list(data().repeat(2)) == rows(0, 1, 2, 3) * 2
        assert list(data().repeat(0)) == list(data().repeat(-1)) == []
        assert list(data().repeat(None).take(6)) == rows(0, 1, 2, 3, 0, 1)

    def test_repeating_nothing_ends(self) -> None:
        calls = []
        nothing = data().filter(lambda row: calls.append(row["a"]))
        assert list(nothing.repeat(None)) == []
        assert len(calls) == 8

    def test_batch(self) -> None:
        batched = data(3).batch(3)
        assert list(batched) == [{"a": [0, 1, 2], "t": ["x", "yy", "zzz"]}, {"a": [3], "t": ["w"]}]
        assert batched.features == Features({"a": List(Value("int64")), "t": List(Value("string"))})
        assert len(list(data().batch(3, drop_last_batch=True))) == 1
        objects = list(data().map(lambda row: {"o": (row["a"],)}).batch(2))
        assert objects[0] == {"a": [0, 1], "t": ["x", "yy"], "o": [(0,), (1,)]}
        with pytest.raises(ValueError, match="batch_size of 1 or more"):
            data().batch()

    @pytest.mark.parametrize("shards", [1, 3, 7])
    def test_batch_by_column(self, shards: int) -> None:
        keys = ["A", "A", "B", "B", "B", "C", "B"]
        grouped = IterableDataset.from_dict({"i": list(range(7)), "k": keys}, num_shards=shards).batch(by_column="k")
        assert [row["i"] for row in grouped] == [[0, 1], [2, 3, 4], [5], [6]]
        two = IterableDataset.from_dict({"i": [0, 1, 2], "k": list("AAB"), "l": list("XYY")}).batch(
            by_column=["k", "l"]
        )
        assert [row["i"] for row in two] == [[0], [1], [2]]

    @pytest.mark.parametrize("kind", ["numpy", "torch"])
    def test_batch_agrees_with_iter_in_every_format(self, kind: str) -> None:
        shown = IterableDataset.from_dict({"i": list(range(7)), "f": [n / 2 for n in range(7)]}).with_format(kind)
        assert [repr(batch) for batch in shown.batch(3)] == [repr(batch) for batch in shown.iter(3)]
        mapped = shown.map(lambda row: {"b": row["i"] > 2})
        assert [repr(batch) for batch in mapped.batch(3)] == [repr(batch) for batch in mapped.iter(3)]

    def test_what_arrays_cannot_hold_stays_as_it_is(self) -> None:
        given = [{"x": None, "l": []}, {"x": 10, "l": [1, 2]}]
        (batch,) = IterableDataset.from_generator(lambda: iter(given)).with_format("numpy").batch(2)
        assert batch["x"][0] is None
        assert batch["x"][1] == 10
        assert [list(inner) for inner in batch["l"]] == [[], [1, 2]]


class TestColumns:
    def test_remove_select_rename(self) -> None:
        assert next(iter(data().remove_columns("t"))) == {"a": 0}
        chosen = data().select_columns(["t", "a"])
        assert list(next(iter(chosen))) == chosen.column_names == ["t", "a"]
        renamed = data().rename_columns({"a": "b", "t": "u"}).rename_column("u", "v")
        assert renamed.column_names == ["b", "v"]
        assert next(iter(renamed)) == {"b": 0, "v": "x"}

    def test_of_rows_that_functions_made(self) -> None:
        made = data().map(lambda row: {"n": (row["a"],), "a": "new"})
        assert next(iter(made.remove_columns(["t"]))) == {"a": "new", "n": (0,)}
        assert list(next(iter(made.select_columns(["n", "t"])))) == ["n", "t"]
        assert next(iter(made.rename_column("n", "m"))) == {"a": "new", "t": "x", "m": (0,)}
        with pytest.raises(KeyError, match="Column 'q' doesn't exist"):
            next(iter(made.select_columns("q")))

    def test_columns_that_are_not_there(self) -> None:
        with pytest.raises(ValueError, match=r"Column name \['q'\] not in the dataset"):
            data().remove_columns("q")
        with pytest.raises(ValueError, match=r"Original column name .*q.* not in the dataset"):
            data().rename_column("q", "r")
        with pytest.raises(ValueError, match="New column name t already in the dataset"):
            data().rename_column("a", "t")
        with pytest.raises(KeyError):
            data().map(lambda q: None, input_columns="q")

    def test_add_column(self) -> None:
        added = data(2).add_column("n", [10, 11, 12, 13])
        assert [row["n"] for row in added] == [10, 11, 12, 13]
        assert added.features == Features({"a": Value("int64"), "t": Value("string"), "n": Value("int64")})
        assert added.num_shards == 1
        with pytest.raises(IndexError, match="2 values, but the stream has more rows"):
            list(data().add_column("n", [1, 2]))
        with pytest.raises(ValueError, match="already has a column 'a'"):
            data().add_column("a", [1])

    def test_cast(self) -> None:
        label = ClassLabel(names=["x", "yy", "zzz", "w"])
        cast = data().cast_column("t", label)
        assert [row["t"] for row in cast] == [0, 1, 2, 3]
        assert cast.features is not None
        assert cast.features["t"] == label
        all_cast = data().cast(Features({"t": label, "a": Value("string")}))
        assert list(all_cast)[1] == {"t": 1, "a": "1"}
        made = data().map(lambda row: {"n": row["a"]}).cast_column("n", Value("float32"))
        assert [type(row["n"]) for row in made] == [float] * 4
        with pytest.raises(ValueError, match="must be identical as the columns"):
            data().cast(Features({"a": Value("int8")}))
        with pytest.raises(ValueError, match="no column 'q' to cast"):
            list(data().map(lambda row: row).cast_column("q", Value("int8")))


class Decodable:
    """A feature whose values are decoded when they are read; the first ones take longest."""

    def __init__(self) -> None:
        self.decode = True
        self.seen: list[str] = []

    def decode_example(self, value: str, token_per_repo_id: Any = None) -> str:
        import time

        time.sleep(max(0.0, 8 - int(value)) / 400)
        self.seen.append(value)
        return f"decoded {value}"

    def __call__(self) -> pa.DataType:
        return pa.string()


class TestDecode:
    def made(self) -> IterableDataset:
        def values() -> Iterator[dict[str, str]]:
            yield from ({"i": str(number)} for number in range(20))

        return IterableDataset.from_generator(values, features=Features({"i": Decodable()}))

    def test_it_can_be_turned_off_and_on(self) -> None:
        assert next(iter(self.made())) == {"i": "decoded 0"}
        assert next(iter(self.made().decode(False))) == {"i": "0"}
        assert next(iter(self.made().decode(False).decode())) == {"i": "decoded 0"}
        with pytest.raises(ValueError, match="needs to know the features"):
            IterableDataset.from_generator(lambda: iter([])).decode(False)

    def test_threads_keep_the_order(self) -> None:
        threaded = self.made().decode(num_threads=8)
        assert [row["i"] for row in threaded] == [f"decoded {number}" for number in range(20)]
        assert threaded.features is not None
        assert threaded.features["i"].seen != [str(number) for number in range(20)]

    def test_threads_can_be_stopped_and_resumed(self) -> None:
        threaded = self.made().decode(num_threads=3)
        iterator = iter(threaded)
        first = [next(iterator)["i"] for _ in range(5)]
        iterator.close()  # type: ignore[attr-defined]
        resumed = self.made().decode(num_threads=3)
        resumed.load_state_dict(threaded.state_dict())
        assert first + [row["i"] for row in resumed] == [f"decoded {number}" for number in range(20)]
