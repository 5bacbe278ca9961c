import gzip
import io
import json
import tarfile

import numpy as np
import pytest

from madang.datasets import Features, Image, Value, load_dataset
from madang.errors import DatasetGenerationError

PIL = pytest.importorskip("PIL.Image")


@pytest.fixture
def archive(tmp_path):
    def make(members, name="a.tar"):
        with tarfile.open(tmp_path / name, "w") as packed:
            for path, content in members:
                entry = tarfile.TarInfo(path)
                entry.size = len(content)
                packed.addfile(entry, io.BytesIO(content))
        return str(tmp_path / name)

    return make


def picture():
    made = io.BytesIO()
    PIL.new("RGB", (2, 3)).save(made, "JPEG")
    return made.getvalue()


def examples(count):
    for number in range(count):
        yield f"{number:03}.json", json.dumps({"caption": f"picture {number}"}).encode()
        yield f"{number:03}.jpg", picture()


def test_files_of_one_example_are_a_row(archive):
    data = load_dataset("webdataset", data_files=archive(examples(3)), split="train")
    assert data.num_rows == 3
    assert data.features["jpg"] == Image()
    assert data[1]["json"] == {"caption": "picture 1"}
    assert data[1]["jpg"].size == (2, 3)
    assert data[1]["__key__"] == "001"


def test_an_archive_in_a_folder_is_recognised(archive, tmp_path):
    archive(examples(2), "train.tar")
    assert load_dataset(str(tmp_path), split="train").num_rows == 2


def test_contents_are_decoded_by_their_ending(archive):
    array = io.BytesIO()
    np.save(array, np.arange(3))
    members = [
        ("a.txt", "글".encode()),
        ("a.cls", b"7"),
        ("a.npy", array.getvalue()),
        ("a.raw.txt.gz", gzip.compress(b"z")),
    ]
    row = load_dataset("webdataset", data_files=archive(members), split="train")[0]
    assert (row["txt"], row["cls"], row["npy"], row["raw.txt.gz"]) == ("글", 7, [0, 1, 2], "z")


def test_a_pickle_inside_is_not_run(archive, tmp_path):
    array = io.BytesIO()
    np.save(array, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(DatasetGenerationError, match=r"'a\.npy' in .* is not what its ending says"):
        load_dataset("webdataset", data_files=archive([("a.npy", array.getvalue())]))
    stored = load_dataset("webdataset", data_files=archive([("a.pickle", b"raw")], "b.tar"), split="train")
    assert stored[0]["pickle"] == b"raw"


def test_hostile_names_are_only_names(archive, tmp_path):
    data = load_dataset(
        "webdataset", data_files=archive([("../../evil.txt", b"x"), ("/etc/y.txt", b"z")]), split="train"
    )
    assert data["__key__"] == ["../../evil", "/etc/y"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "datasets"]


def test_archives_of_another_layout_are_refused(archive):
    with pytest.raises(DatasetGenerationError, match=r"is no WebDataset.*don't share the same prefix"):
        load_dataset("webdataset", data_files=archive([("a.txt", b"x"), ("b.json", b"{}")]))
    with pytest.raises(DatasetGenerationError, match="twice among the files of one example"):
        load_dataset("webdataset", data_files=archive([("a.txt", b"x"), ("a.TXT", b"y")]))


def test_a_cut_archive_is_named(archive, tmp_path):
    path = archive(examples(3))
    content = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(content[:2500])
    with pytest.raises(DatasetGenerationError, match=r"a\.tar cannot be read to its end"):
        load_dataset("webdataset", data_files=path)


def test_features_add_what_is_missing_and_streams_tell_theirs(archive):
    path = archive(examples(2))
    known = load_dataset("webdataset", data_files=path, split="train").features
    stream = load_dataset("webdataset", data_files=path, split="train", streaming=True)
    assert stream.features == known
    assert len(list(stream)) == 2
    more = Features({**known, "json": {"caption": Value("string"), "more": Value("int64")}})
    data = load_dataset("webdataset", data_files=path, split="train", features=more)
    assert data[0]["json"] == {"caption": "picture 0", "more": None}
