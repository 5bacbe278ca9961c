import pytest

from madang.datasets import Dataset, DatasetDict, load_from_disk


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


class TestMap:
    def test_the_split_can_be_told_to_the_function(self, splits):
        assert splits.map(lambda row, split: {"s": split}, with_split=True)["test"][0] == {"title": "c", "s": "test"}
        named = splits.map(
            lambda batch, i, split: {"s": [f"{split}{n}" for n in i]}, True, batched=True, with_split=True
        )
        assert named["train"]["s"] == ["train0", "train1"]

    def test_an_async_function_is_told_too(self, splits):
        async def name(row, split):
            return {"s": split}

        assert splits.map(name, with_split=True, num_proc=2)["train"]["s"] == ["train", "train"]

    def test_every_split_has_a_file_of_its_own(self, splits, tmp_path):
        splits.save_to_disk(tmp_path / "d")
        files = {name: str(tmp_path / f"{name}.arrow") for name in splits}
        loaded = load_from_disk(tmp_path / "d")
        mapped = loaded.map(lambda row: {"n": len(row["title"])}, cache_file_names=files)
        assert mapped.cache_files == {name: [{"filename": path}] for name, path in files.items()}
        assert (
            loaded.filter(lambda row: bool(row["title"]), cache_file_names={"train": None}).num_rows == splits.num_rows
        )
        assert loaded.sort("title", indices_cache_file_names=None)["train"]["title"] == ["a", "b"]
        assert loaded.shuffle(seed=1, indices_cache_file_names=None).num_rows == splits.num_rows

    def test_results_of_all_splits_are_removed(self, splits, tmp_path):
        splits.save_to_disk(tmp_path / "d")
        loaded = load_from_disk(tmp_path / "d")
        loaded.map(lambda row: {"n": 1})
        assert loaded.cleanup_cache_files() == {"train": 1, "test": 1}


class TestShuffle:
    def test_one_seed_or_one_for_each(self, splits):
        wide = DatasetDict({name: Dataset.from_dict({"a": list(range(20))}) for name in splits})
        same = wide.shuffle(seed=3)
        assert same["train"]["a"] == same["test"]["a"] == Dataset.from_dict({"a": range(20)}).shuffle(seed=3)["a"]
        own = wide.shuffle(seeds={"train": 3, "test": 4})
        assert own["train"]["a"] == same["train"]["a"] != own["test"]["a"]
        with pytest.raises(ValueError, match="seed or seeds, but not both"):
            wide.shuffle(seeds=1, seed=2)


def test_formats_change_the_dict_itself(splits):
    with splits.formatted_as("numpy"):
        assert splits["test"].format["type"] == "numpy"
    assert splits["test"].format["type"] is None
    splits.set_format("pandas", columns=["title"])
    assert {data.format["type"] for data in splits.values()} == {"pandas"}
    splits.reset_format()
    splits.set_transform(lambda batch: {"u": [t.upper() for t in batch["title"]]})
    assert splits["train"][0] == {"u": "A"}


def test_something_else_than_a_dataset_is_named(splits):
    splits["bad"] = [1, 2]
    with pytest.raises(TypeError, match="should be of type `Dataset` but got type '<class 'list'>' for 'bad'"):
        splits.map(lambda row: {})
