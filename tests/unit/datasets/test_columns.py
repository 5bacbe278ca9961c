"""Verbs of columns; test_dataset.py has the everyday ones."""

import pickle

import numpy as np
import pytest

from madang.datasets import ClassLabel, Dataset, Features, List, Value
from madang.errors import InputError


@pytest.fixture
def data():
    return Dataset.from_dict({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [[1], [2, 3], []]})


class TestSharing:
    """A step touches the columns it changes; the others stay where they are, also after rows were chosen."""

    @pytest.mark.parametrize(
        "step",
        [
            lambda d: d.remove_columns("c"),
            lambda d: d.select_columns(["b", "a"]),
            lambda d: d.rename_column("a", "n"),
            lambda d: d.add_column("n", [7, 8, 9]),
            lambda d: d.cast_column("a", Value("int8")),
            lambda d: d.class_encode_column("a"),
            lambda d: d.map(lambda row: {"n": 1}),
            lambda d: d.select([2, 0]),
        ],
    )
    def test_values_are_those_of_before(self, data, step):
        assert step(data)._frame.columns["b"].values is data._frame.columns["b"].values
        chosen = data.select([2, 0, 1])
        assert step(chosen)._frame.columns["b"].values is data._frame.columns["b"].values


class TestCast:
    def test_all_columns_in_any_order(self, data):
        features = Features({"c": List(Value("int8")), "a": Value("float32"), "b": Value("large_string")})
        cast = data.select([1, 0]).cast(features)
        assert (cast.features, cast.column_names) == (features, ["c", "a", "b"])
        assert cast[0] == {"c": [2, 3], "a": 2.0, "b": "y"}
        assert data.cast(data.features)._frame.columns["a"] is data._frame.columns["a"]

    def test_every_column_is_named(self, data):
        with pytest.raises(ValueError, match=r"The columns in features \(\['a'\]\) must be identical as the columns"):
            data.cast(Features({"a": Value("int8")}))

    def test_empty_columns_become_anything(self):
        data = Dataset.from_dict({"a": [None, None], "l": [None, [0]]})
        cast = data.cast(Features({"a": Value("string"), "l": List(Value("float32"))}))
        assert cast.to_dict() == {"a": [None, None], "l": [None, [0.0]]}


class TestClasses:
    def test_names_are_the_sorted_texts_of_the_values(self):
        assert Dataset.from_dict({"y": [10, 9, 10]}).class_encode_column("y").features["y"].names == ["10", "9"]
        encoded = Dataset.from_dict({"y": [True, None, False]}).class_encode_column("y")
        assert (encoded.features["y"].names, encoded["y"]) == (["False", "True"], [1, None, 0])
        nulls = Dataset.from_dict({"y": ["b", None]}).class_encode_column("y", include_nulls=True)
        assert (nulls.features["y"].names, nulls["y"]) == (["None", "b"], [1, 0])

    def test_of_chosen_rows(self):
        data = Dataset.from_dict({"y": ["c", "a", "b"]}).select([2, 0])
        encoded = data.class_encode_column("y")
        assert (encoded.features["y"].names, encoded["y"]) == (["b", "c"], [0, 1])

    def test_lists_are_no_classes(self):
        with pytest.raises(ValueError, match="only supported for columns of single values"):
            Dataset.from_dict({"y": [["a"]]}).class_encode_column("y")

    def test_numbers_follow_those_of_a_model(self):
        label = ClassLabel(names=["contradiction", "Entailment"])
        data = Dataset.from_dict({"y": [0, 1, -1, None]}, Features({"y": label}))
        aligned = data.align_labels_with_mapping({"NEUTRAL": 1, "entailment": 0, "CONTRADICTION": 2}, "y")
        assert aligned["y"] == [2, 0, None, None]
        assert aligned.features["y"].names == ["entailment", "NEUTRAL", "CONTRADICTION"]
        with pytest.raises(ValueError, match=r"labels \['contradiction'\] of column 'y' are not in label2id"):
            data.align_labels_with_mapping({"entailment": 0}, "y")
        with pytest.raises(ValueError, match=r"only supported for ClassLabel column.*column z is Value"):
            Dataset.from_dict({"z": [1]}).align_labels_with_mapping({"a": 0}, "z")


class TestFlatten:
    def test_members_become_columns_where_the_struct_was(self):
        data = Dataset.from_dict({"i": [1, 2], "s": [{"a": 1, "b": {"c": "x"}}, None], "t": ["u", "v"]})
        flat = data.flatten()
        assert flat.column_names == ["i", "s.a", "s.b.c", "t"]
        assert flat.to_dict() == {"i": [1, 2], "s.a": [1, None], "s.b.c": ["x", None], "t": ["u", "v"]}
        assert data.select([1, 0]).flatten()["s.a"] == [None, 1]
        assert data.flatten(max_depth=1).column_names == ["i", "s.a", "s.b", "t"]

    def test_features_of_members_stay(self):
        label = ClassLabel(names=["n", "y"])
        data = Dataset.from_dict({"s": [{"y": 1}]}, Features({"s": {"y": label}}))
        assert data.flatten().features == {"s.y": label}


class TestAddColumn:
    def test_a_feature_may_be_given(self, data):
        label = ClassLabel(names=["no", "yes"])
        added = data.add_column("y", ["no", "yes", None], feature=label)
        assert (added.features["y"], added["y"]) == (label, [0, 1, None])

    def test_to_chosen_rows_in_their_order(self, data):
        added = data.select([2, 0]).add_column("n", np.array([7, 8]))
        assert added.to_list() == [{"a": 3, "b": "z", "c": [], "n": 7}, {"a": 1, "b": "x", "c": [1], "n": 8}]
        assert added.select([1])["n"] == [8]

    def test_to_a_dataset_without_columns(self):
        assert Dataset.from_dict({}).add_column("a", [1, 2])["a"] == [1, 2]


class TestRename:
    def test_all_names_in_order(self, data):
        assert data.rename_columns(["x", "y", "z"]).column_names == ["x", "y", "z"]

    def test_impossible_names(self, data):
        with pytest.raises(InputError, match="New column name is empty"):
            data.rename_column("a", "")
        with pytest.raises(ValueError, match="Original column name q not in the dataset"):
            data.rename_columns({"q": "r"})
        with pytest.raises(ValueError, match="New column name n already in the dataset"):
            data.rename_columns({"a": "n", "b": "n"})


def test_a_dataset_that_was_read_pickles_with_its_decoders():
    import PIL.Image

    data = Dataset.from_dict({"i": [PIL.Image.new("L", (2, 3))]})
    assert data[0]["i"].size == (2, 3)
    assert pickle.loads(pickle.dumps(data))[0]["i"].size == (2, 3)
