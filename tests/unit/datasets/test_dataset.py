import pickle

import numpy as np
import pandas as pd
import pytest
import torch
from torch.utils.data import DataLoader

from madang.datasets import ClassLabel, Dataset, Features, List, Value
from madang.errors import InputError, UnknownKeyError


@pytest.fixture
def data():
    return Dataset.from_dict({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [[1], [2, 3], []]})


class TestMaking:
    def test_token_ids_and_masks_are_stored_narrow(self):
        data = Dataset.from_dict({"input_ids": [[5, 6]], "attention_mask": [[1, 1]], "n": [1]})
        assert data.features == {
            "input_ids": List(Value("int32")),
            "attention_mask": List(Value("int8")),
            "n": Value("int64"),
        }

    def test_from_list_keeps_keys_that_only_later_rows_have(self):
        assert Dataset.from_list([{"a": 1}, {"a": 2, "b": 3}]).to_list() == [{"a": 1, "b": None}, {"a": 2, "b": 3}]

    def test_arrays_and_tensors_become_columns(self):
        data = Dataset.from_dict({"n": np.arange(2), "m": np.ones((2, 3)), "t": torch.tensor([[1, 2], [3, 4]])})
        assert data.to_dict() == {"n": [0, 1], "m": [[1.0] * 3] * 2, "t": [[1, 2], [3, 4]]}

    def test_from_pandas_gives_plain_types(self):
        table = pd.DataFrame({"a": [1, 2], "b": ["x", None], "c": pd.Categorical(["u", "v"])})
        data = Dataset.from_pandas(table)
        assert data.features == {"a": Value("int64"), "b": Value("string"), "c": Value("string")}
        assert data.to_list() == [{"a": 1, "b": "x", "c": "u"}, {"a": 2, "b": None, "c": "v"}]

    def test_from_pandas_keeps_an_index_that_says_something(self):
        table = pd.DataFrame({"a": [1, 2]}, index=[7, 9])
        assert Dataset.from_pandas(table).column_names == ["a", "__index_level_0__"]
        assert Dataset.from_pandas(table, preserve_index=False).column_names == ["a"]

    def test_given_features_decide_the_types(self):
        features = Features({"label": ClassLabel(names=["no", "yes"])})
        assert Dataset.from_dict({"label": ["yes", "no"]}, features=features)[0] == {"label": 1}

    def test_columns_of_different_length_are_refused(self):
        with pytest.raises(InputError, match="'a' 1, 'b' 2"):
            Dataset.from_dict({"a": [1], "b": [1, 2]})

    def test_values_without_a_common_type_name_the_column(self):
        with pytest.raises(InputError, match="'a' mixes"):
            Dataset.from_dict({"a": [1, "x"]})


class TestLooking:
    def test_printing_is_what_people_know(self, data):
        assert repr(data) == "Dataset({\n    features: ['a', 'b', 'c'],\n    num_rows: 3\n})"

    def test_sizes_and_names(self, data):
        assert (len(data), data.num_rows, data.num_columns, data.shape) == (3, 3, 3, (3, 3))
        assert data.column_names == ["a", "b", "c"]
        assert data.features == {"a": Value("int64"), "b": Value("string"), "c": List(Value("int64"))}

    def test_unique_keeps_the_order_of_appearance(self):
        assert Dataset.from_dict({"a": ["y", "x", "y", None]}).unique("a") == ["y", "x", None]

    def test_lengths_count_tokens_and_characters(self, data):
        assert data.lengths("c").tolist() == [1, 2, 0]
        assert data.select([1, 0]).lengths("c").tolist() == [2, 1]
        assert Dataset.from_dict({"t": ["경제", ""]}).lengths("t").tolist() == [2, 0]


class TestReading:
    def test_rows_slices_and_lists(self, data):
        assert data[0] == {"a": 1, "b": "x", "c": [1]}
        assert data[-1] == data[np.int64(2)] == {"a": 3, "b": "z", "c": []}
        assert data[1:9] == {"a": [2, 3], "b": ["y", "z"], "c": [[2, 3], []]}
        assert data[::-2]["a"] == [3, 1]
        assert data[[2, 0]] == data[np.array([2, 0])] == {"a": [3, 1], "b": ["z", "x"], "c": [[], [1]]}
        assert data[5:] == {"a": [], "b": [], "c": []}

    def test_iteration_crosses_blocks(self):
        data = Dataset.from_dict({"a": list(range(2500))})
        assert [row["a"] for row in data] == list(range(2500))
        assert [len(batch["a"]) for batch in data.iter(1000)] == [1000, 1000, 500]
        assert [len(batch["a"]) for batch in data.iter(1000, drop_last_batch=True)] == [1000, 1000]

    @pytest.mark.parametrize("key", [10, -4, [0, 5]])
    def test_rows_outside_are_an_index_error(self, data, key):
        with pytest.raises(IndexError, match="size 3"):
            data[key]

    @pytest.mark.parametrize("key", [True, 1.5, None])
    def test_other_keys_are_a_type_error(self, data, key):
        with pytest.raises(TypeError, match=r"row number, a slice"):
            data[key]

    def test_an_unknown_column_names_the_nearest_and_all(self):
        data = Dataset.from_dict({"title": ["x"], "label": [1]})
        with pytest.raises(KeyError, match=r"'titel' doesn't exist. Did you mean 'title'\?.*\['title', 'label'\]"):
            data["titel"]
        with pytest.raises(ValueError, match="titel"):
            data["titel"]

    def test_a_torch_loader_fetches_whole_batches(self, data):
        loader = DataLoader(data.select_columns(["a"]).with_format("torch"), batch_size=2)
        assert [batch["a"].tolist() for batch in loader] == [[1, 2], [3]]

    def test_it_pickles(self, data):
        again = pickle.loads(pickle.dumps(data.select([2, 0]).with_format("numpy")))
        assert again["a"][:].tolist() == [3, 1]


class TestColumns:
    def test_remove_select_rename_add(self, data):
        assert data.remove_columns(column_names=["a", "c"]).column_names == ["b"]
        assert data.remove_columns("a").column_names == ["b", "c"]
        assert data.select_columns(["c", "a"]).column_names == ["c", "a"]
        assert data.rename_column("b", "text")[1] == {"a": 2, "text": "y", "c": [2, 3]}
        assert data.rename_columns({"a": "b", "b": "a"})[0] == {"b": 1, "a": "x", "c": [1]}
        assert data.add_column("d", np.array([7, 8, 9]))["d"] == [7, 8, 9]
        assert data.column_names == ["a", "b", "c"]

    def test_rows_stay_counted_without_columns(self, data):
        assert len(data.remove_columns(["a", "b", "c"])) == 3

    @pytest.mark.parametrize(
        ("step", "message"),
        [
            (lambda d: d.remove_columns("q"), r"Column name \['q'\] not in the dataset.*\['a', 'b', 'c'\]"),
            (lambda d: d.rename_column("q", "r"), "Original column name q not in the dataset"),
            (lambda d: d.rename_column("a", "b"), "New column name b already in the dataset"),
            (lambda d: d.select_columns("q"), "not in the dataset"),
            (lambda d: d.add_column("a", [1, 2, 3]), "already has a column 'a'"),
            (lambda d: d.add_column("d", [1]), "1 values for 3 rows"),
            (lambda d: d.sort("q"), "not in the dataset"),
            (lambda d: d.cast_column("q", Value("int8")), "'q' doesn't exist"),
            (lambda d: d.cast_column("b", Value("int64")), "'b' holds string, which cannot become Value"),
            (lambda d: d.cast_column("b", ClassLabel(names=["x", "y"])), "Invalid string class label"),
            (lambda d: d.cast_column("a", ClassLabel(names=["x", "y"])), "Class label 3 is outside 0 to 1"),
            (lambda d: d.with_format("torch", columns=["q"]), "not in the dataset"),
            (lambda d: d.with_format("pytroch"), "Did you mean 'pytorch'"),
        ],
    )
    def test_mistakes_are_explained(self, data, step, message):
        with pytest.raises(ValueError, match=message):
            step(data)

    def test_cast_column_turns_names_into_classes(self, data):
        cast = data.cast_column("b", ClassLabel(names=["z", "y", "x"]))
        assert cast["b"] == [2, 1, 0]
        assert data.cast_column("a", Value("string"))["a"] == ["1", "2", "3"]

    def test_cast_column_reaches_into_lists(self):
        data = Dataset.from_dict({"tags": [["B", "O"], None, [], ["O"]]})
        cast = data.cast_column("tags", List(ClassLabel(names=["O", "B"])))
        assert cast["tags"] == [[1, 0], None, [], [0]]
        assert cast.select([3, 0])["tags"] == [[0], [1, 0]]

    def test_class_encode_column_sorts_the_names(self):
        data = Dataset.from_dict({"label": ["b", "a", None, "b"]})
        encoded = data.class_encode_column("label")
        assert encoded.features["label"].names == ["a", "b"]
        assert encoded["label"] == [1, 0, None, 1]
        assert data.class_encode_column("label", include_nulls=True).features["label"].names == ["None", "a", "b"]


class TestRows:
    def test_select_composes_and_counts_from_the_end(self, data):
        assert data.select([2, 0, 2]).select([1, 2])["a"] == [1, 3]
        assert data.select(range(1, 3))["a"] == [2, 3]
        assert data.select([-1])["a"] == [3]
        assert data.select(index for index in (1, 0))["a"] == [2, 1]
        assert len(data.select([])) == 0
        with pytest.raises(IndexError, match="Index 5 out of range for dataset of size 3"):
            data.select([5])

    def test_take_and_skip(self, data):
        assert (data.take(2)["a"], data.skip(2)["a"], len(data.take(9))) == ([1, 2], [3], 3)

    def test_shuffle_is_numpys_permutation_for_the_seed(self):
        data = Dataset.from_dict({"a": list(range(9))})
        assert data.shuffle(seed=42)["a"] == np.random.default_rng(42).permutation(9).tolist()

    def test_shuffle_without_a_seed_follows_numpys_global_state(self):
        data = Dataset.from_dict({"a": list(range(50))})
        np.random.seed(1)
        first, second = data.shuffle()["a"][:], data.shuffle()["a"][:]
        np.random.seed(1)
        assert data.shuffle()["a"] == first
        assert first != second

    def test_sort_by_several_columns_and_places_empty_cells(self):
        data = Dataset.from_dict({"a": [2, None, 1, 2], "b": ["x", "y", "z", "w"]})
        assert data.sort("a")["a"] == [1, 2, 2, None]
        assert data.sort("a", reverse=True)["b"] == ["x", "w", "z", "y"]
        assert data.sort("a", null_placement="at_start")["a"] == [None, 1, 2, 2]
        assert data.sort(["a", "b"], reverse=[True, False])["b"] == ["w", "x", "z", "y"]

    def test_rows_are_gathered_across_chunks(self):
        from madang.datasets import concatenate_datasets

        data = concatenate_datasets([Dataset.from_dict({"a": [i, i + 1]}) for i in (0, 2, 4)])
        assert data.select([5, 0, 3, 0, 2])["a"] == [5, 0, 3, 0, 2]
        assert [row["a"] for row in data.shuffle(seed=3)] == np.random.default_rng(3).permutation(6).tolist()
        assert data[[4, 5]]["a"] == [4, 5]


class TestSplitting:
    """The rows are those the datasets package (and scikit-learn) choose."""

    rows = Dataset.from_dict({"i": list(range(20)), "y": [i % 3 for i in range(20)]})

    def test_the_seed_decides_the_rows(self):
        parts = self.rows.train_test_split(test_size=5, seed=42)
        assert list(parts) == ["train", "test"]
        assert parts["test"]["i"] == [15, 9, 14, 7, 12]
        assert parts["train"]["i"] == [10, 6, 19, 3, 0, 16, 5, 11, 18, 2, 4, 17, 1, 13, 8]

    def test_stratified_rows(self):
        parts = self.rows.class_encode_column("y").train_test_split(test_size=6, seed=7, stratify_by_column="y")
        assert parts["test"]["i"] == [12, 4, 17, 5, 15, 16]
        assert parts["train"]["i"] == [10, 7, 11, 6, 14, 1, 8, 9, 13, 3, 2, 0, 18, 19]

    @pytest.mark.parametrize(
        ("sizes", "train", "test"),
        [
            ({}, 15, 5),
            ({"test_size": 0.33}, 13, 7),
            ({"train_size": 4}, 4, 16),
            ({"test_size": 2, "train_size": 0.5}, 10, 2),
        ],
    )
    def test_sizes_are_rows_or_fractions(self, sizes, train, test):
        assert self.rows.train_test_split(**sizes, seed=0).num_rows == {"train": train, "test": test}

    def test_without_shuffling_the_first_rows_train(self):
        parts = self.rows.train_test_split(test_size=3, train_size=2, shuffle=False)
        assert (parts["train"]["i"], parts["test"]["i"]) == ([0, 1], [2, 3, 4])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"test_size": 20}, r"test_size=20 should be either positive and smaller than the number of samples 20"),
            ({"test_size": 1.0}, "float in the"),
            ({"test_size": 15, "train_size": 15}, "more rows than the 20"),
            ({"stratify_by_column": "y"}, "only supported for ClassLabel"),
            ({"stratify_by_column": "q"}, "'q' doesn't exist"),
            ({"seed": 1, "generator": np.random.default_rng(1)}, "just one of them"),
        ],
    )
    def test_impossible_splits_are_explained(self, options, message):
        with pytest.raises(ValueError, match=message):
            self.rows.train_test_split(**options)

    def test_stratifying_needs_two_rows_of_every_class(self):
        data = Dataset.from_dict({"y": ["a", "a", "b"]}).class_encode_column("y")
        with pytest.raises(InputError, match="at least 2 rows of every class"):
            data.train_test_split(test_size=1, stratify_by_column="y")


def test_an_unknown_column_is_one_error_for_all_who_ask(data):
    for step in (lambda: data["q"], lambda: data.unique("q"), lambda: data.filter(bool, input_columns="q")):
        with pytest.raises(UnknownKeyError):
            step()


def test_lists_of_class_numbers_are_aligned_with_a_models_numbers():
    features = Features({"tags": List(ClassLabel(names=["b-per", "i-per", "o"]))})
    data = Dataset.from_dict({"tags": [[0, 1, 2], None, [2, -1]]}, features=features)
    aligned = data.align_labels_with_mapping({"B-PER": 2, "I-PER": 1, "O": 0}, "tags")
    assert aligned["tags"] == [[2, 1, 0], None, [0, None]]
    assert aligned.features == Features({"tags": List(ClassLabel(names=["O", "I-PER", "B-PER"]))})
