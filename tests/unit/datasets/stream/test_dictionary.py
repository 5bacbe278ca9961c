"""Streams by split."""

from typing import Any

import pytest

from madang.datasets import Features, Value
from madang.datasets.stream import IterableDataset, IterableDatasetDict


def splits() -> IterableDatasetDict:
    return IterableDatasetDict(
        {
            "train": IterableDataset.from_dict({"a": [1, 2, 3], "b": ["x", "y", "z"]}, num_shards=3),
            "test": IterableDataset.from_dict({"a": [4], "b": ["w"]}),
        }
    )


def test_it_prints_as_people_know_it() -> None:
    inner = "IterableDataset({\n        features: ['a', 'b'],\n        num_shards: 1\n    })"
    assert repr(IterableDatasetDict({"test": splits()["test"]})) == f"IterableDatasetDict({{\n    test: {inner}\n}})"


def test_verbs_work_on_every_split() -> None:
    changed: Any = (
        splits()
        .map(lambda row: {"n": row["a"] + 1}, remove_columns="b")
        .filter(lambda row: row["a"] != 2)
        .rename_column("a", "c")
        .shuffle(seed=1, buffer_size=2, max_buffer_input_shards=1)
        .take(10)
    )
    assert sorted(row["c"] for row in changed["train"]) == [1, 3]
    assert list(changed["test"]) == [{"c": 4, "n": 5}]
    cast = splits().select_columns("a").cast(Features({"a": Value("string")})).with_format("numpy")
    assert next(iter(cast["test"])) == {"a": "4"}


def test_a_function_can_be_told_the_split() -> None:
    told = splits().map(lambda row, index, split: {"s": f"{split}{index}"}, with_indices=True, with_split=True)
    assert [row["s"] for row in told["train"]] == ["train0", "train1", "train2"]
    assert [row["s"] for row in splits().map(function=lambda row, split: {"s": split}, with_split=True)["test"]] == [
        "test"
    ]


def test_answers_by_split() -> None:
    assert splits().column_names == {"train": ["a", "b"], "test": ["a", "b"]}
    assert splits().num_columns == {"train": 2, "test": 2}
    assert splits().num_shards == {"train": 3, "test": 1}


def test_a_split_that_is_not_there() -> None:
    with pytest.raises(KeyError, match=r"Did you mean 'train'\?.*Available splits: \['train', 'test'\]"):
        splits()["trian"]
    with pytest.raises(KeyError, match="Please first select a split"):
        splits()[0]
    with pytest.raises(KeyError, match="is empty"):
        IterableDatasetDict()["train"]
