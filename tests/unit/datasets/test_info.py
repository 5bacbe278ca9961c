"""What is known of a dataset beside its rows, in JSON and in a card's YAML."""

import json
from pathlib import Path

import pytest

from madang.datasets.features import ClassLabel, Features, List, Value
from madang.datasets.info import DatasetInfo, DatasetInfosDict, SplitDict, SplitInfo, Version

FULL = {
    "description": "제목",
    "license": "CC0",
    "features": Features({"a": Value("int32"), "l": ClassLabel(names=["no", "yes"])}),
    "config_name": "ynat",
    "version": "1.2.3",
    "splits": [{"name": "train", "num_bytes": 10, "num_examples": 2}],
    "download_size": 42,
    "dataset_size": 10,
}


def test_a_folder_gives_back_what_was_written(tmp_path: Path) -> None:
    for info in (DatasetInfo(), DatasetInfo(**FULL)):  # type: ignore[arg-type]
        info.write_to_directory(tmp_path, pretty_print=True)
        assert DatasetInfo.from_directory(tmp_path) == info
    assert (tmp_path / "LICENSE").read_text() == "CC0"


def test_only_what_is_known_is_written() -> None:
    assert DatasetInfo().to_dict() == {"description": "", "citation": "", "homepage": "", "license": ""}
    assert DatasetInfo(splits=[{"name": "train"}]).to_dict()["splits"] == {  # type: ignore[arg-type]
        "train": {"name": "train", "num_bytes": 0, "num_examples": 0, "dataset_name": None}
    }


def test_keys_of_other_releases_are_left_out() -> None:
    info = DatasetInfo.from_dict(
        {"description": "x", "of_tomorrow": 1, "splits": {"train": {"name": "train", "new": 2}}}
    )
    assert info.description == "x"
    assert info.splits is not None
    assert info.splits["train"] == SplitInfo("train")


def test_what_the_older_release_takes_is_taken() -> None:
    info = DatasetInfo(post_processed={}, supervised_keys=("x", "y"), task_templates=[])  # type: ignore[arg-type]
    assert info.supervised_keys == {"input": "x", "output": "y"}


def test_the_card_holds_names_sizes_features_and_splits() -> None:
    found = DatasetInfo(**FULL)._to_yaml_dict()  # type: ignore[arg-type]
    assert list(found) == ["features", "config_name", "splits", "download_size", "dataset_size"]
    assert found["splits"] == [{"name": "train", "num_bytes": 10, "num_examples": 2}]
    back = DatasetInfo._from_yaml_dict(found)
    assert (back.features, back.splits, back.description) == (FULL["features"], DatasetInfo(**FULL).splits, "")  # type: ignore[arg-type]


def test_splits_that_make_no_sense_are_left_out_with_a_warning() -> None:
    with pytest.warns(UserWarning, match="num_examples and num_bytes"):
        assert DatasetInfo._from_yaml_dict({"splits": ["train"], "dataset_size": 3}).splits is None


def test_infos_that_are_the_same_stay_and_others_are_joined() -> None:
    one, other = DatasetInfo(description="a", dataset_size=1), DatasetInfo(description="b", license="MIT")
    assert DatasetInfo.from_merge([one, None, one.copy()]) == one
    assert DatasetInfo.from_merge([one, other, one]) == DatasetInfo(description="a\n\nb", license="MIT")
    assert DatasetInfo.from_merge([None]) == DatasetInfo()


def test_an_update_takes_over_what_is_known() -> None:
    info = DatasetInfo(description="a", dataset_size=1)
    info.update(DatasetInfo(description="b"))
    assert (info.description, info.dataset_size) == ("b", 1)


def test_only_what_says_something_is_shown() -> None:
    info = DatasetInfo(description="a", splits=SplitDict(train=SplitInfo("train", 3, 1)))
    assert (
        repr(info)
        == "DatasetInfo(description='a', splits={'train': SplitInfo(name='train', num_bytes=3, num_examples=1)})"
    )


def test_a_folder_without_a_card_is_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no dataset_info\.json"):
        DatasetInfo.from_directory(tmp_path)


# splits -----------------------------------------------------------------------------------------------------------


def test_splits_know_their_names_and_sums() -> None:
    splits = SplitDict.from_split_dict([SplitInfo("train", 10, 3), {"name": "test", "num_examples": 2}])
    assert splits.total_num_examples == 5
    with pytest.raises(KeyError, match=r"Unknown split 'tests'\. Did you mean 'test'\? Should be one of"):
        splits["tests"]
    with pytest.raises(ValueError, match="already present"):
        splits.add(SplitInfo("train"))
    with pytest.raises(ValueError, match="mismatch"):
        splits["dev"] = SplitInfo("train")
    assert splits.copy() == splits
    assert splits.copy() is not splits


# versions ---------------------------------------------------------------------------------------------------------


def test_versions_compare_by_their_numbers() -> None:
    assert Version("1.10.0") > Version("1.9.0") >= "1.9.0"  # type: ignore[operator]
    assert Version("1.0.0") == "1.0.0"
    assert hash(Version("1.0.0")) == hash("1.0.0")
    assert Version("1.0.0") not in ("1", "a", 1, None)
    with pytest.raises(ValueError, match=r"Format should be x\.y\.z"):
        Version("1.0")
    assert Version.from_dict(Version("1.2.3").to_dict()) == "1.2.3"


# several subsets --------------------------------------------------------------------------------------------------


def test_one_subset_is_a_mapping_and_several_are_a_list() -> None:
    one = DatasetInfosDict({"default": DatasetInfo(dataset_size=1)}).into_card({"license": "mit"})
    assert one == {"license": "mit", "dataset_info": {"dataset_size": 1}}
    named = DatasetInfosDict({"v1": DatasetInfo(dataset_size=1)}).into_card({})
    assert named == {"dataset_info": {"config_name": "v1", "dataset_size": 1}}
    both = DatasetInfosDict({"v2": DatasetInfo(dataset_size=2)}).into_card(one)
    assert both["dataset_info"] == [
        {"config_name": "default", "dataset_size": 1},
        {"config_name": "v2", "dataset_size": 2},
    ]
    assert {name: info.dataset_size for name, info in DatasetInfosDict.from_card(both).items()} == {
        "default": 1,
        "v2": 2,
    }


def test_entries_that_we_do_not_understand_survive() -> None:
    card = {"dataset_info": [{"config_name": "a", "of_tomorrow": 1}]}
    changed = DatasetInfosDict({"b": DatasetInfo(dataset_size=1)}).into_card(card)
    assert changed["dataset_info"][0] == {"config_name": "a", "of_tomorrow": 1}


def test_a_readme_keeps_its_text(tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlicense: mit\n---\n# 제목\n\n본문\n", encoding="utf-8")
    DatasetInfosDict({"v1": DatasetInfo(**FULL)}).write_to_directory(tmp_path)  # type: ignore[arg-type]
    text = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert text.startswith("---\nlicense: mit\ndataset_info:\n  config_name: v1\n")
    assert text.endswith("---\n# 제목\n\n본문\n")
    DatasetInfosDict({"v2": DatasetInfo(dataset_size=2)}).write_to_directory(tmp_path)
    assert set(DatasetInfosDict.from_directory(tmp_path)) == {"v1", "v2"}


def test_the_old_file_is_read_without_a_card_and_kept_right(tmp_path: Path) -> None:
    (tmp_path / "dataset_infos.json").write_text('{"default": {"dataset_size": 42}}')
    assert DatasetInfosDict.from_directory(tmp_path)["default"].dataset_size == 42
    info = DatasetInfo(dataset_size=43, features=Features({"l": List(Value("int8"))}))
    DatasetInfosDict({"default": info}).write_to_directory(tmp_path)
    assert json.loads((tmp_path / "dataset_infos.json").read_text())["default"]["dataset_size"] == 43
    assert DatasetInfosDict.from_directory(tmp_path)["default"].dataset_size == 43
    assert DatasetInfosDict.from_directory(tmp_path / "nowhere") == {}
