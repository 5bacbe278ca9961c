"""What a card says of its subsets, before and after a push."""

import json

import pytest

from madang.datasets.card_subsets import (
    Before,
    Pushed,
    config_names,
    files_of,
    new_info,
    new_old_infos,
    split_of,
    with_subset,
    without_subset,
)
from madang.datasets.features import Features, Value
from madang.datasets.info import DatasetInfo, SplitDict, SplitInfo

FEATURES = Features({"a": Value("int64")})
NOTHING = Before({}, None, {})


def pushed(*splits: str, config: str = "default", replaces: bool = False, **more: object) -> Pushed:
    folder = "data" if config == "default" else config
    infos = [SplitInfo(name, 100, 10) for name in splits]
    return Pushed(config, folder, FEATURES, infos, [7] * len(splits), replaces, **more)  # type: ignore[arg-type]


def test_a_first_push_makes_the_whole_card() -> None:
    assert with_subset(NOTHING, pushed("train")) == {
        "dataset_info": {
            "features": [{"name": "a", "dtype": "int64"}],
            "splits": [{"name": "train", "num_bytes": 100, "num_examples": 10}],
            "download_size": 7,
            "dataset_size": 100,
        },
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    }


def test_what_others_wrote_into_the_card_stays() -> None:
    card = {
        "license": "mit",
        "configs": [{"config_name": "old", "data_files": "old.csv", "sep": ";"}],
        "dataset_info": {"config_name": "old", "of_tomorrow": 1},
    }
    changed = with_subset(Before(card, None, {}), pushed("train", config="new"))
    assert changed["license"] == "mit"
    assert changed["configs"][0] == card["configs"][0]  # type: ignore[index]
    assert {"config_name": "old", "of_tomorrow": 1} in changed["dataset_info"]
    assert config_names(changed) == ["old", "new"]
    assert card["configs"] == [{"config_name": "old", "data_files": "old.csv", "sep": ";"}]  # itself unchanged


def test_a_split_joins_those_there_are() -> None:
    card = with_subset(NOTHING, pushed("train"))
    card["configs"][0]["sep"] = ";"
    sizes = {"data/train-00000-of-00001.parquet": 7}
    both = with_subset(Before(card, None, sizes), pushed("test"))
    assert both["configs"] == [
        {
            "config_name": "default",
            "data_files": [{"split": "train", "path": "data/train-*"}, {"split": "test", "path": "data/test-*"}],
            "sep": ";",
        }
    ]
    info = new_info(Before(card, None, sizes), pushed("test"))
    assert (list(info.splits or ()), info.download_size, info.dataset_size) == (["train", "test"], 14, 200)


def test_a_split_pushed_again_counts_once() -> None:
    card = with_subset(NOTHING, pushed("train", "test"))
    info = new_info(Before(card, None, {"data/train-00000-of-00001.parquet": 7, "data/notes.txt": 5}), pushed("train"))
    assert (info.download_size, info.dataset_size) == (14, 200)


def test_a_dict_of_splits_takes_the_place_of_all() -> None:
    card = with_subset(NOTHING, pushed("train", "test"))
    changed = with_subset(Before(card, None, {}), pushed("dev", replaces=True))
    assert changed["configs"][0]["data_files"] == [{"split": "dev", "path": "data/dev-*"}]
    assert [split["name"] for split in changed["dataset_info"]["splits"]] == ["dev"]
    assert changed["dataset_info"]["download_size"] == 7


def test_other_features_than_the_other_splits_are_refused() -> None:
    card = with_subset(NOTHING, pushed("train"))
    card["dataset_info"]["features"] = [{"name": "b", "dtype": "int64"}]
    with pytest.raises(ValueError, match=r"don't match the features of the existing splits on the hub \(train\)"):
        with_subset(Before(card, None, {}), pushed("test"))
    with_subset(Before(card, None, {}), pushed("train"))  # the only split may change


@pytest.mark.parametrize(
    ("data_files", "expected"),
    [
        ("a.csv", {"train": ["a.csv"]}),
        (["a.csv", "b.csv"], {"train": ["a.csv", "b.csv"]}),
        ([{"split": "dev", "path": ["x/*", "y/*"]}], {"dev": ["x/*", "y/*"]}),
    ],
)
def test_files_in_any_spelling_stay(data_files: object, expected: dict[str, list[str]]) -> None:
    card = {"configs": [{"config_name": "default", "data_files": data_files}]}
    changed = with_subset(Before(card, None, {}), pushed("test"))
    found = {one["split"]: one["path"] for one in changed["configs"][0]["data_files"]}
    assert found.pop("test") == "data/test-*"
    assert {split: [path] if isinstance(path, str) else path for split, path in found.items()} == expected


def test_files_of_before_there_were_cards_stay_visible() -> None:
    files = ["data/train-00000-of-00002-abc.parquet", "data/train-00001-of-00002-abc.parquet", "data/x.txt"]
    changed = with_subset(Before({}, None, {}, files), pushed("train", config="new"))
    assert changed["configs"][0] == {
        "config_name": "default",
        "data_files": [{"split": "train", "path": "data/train-*"}],
    }
    assert config_names(changed) == ["default", "new"]


def test_one_subset_may_be_the_default() -> None:
    card = with_subset(NOTHING, pushed("train", config="one", set_default=True))
    assert card["configs"][0]["default"] is True
    card = with_subset(Before(card, None, {}), pushed("train", config="two", set_default=True))
    assert [one.get("default") for one in card["configs"]] == [None, True]
    card = with_subset(Before(card, None, {}), pushed("train"))
    with pytest.raises(ValueError, match="There exists a configuration named 'default'"):
        with_subset(Before(card, None, {}), pushed("train", config="three", set_default=True))


def test_a_card_that_makes_no_sense_is_refused() -> None:
    with pytest.raises(ValueError, match="must be a list of mappings"):
        with_subset(Before({"configs": {"default": "x"}}, None, {}), pushed("train"))
    assert config_names({"configs": ["a", "b"]}) == []  # names alone, as cards of scripts had them


def test_the_old_file_of_infos_is_kept_right() -> None:
    info = DatasetInfo(features=FEATURES, splits=SplitDict(test=SplitInfo("test", 1, 1)), download_size=1)
    before = Before({}, {"default": info.to_dict()}, {})
    written = json.loads(new_old_infos(before, pushed("train")) or "")
    assert set(written["default"]["splits"]) == {"test", "train"}
    assert new_old_infos(before, pushed("train", config="other")) is None


def test_a_subset_can_be_taken_out() -> None:
    card = with_subset(Before(with_subset(NOTHING, pushed("train")), None, {}), pushed("train", config="two"))
    left = without_subset({**card, "license": "mit"}, "default")
    assert config_names(left) == ["two"]
    assert left["dataset_info"]["config_name"] == "two"
    assert without_subset(left, "two") == {"license": "mit"}


def test_files_are_those_that_the_card_counts_to_a_subset() -> None:
    files = ["README.md", "data/train-0.parquet", "data/deep/train-1.parquet", "two/a.csv", "two/b/c.csv"]
    card = {
        "configs": [
            {"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]},
            {"config_name": "folder", "data_dir": "two"},
        ]
    }
    assert files_of(card, "default", files) == ["data/train-0.parquet"]
    assert files_of(card, "folder", files) == ["two/a.csv", "two/b/c.csv"]
    assert files_of({}, "two", files) == ["two/a.csv", "two/b/c.csv"]


def test_a_subset_without_files_in_the_card_is_the_folder_of_its_name() -> None:
    files = [".gitattributes", "README.md", "one/a.csv", "one/.hidden", "one/README.md", "two/b.csv"]
    assert files_of({"configs": [{"config_name": "one"}]}, "one", files) == ["one/a.csv"]
    assert files_of({"configs": [{"config_name": "one", "data_dir": "."}]}, "one", files) == ["one/a.csv"]
    assert files_of({"configs": [{"config_name": "**"}]}, "**", files) == []


def test_patterns_mean_what_they_mean_to_a_reader() -> None:
    files = ["README.md", ".gitattributes", "a-1.csv", "a-2.csv", "a-9.csv", "deep/a.csv", "deep/er/b.csv"]

    def of(path: object, **more: str) -> list[str]:
        return files_of({"configs": [{"config_name": "x", "data_files": path, **more}]}, "x", files)

    assert of("a-[12].csv") == ["a-1.csv", "a-2.csv"]
    assert of("deep") == of("./deep/") == ["deep/a.csv", "deep/er/b.csv"]
    assert of("*.csv", data_dir="deep") == ["deep/a.csv"]
    assert of(["README.md", ".gitattributes", "a-1.csv"]) == ["a-1.csv"]


def test_files_of_other_subsets_are_left_to_them() -> None:
    files = ["a.csv", "both.csv", "two/b.csv"]
    card = {
        "configs": [
            {"config_name": "one", "data_files": "**"},
            {"config_name": "two", "data_files": ["two/*", "both.csv"]},
        ]
    }
    assert files_of(card, "one", files) == ["a.csv"]


def test_a_split_is_known_by_the_name_of_its_file() -> None:
    assert split_of("data/train-00000-of-00001.parquet", "data") == "train"
    assert split_of("data/deep/train-00000-of-00001.parquet", "data") is None
    assert split_of("data/notes.txt", "data") is None
