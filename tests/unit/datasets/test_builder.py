import pickle
from pathlib import Path

import pytest

from madang.datasets import DownloadMode, VerificationMode, load_dataset, load_dataset_builder
from madang.datasets.builder import DownloadConfig
from madang.errors import ExpectedMoreSplitsError, UnexpectedSplitsError, UnknownNameError

CARD = """---
configs:
- config_name: a
  description: the first
  drop_labels: true
- config_name: b
  default: true
  data_files: train.csv
dataset_info:
- config_name: b
  features:
  - name: n
    dtype: int32
  splits:
  - name: {split}
    num_bytes: 1
    num_examples: 2
---
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "rows"
    folder.mkdir()
    (folder / "train.csv").write_text("n\n1\n2\n", encoding="utf-8")
    (folder / "README.md").write_text(CARD.format(split="train"), encoding="utf-8")
    return folder


def test_it_tells_what_would_be_read(folder, tmp_path):
    builder = load_dataset_builder(str(folder))
    assert (builder.name, builder.dataset_name, builder.config.name) == ("csv", "rows", "b")
    assert builder.config.data_files == {"train": [str(folder / "train.csv")]}
    assert builder.info.features["n"].dtype == "int32"
    assert builder.info.splits["train"].num_examples == 2
    assert builder.cache_dir.startswith(str(tmp_path / "cache" / "rows" / "b-"))
    assert list(builder.builder_configs) == ["a", "b"]
    assert builder.builder_configs["a"].drop_labels is True
    assert not (tmp_path / "cache").exists()


def test_it_converts_and_opens(folder):
    builder = load_dataset_builder(str(folder))
    builder.download_and_prepare()
    assert builder.as_dataset().num_rows == {"train": 2}
    assert builder.as_dataset(split="train[:1]")["n"] == [1]
    assert [row["n"] for row in builder.as_streaming_dataset(split="train")] == [1, 2]
    assert pickle.loads(pickle.dumps(builder)).as_dataset(split="train")["n"] == [1, 2]


def test_once_converted_its_info_says_what_is_there(folder):
    builder = load_dataset_builder("csv", data_files=str(folder / "train.csv"))
    assert builder.info.features is None
    builder.download_and_prepare()
    assert builder.info.features == builder.as_dataset(split="train").features
    assert builder.info.splits["train"].num_examples == 2


def test_it_can_write_elsewhere(folder, tmp_path):
    builder = load_dataset_builder(str(folder))
    builder.download_and_prepare(tmp_path / "elsewhere")
    assert list((tmp_path / "elsewhere" / "train").glob("*.arrow"))
    assert builder.as_dataset(split="train")["n"] == [1, 2]


def test_options_and_features_change_the_folder(folder):
    folders = {
        load_dataset_builder("csv", data_files=str(folder / "train.csv"), **options).cache_dir
        for options in ({}, {"sep": ";"}, {"nrows": 1}, {"name": "other"})
    }
    assert len(folders) == 4


def test_an_edited_file_has_another_folder(folder):
    before = load_dataset_builder(str(folder))
    (folder / "train.csv").write_text("n\n1\n2\n3\n", encoding="utf-8")
    assert before.cache_dir != load_dataset_builder(str(folder)).cache_dir


@pytest.mark.parametrize("mode", [DownloadMode.FORCE_REDOWNLOAD, "reuse_cache_if_exists"])
def test_asked_to_it_converts_again(folder, mode):
    first = load_dataset(str(folder), split="train")
    made = first.cache_files[0]["filename"]
    Path(made).write_bytes(Path(made).read_bytes() + b"mark")
    assert load_dataset(str(folder), split="train", download_mode=mode)["n"] == [1, 2]
    assert not Path(made).read_bytes().endswith(b"mark")


def test_splits_that_the_card_does_not_announce(folder):
    (folder / "README.md").write_text(CARD.format(split="test"), encoding="utf-8")
    with pytest.raises(ExpectedMoreSplitsError, match=r"announces the splits \['test'\].*\['train'\]"):
        load_dataset(str(folder))
    assert load_dataset(str(folder), verification_mode=VerificationMode.NO_CHECKS).num_rows == {"train": 2}
    assert load_dataset(str(folder), ignore_verifications=True).num_rows == {"train": 2}
    text = CARD.format(split="train").replace(
        "data_files: train.csv", "data_files: [{split: train, path: train.csv}, {split: x, path: train.csv}]"
    )
    (folder / "README.md").write_text(text, encoding="utf-8")
    with pytest.raises(UnexpectedSplitsError, match=r"\['train', 'x'\]"):
        load_dataset(str(folder))


def test_settings_for_downloads_may_come_in_one_object(folder):
    config = DownloadConfig(token="hf_x", storage_options={"a": 1})
    assert load_dataset(str(folder), split="train", download_config=config)["n"] == [1, 2]


def test_a_subset_whose_name_could_lead_elsewhere_is_kept_inside(folder, tmp_path):
    builder = load_dataset_builder("csv", "../../evil", data_files=str(folder / "train.csv"))
    assert builder.cache_dir.startswith(str(tmp_path / "cache" / "csv"))
    with pytest.raises(UnknownNameError, match="cannot be the name of a subset"):
        _ = load_dataset_builder("csv", "..", data_files=str(folder / "train.csv")).cache_dir


def test_settings_without_effect_are_told_of_once(folder, caplog):
    config = DownloadConfig(proxies={"http": "x"}, use_etag=False, num_proc=2, max_retries=3, disable_tqdm=True)
    load_dataset(str(folder), split="train", download_config=config, save_infos=True)
    told = [record.getMessage() for record in caplog.records]
    assert [text for text in told if "DownloadConfig" in text] == [
        "of the DownloadConfig, num_proc, proxies, use_etag have no effect."
    ]
    assert [text for text in told if text.startswith("save_infos=")]
    caplog.clear()
    load_dataset(str(folder), split="train", download_config=DownloadConfig())
    assert not caplog.records


def test_what_is_kept_in_memory_leaves_nothing(folder, tmp_path):
    assert load_dataset(str(folder), split="train", keep_in_memory=True)["n"] == [1, 2]
    assert not list((tmp_path / "cache").rglob("*.arrow"))
    builder = load_dataset_builder(str(folder))
    assert builder.split_names == ["train"]
    builder.keep_nothing()
    assert not builder.cache_dir.startswith(str(tmp_path))
