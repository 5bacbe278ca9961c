import re
import time

import pytest

from madang.datasets.find import by_split, format_of, inferred, local_files, local_names, matching, of_format
from madang.datasets.readers.files import DataFile
from madang.errors import DataFilesNotFoundError, InputError

NAMES = [
    "README.md", "data/train.txt", "data/test.txt", "data/subdir/train.txt", "data/.hidden/train.txt", ".dummy",
    "__pycache__/script.py", "notes.txt",
]  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("*", ["notes.txt"]),
        ("**", ["data/subdir/train.txt", "data/test.txt", "data/train.txt", "notes.txt"]),
        ("**/*", ["data/subdir/train.txt", "data/test.txt", "data/train.txt", "notes.txt"]),
        ("data/*", ["data/test.txt", "data/train.txt"]),
        ("**/train.txt", ["data/subdir/train.txt", "data/train.txt"]),
        ("data/t[re]*[!x]t.txt", ["data/test.txt"]),
        ("data/????.txt", ["data/test.txt"]),
        ("data/.hidden/*", ["data/.hidden/train.txt"]),
        (".*", [".dummy"]),
        ("__pycache__/*", ["__pycache__/script.py"]),
        ("README.md", ["README.md"]),
        ("nothing*", []),
    ],
)
def test_patterns(pattern, found):
    assert matching(pattern, NAMES) == found


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (["data/train-00000-of-00001.parquet", "data/rare-00000-of-00002-ab.parquet", "x.csv"], ["train", "rare"]),
        (["train/a.csv", "dev/b.csv", "test.csv"], ["train", "validation"]),
        (["my_train_file.csv", "eval-1.csv.gz"], ["train", "test"]),
        (["latest.csv", "contest.csv"], ["train"]),
        (["TRAIN.csv", "Valid.csv"], ["train", "validation"]),
        (["train1.csv"], ["train"]),
        (["a.py", "b"], []),
        ([".train.csv", "README.md"], []),
    ],
)
def test_splits_are_told_by_names(names, splits):
    assert list(inferred(names)) == splits


def test_a_split_name_that_is_none_is_an_error():
    with pytest.raises(InputError, match="Split name should match"):
        inferred(["data/tr-ain-00000-of-00001.csv"])


def test_all_ways_to_write_data_files():
    assert by_split("a") == by_split(["a"]) == {"train": ["a"]}
    assert by_split({"dev": "a", "test": ["b", "c"]}) == {"dev": ["a"], "test": ["b", "c"]}
    assert by_split([{"split": "dev", "path": "a"}]) == {"dev": ["a"]}
    for wrong in ([{"split": "dev"}], [{"split": "a", "path": "x"}, {"split": "a", "path": "y"}]):
        with pytest.raises(InputError, match=r"data_files"):
            by_split(wrong)
    with pytest.raises(TypeError):
        by_split(3)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["a.csv.gz", "b.csv", "c.json"], "csv"),
        (["a.tsv"], "csv"),
        (["a.TXT"], "text"),
        (["a.geoparquet"], "parquet"),
        (["a.parquet", "b.csv"], "parquet"),
        (["1.png", "metadata.csv", "metadata.jsonl"], "imagefolder"),
        (["1.flac"], "audiofolder"),
        (["a.tar"], "webdataset"),
    ],
)
def test_the_most_frequent_ending_is_the_format(names, kind):
    assert format_of({"train": [DataFile(name) for name in names]}, "here") == kind


def test_formats_that_differ_or_are_not_known_are_errors():
    with pytest.raises(InputError, match="same data file format for all splits"):
        format_of({"train": [DataFile("a.csv")], "test": [DataFile("a.json")]}, "here")
    with pytest.raises(DataFilesNotFoundError, match=r"No \(supported\) data files found in here"):
        format_of({"train": [DataFile("a.xyz")]}, "here")


def test_files_of_other_formats_are_left_out():
    files = [DataFile(name) for name in ("a.csv", "b.json", "c.csv.gz", "d.zip", "metadata.csv")]
    assert [file.name for file in of_format(files, "csv")] == ["a.csv", "c.csv.gz", "d.zip", "metadata.csv"]
    assert [file.name for file in of_format(files, "imagefolder")] == ["d.zip", "metadata.csv"]


def test_local_patterns_and_folders(tmp_path, monkeypatch):
    for name in ("a.csv", "b/c.csv", "b/.hidden.csv", "b/d.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x", encoding="utf-8")

    def found(pattern, folder=None):
        return [file.name.removeprefix(f"{tmp_path}/") for file in local_files(pattern, folder)]

    assert found(f"{tmp_path}/*.csv") == ["a.csv"]
    assert found("**/*.csv", str(tmp_path)) == ["a.csv", "b/c.csv"]
    assert found("b", str(tmp_path)) == ["b/c.csv"]
    assert found(f"{tmp_path}/b/../a.csv") == ["a.csv"]
    monkeypatch.chdir(tmp_path)
    assert found("*.csv") == ["a.csv"]
    with pytest.raises(DataFilesNotFoundError, match="Couldn't find any data file at"):
        found("*.json")
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        found("/nowhere/*.csv")


@pytest.mark.parametrize("pattern", ["**/" * 14 + "x", "**/a/" * 12 + "x", "*a" * 30 + "b", "**/*a" * 9 + "/x"])
def test_no_pattern_takes_long(pattern):
    began = time.perf_counter()
    assert matching(pattern, ["a/" * 60 + "y", "a" * 200]) == []
    assert time.perf_counter() - began < 1


@pytest.mark.parametrize("pattern", ["[]", "a/[!]", "a[z-b].csv"])
def test_what_is_no_pattern_is_named(pattern):
    with pytest.raises(InputError, match=re.escape(f"{pattern!r} is no pattern: ")):
        matching(pattern, ["a"])


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("**/**/x", "x", True),
        ("**/**/x", "a/b/x", True),
        ("a/**", "a", False),
        ("a/**/b*c*d", "a/q/bccd", True),
        ("a/**/b*c*d", "a/q/bd", False),
        ("[[&&~]x", "&x", True),
        ("[]]x", "]x", True),
        ("[a", "[a", True),
        ("a**b", "a/b", False),
    ],
)
def test_what_signs_mean(pattern, name, fits):
    assert matching(pattern, [name]) == [name] * fits


def test_links_in_circles_are_read_once(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "x.csv").write_text("n\n1\n", encoding="utf-8")
    (tmp_path / "a" / "me").symlink_to(".")
    (tmp_path / "a" / "up").symlink_to("..")
    (tmp_path / "0").symlink_to("a")
    assert local_names(str(tmp_path)) == ["a/x.csv"]
    (tmp_path / "b").symlink_to(tmp_path.parent / "elsewhere")
    (tmp_path.parent / "elsewhere").mkdir()
    (tmp_path.parent / "elsewhere" / "y.csv").write_text("n\n1\n", encoding="utf-8")
    assert local_names(str(tmp_path)) == ["a/x.csv", "b/y.csv"]
    assert local_names(str(tmp_path), stay=True) == ["a/x.csv"]
