"""`map`, `filter` and `batch` in the corners; test_mapping.py has the middle."""

import asyncio
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import ClassLabel, Dataset, Features, List, Value
from madang.errors import InputError


@pytest.fixture
def data():
    return Dataset.from_dict({"a": [1, 2, 3], "t": ["x", "y", "z"]})


class TestAsync:
    def test_rows_are_under_way_at_the_same_time(self, data):
        waiting = []

        async def meet(row):
            waiting.append(row["a"])
            while len(waiting) < 3:
                await asyncio.sleep(0.001)
            return {"n": len(waiting)}

        assert data.map(meet)["n"] == [3, 3, 3]

    def test_answers_stay_in_order(self, data):
        async def late(row):
            await asyncio.sleep(0.03 / row["a"])
            return {"n": row["a"] * 10}

        assert data.map(late)["n"] == [10, 20, 30]

    def test_batches_filters_indices_and_processes(self, data):
        async def double(batch):
            return {"n": [2 * a for a in batch["a"]]}

        async def second(row, i):
            return i == 1

        class Callable:
            async def __call__(self, row, by):
                return {"n": row["a"] * by}

        assert data.map(double, batched=True, batch_size=2)["n"] == [2, 4, 6]
        assert data.filter(second, with_indices=True)["a"] == [2]
        assert data.map(Callable(), fn_kwargs={"by": 3}, num_proc=2)["n"] == [3, 6, 9]

    def test_it_works_where_a_loop_runs_already(self, data):
        async def plus(row):
            return {"n": row["a"] + 1}

        async def notebook():
            return data.map(plus)["n"][:]

        assert asyncio.run(notebook()) == [2, 3, 4]

    def test_all_blocks_share_one_loop_that_ends(self):
        loops = set()

        async def note(row):
            loops.add(asyncio.get_running_loop())
            return {"n": 1}

        before = threading.active_count()
        Dataset.from_dict({"a": list(range(2500))}).map(note)
        (loop,) = loops
        for _ in range(100):
            if loop.is_closed():
                break
            threading.Event().wait(0.02)
        assert loop.is_closed()
        assert threading.active_count() <= before

    def test_an_error_names_the_row_and_ends_the_others(self, data):
        cancelled = []

        async def fail(row):
            if row["a"] == 2:
                raise ZeroDivisionError
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                cancelled.append(row["a"])
                raise

        with pytest.raises(ZeroDivisionError) as caught:
            data.map(fail)
        assert caught.value.__notes__ == ["This happened at row 1 of the dataset."]
        assert sorted(cancelled) == [1, 3]


class TestArguments:
    def test_order_is_row_index_rank(self, data):
        mapped = data.map(lambda row, i, rank: {"s": f"{row['a']}{i}{rank}"}, with_indices=True, with_rank=True)
        assert mapped["s"] == ["10None", "21None", "32None"]
        mapped = data.map(
            lambda a, t, i, by: {"s": f"{a}{t}{i}{by}"},
            input_columns=["a", "t"],
            with_indices=True,
            fn_kwargs={"by": "!"},
        )
        assert mapped["s"] == ["1x0!", "2y1!", "3z2!"]

    def test_without_a_function_nothing_changes(self, data):
        assert data.map().to_dict() == data.to_dict()
        assert data.filter().to_dict() == data.to_dict()
        with pytest.raises(TypeError, match="map needs a function, not str"):
            data.map("x")

    @pytest.mark.parametrize("size", [None, -1, 0])
    def test_no_batch_size_means_all(self, data, size):
        assert data.map(lambda b: {"n": [len(b["a"])] * 3}, batched=True, batch_size=size)["n"] == [3, 3, 3]

    def test_drop_last_batch_drops_the_rows_too(self, data):
        mapped = data.map(lambda b: {"n": b["a"]}, batched=True, batch_size=2, drop_last_batch=True)
        assert mapped.to_dict() == {"a": [1, 2], "t": ["x", "y"], "n": [1, 2]}
        assert len(data.map(lambda row: {"n": 1}, batch_size=2, drop_last_batch=True)) == 3

    def test_another_engine_is_unknown(self, data):
        with pytest.raises(ValueError, match="Did you mean 'ray'"):
            data.map(lambda row: {}, engine="rai")

    def test_what_the_function_sees_is_a_mapping_read_when_touched(self, data):
        from collections.abc import MutableMapping

        kinds = []
        data.map(lambda row: kinds.append((isinstance(row, MutableMapping), isinstance(row, dict), list(row))))
        assert kinds == [(True, False, ["a", "t"])] * 3
        assert data.map(lambda row: {**row, "n": 1})["n"] == [1, 1, 1]
        assert data.map(lambda row: row | {"n": 1})["n"] == [1, 1, 1]
        assert data.map(lambda row: dict(row.items()))["a"] == [1, 2, 3]


class TestTypes:
    def test_the_old_type_is_kept_where_all_fit(self):
        data = Dataset.from_dict({"a": [1, 2]}, Features({"a": Value("int16")}))
        assert data.map(lambda row: {"a": row["a"] + 1}).features["a"] == Value("int16")
        assert data.map(lambda row: {"a": None}).features["a"] == Value("int16")
        assert data.map(lambda row: {"a": row["a"] + 0.5}).features["a"] == Value("float64")
        assert data.map(lambda row: {"a": row["a"] + 2**20}).features["a"] == Value("int64")
        assert data.map(lambda row: {"a": row["a"] * 2.0}).features["a"] == Value("int16")

    def test_unless_it_is_not_wanted(self):
        data = Dataset.from_dict({"a": [1, 2]}, Features({"a": Value("int16")}))
        assert data.map(lambda row: {"a": row["a"]}, try_original_type=False).features["a"] == Value("int64")
        assert data.map(lambda row: {"a": str(row["a"])}, try_original_type=False)["a"] == ["1", "2"]

    def test_classes_stay_classes(self):
        data = Dataset.from_dict({"y": [0, 1]}, Features({"y": ClassLabel(names=["a", "b"])}))
        assert data.map(lambda row: {"y": 1 - row["y"]}).features == data.features
        assert data.map(lambda row: {"y": 1 - row["y"]})["y"] == [1, 0]

    def test_what_tokenizers_return_is_narrow(self, data):
        mapped = data.map(
            lambda b: {"input_ids": [[1, 2]] * 3, "attention_mask": [[1, 1]] * 3, "token_type_ids": [[0, 0]] * 3},
            batched=True,
        )
        assert [str(mapped.features[n].feature.dtype) for n in ("input_ids", "attention_mask", "token_type_ids")] == [
            "int32",
            "int8",
            "int8",
        ]

    def test_a_struct_is_replaced_not_merged(self):
        data = Dataset.from_dict({"s": [{"a": 1, "b": 2}]})
        assert data.map(lambda row: {"s": {"a": 5}})[0] == {"s": {"a": 5}}
        assert data.map(lambda row: {"s": {"b": 7, "a": 5}})[0] == {"s": {"b": 7, "a": 5}}
        assert data.map(lambda row: {"s": {**row["s"], "c": "x"}})[0] == {"s": {"a": 1, "b": 2, "c": "x"}}

    def test_everything_empty(self, data):
        mapped = data.map(lambda row: {"a": None, "n": None, "l": [None]})
        assert mapped[2] == {"a": None, "t": "z", "n": None, "l": [None]}
        assert mapped.features == {
            "a": Value("int64"),
            "t": Value("string"),
            "n": Value("null"),
            "l": List(Value("null")),
        }
        again = mapped.map(lambda row: {"n": 1.5})
        assert again.features["n"] == Value("float64")

    def test_features_name_all_columns(self, data):
        with pytest.raises(ValueError, match="must be identical as the columns in the dataset"):
            data.map(lambda row: {"n": 1}, features=Features({"n": Value("int8")}))

    def test_dates_bytes_and_numpy_scalars(self, data):
        import datetime

        day = datetime.datetime(2024, 2, 29, 12)
        mapped = data.map(lambda row: {"d": day, "b": b"\xff", "f": np.float32(0.5), "i": np.int8(3)})
        assert mapped[0] == {"a": 1, "t": "x", "d": day, "b": b"\xff", "f": 0.5, "i": 3}


class TestTables:
    """A function may return a table of pandas, polars or Arrow: it stands for all columns."""

    def test_of_pandas(self, data):
        shown = data.with_format("pandas")
        mapped = shown.map(lambda table: table.assign(n=table["a"] * 2), batched=True)
        assert mapped.with_format(None).to_dict() == {"a": [1, 2, 3], "t": ["x", "y", "z"], "n": [2, 4, 6]}
        assert isinstance(mapped[:], pd.DataFrame)
        assert shown.map(lambda table: table.assign(n=1)).with_format(None)["n"] == [1, 1, 1]
        assert shown.map(lambda table: table[["t"]], batched=True).column_names == ["t"]

    def test_of_polars(self, data):
        shown = data.with_format("polars")
        mapped = shown.map(lambda table: table.with_columns(n=pl.col("a") * 2), batched=True)
        assert mapped.with_format(None)["n"] == [2, 4, 6]
        assert shown.map(lambda table: table.filter(pl.col("a") > 1), batched=True).num_rows == 2

    def test_of_arrow(self, data):
        shown = data.with_format("arrow")
        assert shown.map(lambda table: table.append_column("n", table["a"])).with_format(None)["n"] == [1, 2, 3]
        assert shown.filter(lambda table: table["a"][0].as_py() > 1).with_format(None)["a"] == [2, 3]
        with pytest.raises(InputError, match="a table of 2 rows for one"):
            shown.map(lambda table: pa.table({"a": [1, 2]}))

    def test_columns_may_be_series_arrays_and_tensors(self, data):
        for make in (pd.Series, np.array, torch.tensor, pl.Series, pa.array, tuple):
            assert data.map(lambda batch, make=make: {"n": make(batch["a"])}, batched=True)["n"] == [1, 2, 3]


class TestBatch:
    def test_rows_become_lists(self, data):
        batched = data.batch(2)
        assert batched.to_dict() == {"a": [[1, 2], [3]], "t": [["x", "y"], ["z"]]}
        assert batched.features == {"a": List(Value("int64")), "t": List(Value("string"))}
        assert data.batch(2, drop_last_batch=True)["a"] == [[1, 2]]
        assert data.select([2, 0]).batch(5)["t"] == [["z", "x"]]
        assert data.select([]).batch(2).to_dict() == {"a": [], "t": []}

    def test_neighbours_alike_in_a_column(self):
        data = Dataset.from_dict({"k": ["a", "a", None, None, "b", "a"], "n": [0, 0, 1, 1, 1, 1], "i": range(6)})
        assert data.batch(by_column="k")["i"] == [[0, 1], [2, 3], [4], [5]]
        assert data.batch(by_column=["n"])["i"] == [[0, 1], [2, 3, 4, 5]]
        assert data.batch(by_column=["k", "n"])["k"] == [["a", "a"], [None, None], ["b"], ["a"]]
        assert data.select([]).batch(by_column="k").num_rows == 0
        assert data.batch(2, by_column="n")["i"] == data.batch(by_column="n")["i"]  # a size does not cut them
        with pytest.raises(KeyError, match="not in the dataset"):
            data.batch(by_column="q")

    @pytest.mark.parametrize("options", [{}, {"batch_size": 0}])
    def test_one_way_of_batching(self, data, options):
        with pytest.raises(InputError):
            data.batch(**options)


numbers = st.lists(st.one_of(st.none(), st.integers(-3, 3)), min_size=1, max_size=12)
verbs = st.lists(
    st.one_of(
        st.tuples(st.just("select"), st.lists(st.integers(0, 99), max_size=8)),
        st.tuples(st.just("sort"), st.tuples(st.booleans(), st.booleans())),
        st.tuples(st.just("shuffle"), st.integers(0, 5)),
        st.tuples(st.just("filter"), st.integers(-3, 3)),
        st.tuples(st.just("take"), st.integers(0, 14)),
        st.tuples(st.just("skip"), st.integers(0, 5)),
        st.tuples(st.just("repeat"), st.integers(0, 2)),
        st.tuples(st.just("shard"), st.tuples(st.integers(1, 4), st.integers(0, 3), st.booleans())),
        st.tuples(st.just("map"), st.integers(1, 4)),
        st.tuples(st.just("flatten_indices"), st.none()),
    ),
    max_size=5,
)


def with_lists(rows, verb, argument):
    """What a verb does, with plain lists of rows."""
    if verb == "select":
        return [rows[i % len(rows)] for i in argument] if rows else []
    if verb == "sort":
        reverse, first = argument
        empty = [row for row in rows if row["a"] is None]
        there = sorted((row for row in rows if row["a"] is not None), key=lambda row: (-1) ** reverse * row["a"])
        return empty + there if first else there + empty
    if verb == "shuffle":
        return [rows[i] for i in np.random.default_rng(argument).permutation(len(rows))]
    if verb == "filter":
        return [row for row in rows if row["a"] != argument]
    if verb in ("take", "skip"):
        return rows[:argument] if verb == "take" else rows[argument:]
    if verb == "repeat":
        return rows * argument
    if verb == "shard":
        count, index, contiguous = argument
        index %= count
        if not contiguous:
            return rows[index::count]
        return [rows[i] for i in np.array_split(np.arange(len(rows)), count)[index]]
    if verb == "map":
        return [{"a": None if row["a"] is None else row["a"] * argument, "i": row["i"]} for row in rows]
    return rows


def with_dataset(data, verb, argument):
    """The same with a dataset."""
    if verb == "select":
        return data.select([i % len(data) for i in argument] if len(data) else [])
    if verb == "sort":
        return data.sort("a", reverse=argument[0], null_placement="at_start" if argument[1] else "at_end")
    if verb == "filter":
        return data.filter(lambda row: row["a"] != argument)
    if verb == "shard":
        count, index, contiguous = argument
        return data.shard(count, index % count, contiguous=contiguous)
    if verb == "map":
        return data.map(lambda row: {"a": None if row["a"] is None else row["a"] * argument})
    if verb == "flatten_indices":
        return data.flatten_indices()
    if verb == "shuffle":
        return data.shuffle(seed=argument)
    return getattr(data, verb)(argument)


@given(numbers, verbs)
def test_verbs_do_to_rows_what_they_would_do_to_a_list(values, steps):
    data = Dataset.from_dict({"a": values, "i": list(range(len(values)))})
    rows = data.to_list()
    for verb, argument in steps:
        data, rows = with_dataset(data, verb, argument), with_lists(rows, verb, argument)
        assert data.to_list() == rows
    assert data["i"] == [row["i"] for row in rows]
    assert len(data) == len(rows)
