import pytest

from madang.datasets import Dataset, DatasetDict, load_dataset
from madang.errors import InputError, MissingFileError
from tests.shared_data import shared


@pytest.fixture
def folder(tmp_path):
    for name, rows in (("train", range(10)), ("dev", range(10, 13)), ("test", range(13, 15))):
        (tmp_path / f"{name}.csv").write_text("n\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    (tmp_path / "README.md").write_text("about", encoding="utf-8")
    return tmp_path


def test_one_file_is_the_split_train(folder):
    loaded = load_dataset("csv", data_files=str(folder / "train.csv"))
    assert isinstance(loaded, DatasetDict)
    assert loaded.num_rows == {"train": 10}
    assert load_dataset(folder / "train.csv", split="train")["n"] == list(range(10))


def test_files_by_split_pattern_and_list(folder):
    loaded = load_dataset("csv", data_files={"train": str(folder / "t*.csv"), "rest": [str(folder / "dev.csv")]})
    assert loaded.num_rows == {"train": 12, "rest": 3}
    assert load_dataset("csv", data_dir=folder, data_files="dev.csv", split="train")["n"] == [10, 11, 12]


def test_a_folder_is_told_apart_by_names(folder):
    loaded = load_dataset(str(folder))
    assert loaded.num_rows == {"train": 10, "validation": 3, "test": 2}
    assert load_dataset(folder, split="validation").split == "validation"


def test_shards_in_a_data_folder_name_their_split(tmp_path):
    (tmp_path / "data").mkdir()
    for place in range(2):
        Dataset.from_dict({"a": [place]}).to_parquet(tmp_path / "data" / f"extra-{place:05}-of-00002.parquet")
    assert load_dataset(tmp_path)["extra"]["a"] == [0, 1]


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train[:3]", [0, 1, 2]),
        ("train[-2:]", [8, 9]),
        ("train[10%:30%]", [1, 2]),
        ("train[:1]+test", [0, 13, 14]),
        ("validation[1:2]", [11]),
    ],
)
def test_splits_can_be_sliced_and_added(folder, split, rows):
    assert load_dataset(folder, split=split)["n"] == rows


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "csv"}, InputError, "needs data_files"),
        ({"path": "csvv"}, MissingFileError, "Did you mean 'csv'.*local files only"),
        ({"path": "klue", "name": "ynat"}, MissingFileError, "local files only"),
        ({"path": "csv", "data_files": "/nowhere/*.csv"}, MissingFileError, "Couldn't find any data file"),
        ({"path": "csv", "data_files": "https://a.b/c.csv"}, InputError, "files on this machine only"),
    ],
)
def test_what_cannot_be_loaded_is_explained(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


def test_an_unknown_split_names_those_there_are(folder):
    with pytest.raises(
        KeyError, match=r"Unknown split 'tset'. Should be one of \['train', 'validation', 'test'\].*'test'"
    ):
        load_dataset(folder, split="tset")
    with pytest.raises(InputError, match="write a split's name"):
        load_dataset(folder, split="train[a:b]")


def test_real_headlines():
    data = load_dataset("csv", data_files=str(shared("ynat/val.csv")), split="train").class_encode_column("topic")
    assert data.num_rows == 5000
    assert data.features["topic"].names == ["IT과학", "경제", "사회", "생활문화", "세계", "스포츠", "정치"]
    assert data.train_test_split(test_size=0.1, seed=1, stratify_by_column="topic").num_rows == {
        "train": 4500,
        "test": 500,
    }
