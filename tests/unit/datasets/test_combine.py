import pyarrow as pa
import pytest

from madang.datasets import (
    ClassLabel,
    Dataset,
    DatasetDict,
    Value,
    concatenate_datasets,
    interleave_datasets,
    load_from_disk,
)
from madang.errors import InputError


def test_rows_follow_each_other_and_missing_columns_are_empty():
    one, two = Dataset.from_dict({"a": [1], "b": ["x"]}), Dataset.from_dict({"a": [2, 3]})
    joined = concatenate_datasets([one, two.select([1, 0])])
    assert joined.to_dict() == {"a": [1, 3, 2], "b": ["x", None, None]}


def test_a_column_of_empty_cells_takes_the_others_type():
    joined = concatenate_datasets([Dataset.from_dict({"a": [None]}), Dataset.from_dict({"a": [2]})])
    assert (joined.features["a"], joined["a"]) == (Value("int64"), [None, 2])


def test_columns_side_by_side():
    joined = concatenate_datasets(
        [Dataset.from_dict({"a": [1, 2]}).select([1, 0]), Dataset.from_dict({"b": [3, 4]})], axis=1
    )
    assert joined.to_dict() == {"a": [2, 1], "b": [3, 4]}


@pytest.mark.parametrize(
    ("given", "axis", "message"),
    [
        ([{"a": [1]}, {"a": ["x"]}], 0, "The features can't be aligned because the key a"),
        ([{"a": [1]}, {"a": [2]}], 1, r"\['a'\] are duplicated"),
        ([{"a": [1]}, {"b": [2, 3]}], 1, "rows must match"),
        ([], 0, "empty"),
        ([{"a": [1]}], 2, "axis is 0"),
    ],
)
def test_what_does_not_fit_is_explained(given, axis, message):
    with pytest.raises(InputError, match=message):
        concatenate_datasets([Dataset.from_dict(columns) for columns in given], axis=axis)


class TestConcatenating:
    def test_parts_are_shared_not_copied(self):
        one, two = (Dataset.from_dict({"a": list(range(n)), "t": ["x"] * n}) for n in (3, 4))
        joined = concatenate_datasets([one.shuffle(seed=1), two])
        assert joined["a"] == [*one.shuffle(seed=1)["a"], *two["a"]]
        buffers = [chunk.buffers()[1].address for chunk in joined._frame.columns["a"].values.chunks]
        assert buffers == [d._frame.columns["a"].values.chunk(0).buffers()[1].address for d in (one, two)]

    def test_mapped_parts_stay_mapped(self, tmp_path):
        for name in ("one", "two"):
            Dataset.from_dict({"a": [1, 2, 3], "t": [name] * 3}).save_to_disk(tmp_path / name)
        parts = [load_from_disk(tmp_path / name) for name in ("one", "two")]
        before = pa.total_allocated_bytes()
        joined = concatenate_datasets([parts[0], parts[1].select([2, 0])])
        turns = interleave_datasets(parts)
        assert pa.total_allocated_bytes() - before < 1000
        files = [part.cache_files[0] for part in parts]
        assert joined.cache_files == turns.cache_files == files
        assert (joined["t"], joined["a"]) == (["one"] * 3 + ["two"] * 2, [1, 2, 3, 3, 1])
        assert turns["t"] == ["one", "two"] * 3

    def test_empty_parts_are_left_out(self):
        full = Dataset.from_dict({"a": [1]})
        joined = concatenate_datasets([Dataset.from_dict({"b": ["x"]}).select([]), full, full.select([])])
        assert joined.to_dict() == {"a": [1]}
        assert concatenate_datasets([full.select([]), full.select([])]).shape == (0, 1)

    def test_features_stay(self):
        label = ClassLabel(names=["a", "b"])
        parts = [Dataset.from_dict({"y": [i]}).cast_column("y", label) for i in (0, 1)]
        assert concatenate_datasets(parts).features == {"y": label}
        assert concatenate_datasets([parts[0], Dataset.from_dict({"z": [1]})]).features["y"] == label

    def test_the_format_stays_where_all_agree(self):
        one, two = Dataset.from_dict({"a": [1]}).with_format("numpy"), Dataset.from_dict({"a": [2]})
        assert concatenate_datasets([one, two.with_format("numpy")]).format["type"] == "numpy"
        assert concatenate_datasets([one, two]).format["type"] is None

    def test_the_split_can_be_named(self):
        one = Dataset.from_dict({"a": [1]}, split="train")
        assert concatenate_datasets([one, one]).split == "train"
        assert concatenate_datasets([one, one], split="test").split == "test"

    @pytest.mark.parametrize("together", [concatenate_datasets, interleave_datasets])
    def test_dicts_of_splits_and_mixtures_are_explained(self, together):
        data = Dataset.from_dict({"a": [1]})
        with pytest.raises(ValueError, match=r"position 1 is a DatasetDict.*splits: \['train'\]"):
            together([data, DatasetDict(train=data)])
        with pytest.raises(ValueError, match="with an IterableDataset"):
            together([data, data.to_iterable_dataset()])
        with pytest.raises(TypeError, match="position 0 is a dict"):
            together([{"a": [1]}])


class TestInterleaving:
    three, two = Dataset.from_dict({"a": [0, 1, 2]}), Dataset.from_dict({"a": [10, 11]})

    def test_in_turns(self):
        parts = [self.three, self.two, Dataset.from_dict({"a": [20, 21, 22, 23]})]
        assert interleave_datasets(parts)["a"] == [0, 10, 20, 1, 11, 21]
        assert interleave_datasets(parts, stopping_strategy="all_exhausted")["a"] == [
            0, 10, 20, 1, 11, 21, 2, 10, 22, 0, 11, 23
        ]  # fmt: skip
        assert interleave_datasets(parts, stopping_strategy="all_exhausted_without_replacement")["a"] == [
            0, 10, 20, 1, 11, 21, 2, 22, 23
        ]  # fmt: skip

    def test_drawn_as_the_datasets_package_draws(self):
        assert interleave_datasets([self.three, self.two], [0.5, 0.5], seed=42)["a"] == [10, 0, 11]

    def test_every_row_comes_when_all_are_exhausted(self):
        rows = interleave_datasets([self.three, self.two], [0.9, 0.1], seed=1, stopping_strategy="all_exhausted")["a"]
        assert set(rows) == {0, 1, 2, 10, 11}
        rows = interleave_datasets(
            [self.three, self.two], [0.9, 0.1], seed=1, stopping_strategy="all_exhausted_without_replacement"
        )["a"]
        assert sorted(rows) == [0, 1, 2, 10, 11]
        assert [row for row in rows if row < 10] == [0, 1, 2]

    def test_what_has_no_probability_is_not_drawn(self):
        assert interleave_datasets([self.three, self.two], [0.0, 1.0], seed=1)["a"] == [10, 11]
        empty = self.three.select([])
        assert interleave_datasets([empty, self.two], [0.0, 1.0], seed=1)["a"] == [10, 11]

    @pytest.mark.parametrize(
        ("parts", "probabilities", "strategy", "message"),
        [
            ("32", [1.0], "first_exhausted", "1 probabilities for 2 datasets"),
            ("32", [0.0, 1.0], "all_exhausted", "dataset 0 has the probability 0"),
            ("30", [0.5, 0.5], "first_exhausted", "dataset 1 is drawn with probability 0.5, but has no rows"),
            ("30", None, "all_exhausted", "an empty one cannot"),
            ("32", None, "first_exhausting", "stopping_strategy is one of first_exhausted, all_exhausted"),
        ],
    )
    def test_what_would_never_end_is_explained(self, parts, probabilities, strategy, message):
        given = {"3": self.three, "2": self.two, "0": self.three.select([])}
        with pytest.raises(ValueError, match=message):
            interleave_datasets([given[name] for name in parts], probabilities, stopping_strategy=strategy)

    def test_shuffled_parts_are_taken_in_their_order_and_not_copied(self):
        big = Dataset.from_dict({"a": list(range(1000))})
        shuffled = big.shuffle(seed=1)
        turns = interleave_datasets([shuffled, self.three])
        assert turns["a"] == [shuffled[0]["a"], 0, shuffled[1]["a"], 1, shuffled[2]["a"], 2]
        there = turns._frame.columns["a"].values.chunk(0).buffers()[1].address
        assert there == big._frame.columns["a"].values.chunk(0).buffers()[1].address

    def test_columns_that_one_part_lacks_are_empty(self):
        other = Dataset.from_dict({"a": [7], "b": ["x"]})
        assert interleave_datasets([self.three, other]).to_list() == [{"a": 0, "b": None}, {"a": 7, "b": "x"}]
