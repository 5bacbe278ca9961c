"""Datasets as folders, and back."""

import json
import os
from pathlib import Path

import pyarrow as pa
import pytest

from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.disk import load_dict_from_disk, load_from_disk, load_one_from_disk, save, save_dict
from madang.datasets.features import ClassLabel, Features, Image, List, Value

FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "ids": List(Value("int32"))})


@pytest.fixture
def data() -> Dataset:
    rows = {"text": [f"글 {i}" for i in range(10)], "label": [0, 1] * 5, "ids": [[i] * (i % 3) for i in range(10)]}
    return Dataset.from_dict(rows, features=FEATURES, split="train")


def test_rows_features_split_format_and_fingerprint_come_back(data: Dataset, tmp_path: Path) -> None:
    data = data.shuffle(seed=3)
    save(data, tmp_path / "x")
    assert load_one_from_disk(tmp_path / "x")._fingerprint == data._fingerprint
    data = data.with_format("numpy", columns=["label"], output_all_columns=True)
    save(data, tmp_path / "x")
    back = load_from_disk(tmp_path / "x")
    assert isinstance(back, Dataset)
    assert back.with_format(None)[:] == data.with_format(None)[:]
    assert (back.features, str(back.split), back.format) == (FEATURES, "train", data.format)
    assert back.cache_files == [{"filename": str(tmp_path / "x" / "data-00000-of-00001.arrow")}]


def test_the_folder_is_laid_out_as_others_expect(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path / "x", num_shards=2)
    assert sorted(os.listdir(tmp_path / "x")) == [
        "data-00000-of-00002.arrow",
        "data-00001-of-00002.arrow",
        "dataset_info.json",
        "state.json",
    ]
    state = (tmp_path / "x" / "state.json").read_text()
    assert json.loads(state) == {
        "_data_files": [{"filename": f"data-0000{i}-of-00002.arrow"} for i in range(2)],
        "_fingerprint": data._fingerprint,
        "_format_columns": None,
        "_format_kwargs": {},
        "_format_type": None,
        "_output_all_columns": False,
        "_split": "train",
    }
    assert state == json.dumps(json.loads(state), indent=2, sort_keys=True)
    info = json.loads((tmp_path / "x" / "dataset_info.json").read_text())
    assert list(info) == sorted(info)
    assert list(info["features"]) == ["text", "label", "ids"]
    with pa.ipc.open_stream(tmp_path / "x" / "data-00000-of-00002.arrow") as stream:
        assert stream.schema == FEATURES.arrow_schema


@pytest.mark.parametrize(
    ("options", "files"), [({"num_shards": 4}, 4), ({"num_proc": 2}, 2), ({"num_shards": 7, "num_proc": 2}, 7)]
)
def test_as_many_files_as_were_asked_for(data: Dataset, tmp_path: Path, options: dict[str, int], files: int) -> None:
    save(data, tmp_path / "x", **options)  # type: ignore[arg-type]
    back = load_one_from_disk(tmp_path / "x")
    assert len(back.cache_files) == files
    assert back[:] == data[:]


def test_a_dataset_is_never_saved_over_the_files_it_is_read_from(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path / "x")
    back = load_one_from_disk(tmp_path / "x")
    for changed in (back, back.select([1, 2]), back.map(lambda row: {"n": 1})):
        with pytest.raises(PermissionError, match="can't overwrite itself"):
            save(changed, tmp_path / "x")
    with pytest.raises(PermissionError, match="can't overwrite itself"):
        save_dict(DatasetDict(train=back), tmp_path)
    assert load_one_from_disk(tmp_path / "x")[:] == data[:]


def test_another_dataset_takes_the_place_of_one_saved_before(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path / "x", num_shards=5)
    old = load_one_from_disk(tmp_path / "x")
    save(data.select([7]), tmp_path / "x")
    assert len(os.listdir(tmp_path / "x")) == 3
    assert load_one_from_disk(tmp_path / "x")["text"][:] == ["글 7"]
    assert old[:] == data[:]  # who still reads the old one can
    assert os.listdir(tmp_path) == ["x"]


def test_files_of_others_in_the_folder_stay(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path, num_shards=5)
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "model.bin").write_text("mine too")
    save(data.select([7]), tmp_path)
    assert sorted(os.listdir(tmp_path)) == [
        "data-00000-of-00001.arrow", "dataset_info.json", "notes.txt", "state.json", "train",
    ]  # fmt: skip
    with pytest.raises(ValueError, match="train is in the way"):
        save_dict(DatasetDict(train=data), tmp_path)
    assert (tmp_path / "train" / "model.bin").read_text() == "mine too"


def test_the_folder_one_works_in_stays_the_same_folder(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save(data, ".", num_shards=5)
    save(data.select([7]), "")
    assert sorted(os.listdir(".")) == ["data-00000-of-00001.arrow", "dataset_info.json", "state.json"]
    assert load_one_from_disk(".")["text"][:] == ["글 7"]


def test_failing_in_the_middle_leaves_the_folder_as_it_was(
    data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(data, tmp_path / "x")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("madang.datasets.writer.ArrowWriter.close", full)
    with pytest.raises(OSError, match="No space left"):
        save(data.select([1]), tmp_path / "x")
    monkeypatch.undo()
    assert load_one_from_disk(tmp_path / "x")[:] == data[:]
    assert os.listdir(tmp_path) == ["x"]


def test_nothing_at_all_is_saved_and_loaded(data: Dataset, tmp_path: Path) -> None:
    save(data.select([]), tmp_path / "x")
    back = load_one_from_disk(tmp_path / "x")
    assert (len(back), back.features) == (0, FEATURES)


def test_rows_can_be_kept_in_memory(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save(data, tmp_path / "x", num_shards=2)
    back = load_one_from_disk(tmp_path / "x", keep_in_memory=True)
    assert (back.cache_files, back.features, back[:]) == ([], FEATURES, data[:])
    monkeypatch.setenv("HF_DATASETS_IN_MEMORY_MAX_SIZE", "1000000")
    assert load_one_from_disk(tmp_path / "x").cache_files == []
    assert load_one_from_disk(tmp_path / "x", keep_in_memory=False).cache_files != []


def test_images_are_saved_with_their_content(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"not really an image")
    features = Features({"image": Image(decode=False)})
    save(Dataset.from_dict({"image": [str(tmp_path / "a.bin"), None]}, features=features), tmp_path / "x")
    (tmp_path / "a.bin").unlink()
    assert load_one_from_disk(tmp_path / "x")[:] == {
        "image": [{"bytes": b"not really an image", "path": "a.bin"}, None]
    }


def test_a_format_that_cannot_be_written_down_is_refused_before_anything_is_written(
    data: Dataset, tmp_path: Path
) -> None:
    with pytest.raises(TypeError, match="key 'transform' isn't"):
        save(data.with_transform(lambda batch: batch), tmp_path / "x")
    assert os.listdir(tmp_path) == []


def test_a_url_of_any_file_system_will_do(data: Dataset) -> None:
    save(data, "memory://disk/x", num_shards=2)
    assert load_one_from_disk("memory://disk/x")[:] == data[:]
    save_dict(DatasetDict(train=data), "memory://disk/dict")
    assert load_dict_from_disk("memory://disk/dict")["train"][:] == data[:]
    save_dict(DatasetDict(train=data), "memory://disk/x")
    assert isinstance(load_from_disk("memory://disk/x"), DatasetDict)
    with pytest.raises(FileNotFoundError, match="not found"):
        load_from_disk("memory://disk/nowhere")


# several splits ---------------------------------------------------------------------------------------------------


def test_splits_are_folders_of_a_folder(data: Dataset, tmp_path: Path) -> None:
    save_dict(DatasetDict(train=data, test=data.select([1])), tmp_path / "x", num_shards={"train": 3})
    assert json.loads((tmp_path / "x" / "dataset_dict.json").read_text()) == {"splits": ["train", "test"]}
    back = load_from_disk(tmp_path / "x")
    assert isinstance(back, DatasetDict)
    assert {name: len(split.cache_files) for name, split in back.items()} == {"train": 3, "test": 1}
    assert back["train"][:] == data[:]
    save_dict(DatasetDict(dev=data), tmp_path / "x")
    assert sorted(os.listdir(tmp_path / "x")) == ["dataset_dict.json", "dev"]


def test_numbers_of_files_go_by_split(data: Dataset, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one `num_shards` per dataset"):
        save_dict(DatasetDict(train=data), tmp_path / "x", num_shards=3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="cannot be the name of a split's folder"):
        save_dict(DatasetDict({"../up": data}), tmp_path / "x")


# what cannot be loaded --------------------------------------------------------------------------------------------


def test_folders_of_the_other_kind_and_of_no_kind_are_told_apart(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path / "one")
    save_dict(DatasetDict(train=data), tmp_path / "dict")
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "a.csv").write_text("a\n1\n")
    with pytest.raises(FileNotFoundError, match="but got a `DatasetDict`"):
        load_one_from_disk(tmp_path / "dict")
    with pytest.raises(FileNotFoundError, match="got a `Dataset`"):
        load_dict_from_disk(tmp_path / "one")
    with pytest.raises(FileNotFoundError, match=r"neither a `Dataset`.*load_dataset"):
        load_from_disk(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="not found"):
        load_from_disk(tmp_path / "nowhere")


def test_a_missing_or_broken_file_is_named(data: Dataset, tmp_path: Path) -> None:
    save(data, tmp_path / "x", num_shards=2)
    (tmp_path / "x" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(FileNotFoundError, match=r"names data-00001-of-00002\.arrow, which is not there"):
        load_from_disk(tmp_path / "x")
    (tmp_path / "x" / "state.json").write_text("{")
    with pytest.raises(ValueError, match=r"state\.json is no JSON file"):
        load_from_disk(tmp_path / "x")


@pytest.mark.parametrize("name", ["../../secret.arrow", "/etc/passwd", "a/../../b.arrow", ""])
def test_files_outside_the_folder_are_never_opened(data: Dataset, tmp_path: Path, name: str) -> None:
    save(data, tmp_path / "x")
    state = json.loads((tmp_path / "x" / "state.json").read_text())
    (tmp_path / "x" / "state.json").write_text(json.dumps({**state, "_data_files": [{"filename": name}]}))
    with pytest.raises(ValueError, match="outside its folder"):
        load_from_disk(tmp_path / "x")
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "dataset_dict.json").write_text(json.dumps({"splits": [name]}))
    with pytest.raises(ValueError, match="outside its folder"):
        load_from_disk(tmp_path / "d")
