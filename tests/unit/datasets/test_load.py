import gzip
import pickle
import zipfile

import pyarrow as pa
import pytest

from madang.datasets import (
    Dataset,
    DatasetDict,
    Features,
    IterableDataset,
    ReadInstruction,
    Split,
    Value,
    load_dataset,
)  # fmt: skip
from madang.errors import (
    DataFilesNotFoundError,
    DatasetNotFoundError,
    DatasetScriptError,
    InputError,
    MissingFileError,
    MissingSubsetError,
    UnknownNameError,
)  # fmt: skip
from tests.shared_data import shared


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "rows"
    folder.mkdir()
    for name, rows in {"train.csv": range(10), "dev.csv": range(10, 13), "test.csv": range(13, 15)}.items():
        (folder / name).write_text("n\n" + "".join(f"{row}\n" for row in rows), encoding="utf-8")
    (folder / "README.md").write_text("about", encoding="utf-8")
    return folder


def test_one_file_is_the_split_train(folder):
    loaded = load_dataset("csv", data_files=str(folder / "train.csv"))
    assert isinstance(loaded, DatasetDict)
    assert loaded.num_rows == {"train": 10}
    assert load_dataset(folder / "train.csv", split="train")["n"] == list(range(10))


def test_files_by_split_pattern_and_list(folder):
    loaded = load_dataset("csv", data_files={"train": str(folder / "t*.csv"), "rest": [str(folder / "dev.csv")]})
    assert loaded.num_rows == {"train": 12, "rest": 3}
    assert load_dataset("csv", data_dir=folder, data_files="dev.csv", split="train")["n"] == [10, 11, 12]
    assert load_dataset("csv", data_dir=folder).num_rows == {"train": 10, "validation": 3, "test": 2}


def test_a_folder_is_told_apart_by_names(folder):
    loaded = load_dataset(str(folder))
    assert loaded.num_rows == {"train": 10, "validation": 3, "test": 2}
    assert load_dataset(folder, split="validation").split == "validation"


def test_a_folder_may_say_in_its_card_what_it_holds(folder):
    card = """---
configs:
- config_name: small
  data_files:
  - split: train
    path: dev.csv
- config_name: large
  data_files: [train.csv, test.csv]
  features:
  - name: n
    dtype: string
---
"""
    (folder / "README.md").write_text(card, encoding="utf-8")
    assert load_dataset(str(folder), "small").num_rows == {"train": 3}
    assert load_dataset(str(folder), "large", split="train")["n"][:2] == ["0", "1"]
    with pytest.raises(MissingSubsetError, match=r"Config name is missing.\n.*\['small', 'large'\]"):
        load_dataset(str(folder))
    with pytest.raises(UnknownNameError, match=r"BuilderConfig 'smal' not found. Available: .*Did you mean 'small'"):
        load_dataset(str(folder), "smal")


def test_shards_in_a_data_folder_name_their_split(tmp_path):
    (tmp_path / "rows" / "data").mkdir(parents=True)
    for place in range(2):
        path = tmp_path / "rows" / "data" / f"extra-{place:05}-of-00002.parquet"
        Dataset.from_dict({"a": [place]}).to_parquet(path)
    assert load_dataset(tmp_path / "rows")["extra"]["a"] == [0, 1]


@pytest.mark.parametrize(
    ("split", "rows"),
    [
        ("train[:3]", [0, 1, 2]),
        ("train[-2:]", [8, 9]),
        ("train[10%:30%]", [1, 2]),
        ("train[:1]+test", [0, 13, 14]),
        ("validation[1:2]", [11]),
        (Split.TEST, [13, 14]),
        (ReadInstruction("train", to=20, unit="%"), [0, 1]),
    ],
)
def test_splits_can_be_sliced_and_added(folder, split, rows):
    assert load_dataset(folder, split=split)["n"] == rows
    assert str(load_dataset(folder, split=split).split) == str(split)


def test_lists_and_dicts_of_splits(folder):
    first, second = load_dataset(folder, split=["train[:1]", "test"])
    assert (first["n"], second["n"]) == ([0], [13, 14])
    assert load_dataset(folder, split={"a": "train", "b": "test"}).num_rows == {"a": 10, "b": 2}
    assert load_dataset(folder, split=Split.ALL).num_rows == 15


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"path": "csv"}, InputError, "data_files= or data_dir="),
        ({"path": "csv", "data_files": []}, InputError, "Empty 'data_files'"),
        ({"path": "csv", "data_files": "/nowhere/*.csv"}, DataFilesNotFoundError, "Couldn't find any data file"),
        ({"path": "csv", "data_files": "/nowhere/a.csv"}, MissingFileError, "Unable to find '/nowhere/a.csv'"),
        ({"path": "./nowhere"}, DatasetNotFoundError, "Couldn't find any data file at"),
        ({"path": "rows.csv"}, DatasetNotFoundError, "Unable to find 'rows.csv'"),
        ({"path": "csv", "data_files": "a", "streaming": True, "num_proc": 2}, NotImplementedError, "streaming=True"),
        ({"path": "csv", "data_files": "s3x://a/b.csv"}, InputError, "s3x"),
    ],
)
def test_what_cannot_be_loaded_is_explained(arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


def test_a_saved_dataset_and_a_program_are_refused_with_advice(tmp_path):
    Dataset.from_dict({"a": [1]}).save_to_disk(tmp_path / "saved")
    with pytest.raises(ValueError, match=r"use `load_from_disk`"):
        load_dataset(str(tmp_path / "saved"))
    (tmp_path / "own.py").write_text("raise SystemExit", encoding="utf-8")
    with pytest.raises(DatasetScriptError, match=r"Dataset scripts are no longer supported, but found own\.py"):
        load_dataset(str(tmp_path / "own.py"))


def test_an_unknown_split_names_those_there_are(folder):
    message = r"Unknown split \"tset\". Should be one of \['train', 'validation', 'test'\].*'test'"
    for streaming in (False, True):
        with pytest.raises(KeyError, match=message):
            load_dataset(folder, split="tset", streaming=streaming)
    with pytest.raises(InputError, match=r"Write a split's name"):
        load_dataset(folder, split="train[a:b]")


def test_only_the_split_that_is_asked_for_is_converted(folder, kept):
    (folder / "train.csv").write_text("n,m\n1\n", encoding="utf-8")  # broken
    assert load_dataset(folder, split="test")["n"] == [13, 14]
    assert [path.parent.name for path in kept.rglob("*.arrow")] == ["test"]


def test_a_changed_file_is_read_again(folder):
    assert load_dataset(folder, split="test")["n"] == [13, 14]
    (folder / "test.csv").write_text("n\n7\n8\n9\n", encoding="utf-8")
    assert load_dataset(folder, split="test")["n"] == [7, 8, 9]


def test_a_failure_leaves_nothing_that_would_be_reused(folder, kept):
    good = (folder / "test.csv").read_text(encoding="utf-8")
    (folder / "test.csv").write_text("n\n" + "1\n" * 600_000 + "2,3\n", encoding="utf-8")
    with pytest.raises(InputError, match=r"line 600002"):
        load_dataset(folder, split="test")
    assert [path for path in kept.rglob("*") if path.is_file() and "entries" not in str(path)] == []
    (folder / "test.csv").write_text(good, encoding="utf-8")
    assert load_dataset(folder, split="test")["n"] == [13, 14]


def test_the_cache_may_be_moved(folder, tmp_path):
    first = load_dataset(folder, split="train", cache_dir=tmp_path / "one")
    (tmp_path / "one").rename(tmp_path / "two")
    again = load_dataset(folder, split="train", cache_dir=tmp_path / "two")
    assert again._fingerprint == first._fingerprint
    assert load_dataset(folder, split="test", cache_dir=tmp_path / "two")._fingerprint != first._fingerprint
    assert again.cache_files[0]["filename"].startswith(str(tmp_path / "two"))


def test_in_memory_leaves_nothing_in_the_cache(folder, kept):
    data = load_dataset(folder, split="train", keep_in_memory=True)
    assert (data["n"][:2], data.cache_files) == ([0, 1], [])
    assert list(kept.rglob("*.arrow")) == []


def test_several_files_are_read_at_a_time(tmp_path, caplog):
    for number in range(4):
        value = "1.5" if number == 3 else str(number)
        (tmp_path / f"{number}.csv").write_text(f"n\n{value}\n", encoding="utf-8")
    data = load_dataset("csv", data_files=str(tmp_path / "*.csv"), split="train", num_proc=3)
    assert data["n"] == [0.0, 1.0, 2.0, 1.5]
    assert len(data.cache_files) == 3
    load_dataset("csv", data_files=str(tmp_path / "0.csv"), split="train", num_proc=8)
    assert "Setting num_proc from 8 back to 1" in caplog.text


def test_features_say_what_the_columns_hold(folder):
    data = load_dataset(folder, features=Features({"n": Value("string")}))
    assert data["test"]["n"] == ["13", "14"]


def test_files_in_archives_and_compressed_files_in_patterns(tmp_path):
    with zipfile.ZipFile(tmp_path / "rows.zip", "w") as packed:
        packed.writestr("b/two.csv", "n\n2\n")
        packed.writestr("one.csv", "n\n1\n")
    (tmp_path / "three.csv.gz").write_bytes(gzip.compress(b"n\n3\n"))
    assert load_dataset("csv", data_files=str(tmp_path / "*.zip"), split="train")["n"] == [2, 1]
    assert load_dataset("csv", data_files=str(tmp_path / "*.csv.gz"), split="train")["n"] == [3]
    inner = f"zip://b/*.csv::{tmp_path / 'rows.zip'}"
    assert load_dataset("csv", data_files=inner, split="train")["n"] == [2]
    for streaming in (False, True):
        data = load_dataset(str(tmp_path / "rows.zip"), split="train", streaming=streaming)
        assert [row["n"] for row in data] == [2, 1]


def test_other_storage_is_read_where_it_lies():
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.pipe("/load/train-1.csv", b"n\n1\n")
    memory.pipe("/load/train-2.csv", b"n\n2\n")
    try:
        for files in ("memory://load/*.csv", ["memory://load/train-1.csv", "memory://load/train-2.csv"]):
            for streaming in (False, True):
                data = load_dataset("csv", data_files=files, split="train", streaming=streaming)
                assert [row["n"] for row in data] == [1, 2]
        with pytest.raises(FileNotFoundError, match=r"Unable to find 'memory://load/none.csv'"):
            load_dataset("csv", data_files="memory://load/none.csv")
    finally:
        memory.rm("/load", recursive=True)


def test_streams_give_the_same_rows_and_pickle(folder):
    stream = load_dataset(folder, split="train+test", streaming=True)
    assert isinstance(stream, IterableDataset)
    assert [row["n"] for row in stream] == [*range(10), 13, 14]
    assert [row["n"] for row in pickle.loads(pickle.dumps(stream))] == [*range(10), 13, 14]
    assert list(load_dataset(folder, streaming=True)) == ["train", "validation", "test"]
    assert [row["n"] for row in load_dataset(folder, split="train[2:4]", streaming=True)] == [2, 3]
    with pytest.raises(InputError, match=r"from the beginning only"):
        load_dataset(folder, split="train[:10%]", streaming=True)


def test_a_stream_goes_on_as_text_where_a_column_turns_out_to_be(tmp_path):
    (tmp_path / "a.csv").write_text("a\n" + "1\n" * 600_000 + "x\n", encoding="utf-8")
    stream = load_dataset("csv", data_files=str(tmp_path / "a.csv"), split="train", streaming=True)
    count, last = 0, None
    for batch in stream.iter(10_000):
        count, last = count + len(batch["a"]), batch["a"][-1]
    assert (count, last) == (600_001, "x")


def test_info_knows_sizes_and_names(folder):
    data = load_dataset(folder, split="train")
    info = data.info
    assert (info.builder_name, info.dataset_name, info.config_name) == ("csv", "rows", "default")
    assert info.splits["train"].num_examples == 10
    assert info.download_size == (folder / "train.csv").stat().st_size
    assert info.dataset_size > 0


def test_arrow_files_that_users_have_keep_their_types(tmp_path):
    table = pa.table({"a": pa.array([1, 2], pa.int8())})
    with pa.ipc.new_stream(str(tmp_path / "train.arrow"), table.schema) as sink:
        sink.write_table(table)
    assert load_dataset("arrow", data_dir=str(tmp_path), split="train").features["a"].dtype == "int8"


def test_real_headlines():
    data = load_dataset("csv", data_files=str(shared("ynat/val.csv")), split="train").class_encode_column("topic")
    assert data.num_rows == 5000
    assert data.features["topic"].names == ["IT과학", "경제", "사회", "생활문화", "세계", "스포츠", "정치"]
    assert data.train_test_split(test_size=0.1, seed=1, stratify_by_column="topic").num_rows == {
        "train": 4500,
        "test": 500,
    }
