"""Verbs of rows; test_dataset.py has the everyday ones and splitting, test_changing.py compares them with lists."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets import Dataset, Value
from madang.datasets.dataset import rows
from madang.errors import InputError


@pytest.fixture
def data():
    return Dataset.from_dict({"a": list(range(10))})


class TestSelect:
    @pytest.mark.parametrize("make", [list, tuple, np.array, torch.tensor, pd.Series, iter, lambda n: (i for i in n)])
    def test_anything_that_lists_numbers(self, data, make):
        assert data.select(make([7, 0, 7]))["a"] == [7, 0, 7]

    def test_neighbours_are_cut_not_numbered(self, data):
        for neighbours in (range(2, 5), [2, 3, 4], np.arange(2, 5)):
            assert data.select(neighbours)._indices is None
            assert data.select(neighbours)["a"] == [2, 3, 4]
        assert data.select([2, 4])._indices.column("indices").to_pylist() == [2, 4]
        assert data.select(range(9, -1, -3))["a"] == [9, 6, 3, 0]

    def test_outside_is_an_index_error(self, data):
        for outside in ([10], range(8, 12), [-11]):
            with pytest.raises(IndexError, match="out of range for dataset of size 10"):
                data.select(outside)

    def test_options_about_files_change_nothing(self, data):
        assert data.select([1], keep_in_memory=True, indices_cache_file_name="x", writer_batch_size=3)["a"] == [1]
        with pytest.raises(TypeError, match="Did you mean 'keep_in_memory'"):
            data.select([1], keep_in_memry=True)


class TestShard:
    def test_the_first_parts_have_a_row_more(self, data):
        assert [data.shard(4, i)["a"][:] for i in range(4)] == [[0, 1, 2], [3, 4, 5], [6, 7], [8, 9]]
        assert [data.shard(4, i, contiguous=False)["a"][:] for i in range(4)] == [[0, 4, 8], [1, 5, 9], [2, 6], [3, 7]]
        assert [len(data.take(2).shard(3, i)) for i in range(3)] == [1, 1, 0]

    @pytest.mark.parametrize("index", [-1, 4])
    def test_a_part_that_is_not_there(self, data, index):
        with pytest.raises(ValueError, match=r"index should be in \[0, num_shards-1\]"):
            data.shard(4, index)


class TestRepeatAndAdd:
    def test_rows_over_again(self, data):
        assert data.take(2).repeat(3)["a"] == [0, 1] * 3
        assert (len(data.repeat(0)), len(data.repeat(-1))) == (0, 0)
        with pytest.raises(ValueError, match="indefinite"):
            data.repeat(None)

    def test_an_item_at_the_end(self):
        data = Dataset.from_dict({"a": [1], "t": ["x"]})
        assert data.add_item({"a": 2, "t": "y"}).to_list() == [{"a": 1, "t": "x"}, {"a": 2, "t": "y"}]
        assert data.add_item({"a": 2})[1] == {"a": 2, "t": None}
        assert data.add_item({"a": 2, "n": 0.5})[0] == {"a": 1, "t": "x", "n": None}
        assert Dataset.from_dict({"a": [None]}).add_item({"a": 2}).features["a"] == Value("int64")
        assert Dataset.from_dict({}).add_item({"a": 2})["a"] == [2]


def ordered(values, reverse, first):
    """Row numbers as sorting keeps them: stable, NaN behind all numbers, empty cells last or first."""
    empty = [i for i, value in enumerate(values) if value is None]
    nan = [i for i, value in enumerate(values) if value != value]
    rest = [i for i, value in enumerate(values) if value is not None and value == value]
    rest.sort(key=lambda i: values[i], reverse=reverse)
    return [*empty, *rest, *nan] if first else [*rest, *nan, *empty]


class TestSort:
    @given(
        st.one_of(
            st.lists(st.one_of(st.none(), st.integers(-2, 2)), min_size=1),
            st.lists(st.one_of(st.none(), st.sampled_from([0.5, -1.0, float("nan"), float("inf")])), min_size=1),
            st.lists(st.one_of(st.none(), st.sampled_from(["a", "b", "가", ""])), min_size=1),
        ),
        st.booleans(),
        st.booleans(),
    )
    def test_rows_of_equal_values_stay_in_order(self, values, reverse, first):
        data = Dataset.from_dict({"v": values, "i": list(range(len(values)))})
        placed = data.sort("v", reverse=reverse, null_placement="at_start" if first else "at_end")
        assert placed["i"] == ordered(values, reverse, first)

    @pytest.mark.parametrize("reverse", [False, True])
    @pytest.mark.parametrize(
        "values",
        [[0.5, float("nan"), -1.0], ["b", "a", "c"], [3, 1, 2], [True, False]],
        ids=["nan", "text", "int", "bool"],
    )
    def test_few_values_in_many_rows_sort_the_same(self, monkeypatch, values, reverse):
        monkeypatch.setattr(rows, "LOOKED_AT", 100)
        column = np.random.default_rng(0).choice(np.array(values, dtype=object), 1000).tolist()
        data = Dataset.from_dict({"v": column, "i": list(range(1000))})
        assert rows._ranks(data.data["v"], falling=reverse) is not None
        assert data.sort("v", reverse=reverse)["i"] == ordered(column, reverse, False)

    def test_many_values_are_not_counted(self):
        data = Dataset.from_dict({"v": np.random.default_rng(0).permutation(20_000)})
        assert rows._ranks(data.data["v"], falling=False) is None
        assert data.sort("v")["v"] == list(range(20_000))

    def test_several_columns_with_empty_cells(self):
        data = Dataset.from_dict({"a": [1, None, 1, None, 0], "b": ["y", "x", None, None, "z"]})
        assert data.sort(["a", "b"])["b"] == ["z", "y", None, "x", None]
        assert data.sort(["a", "b"], null_placement="at_start", reverse=[True, False])["b"] == [
            None,
            "x",
            None,
            "y",
            "z",
        ]

    def test_an_empty_dataset_and_wrong_options(self, data):
        assert len(data.select([]).sort("a")) == 0
        with pytest.raises(ValueError, match="2 entries for 1 columns"):
            data.sort("a", reverse=[True, False])
        with pytest.raises(InputError, match="null_placement is 'at_end' or 'at_start'"):
            data.sort("a", null_placement="middle")


class TestShuffle:
    def test_a_generator_excludes_a_seed(self, data):
        assert data.shuffle(generator=np.random.default_rng(3))["a"] == data.shuffle(seed=3)["a"]
        with pytest.raises(ValueError, match="just one of them"):
            data.shuffle(seed=1, generator=np.random.default_rng(1))
        with pytest.raises(ValueError, match=r"numpy\.random\.Generator"):
            data.shuffle(generator=np.random.RandomState(1))

    def test_without_a_seed_numpys_global_state_moves_on_by_one(self, data):
        np.random.seed(7)
        np.random.random()
        expected = np.random.random()
        np.random.seed(7)
        data.shuffle()
        assert np.random.random() == expected
