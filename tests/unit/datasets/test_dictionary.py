import pytest

from madang.datasets import Dataset, DatasetDict


@pytest.fixture
def splits():
    return DatasetDict(train=Dataset.from_dict({"title": ["a", "b"]}), test=Dataset.from_dict({"title": ["c"]}))


def test_printing_is_what_people_know(splits):
    assert repr(splits) == (
        "DatasetDict({\n    train: Dataset({\n        features: ['title'],\n        num_rows: 2\n    })\n"
        "    test: Dataset({\n        features: ['title'],\n        num_rows: 1\n    })\n})"
    )


def test_every_verb_works_on_every_split(splits):
    mapped = splits.map(lambda row: {"n": len(row["title"])}).rename_column("title", "text")
    assert mapped.column_names == {"train": ["text", "n"], "test": ["text", "n"]}
    assert splits.filter(lambda row: row["title"] != "a").num_rows == {"train": 1, "test": 1}
    assert splits.with_format("numpy")["test"]["title"][:].tolist() == ["c"]
    assert isinstance(mapped, DatasetDict)


def test_answers_come_per_split(splits):
    assert splits.shape == {"train": (2, 1), "test": (1, 1)}
    assert splits.unique("title") == {"train": ["a", "b"], "test": ["c"]}


def test_a_column_in_place_of_a_split_is_explained(splits):
    with pytest.raises(KeyError, match=r"'title' is a column.*dataset\['train'\]\['title'\].*\['train', 'test'\]"):
        splits["title"]
    with pytest.raises(KeyError, match=r"dataset\['train'\]\[0\]"):
        splits[0]
    with pytest.raises(KeyError, match="Did you mean 'train'"):
        splits["trian"]
    assert splits.get("validation") is None
