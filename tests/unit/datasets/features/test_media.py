import io
import pathlib
import zipfile

import pyarrow as pa
import pytest

from madang.datasets.features import media
from madang.datasets.features.media import STORAGE, without_local_paths


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a.png", {"path": "a.png", "bytes": None}),
        (b"x", {"path": None, "bytes": b"x"}),
        (bytearray(b"x"), {"path": None, "bytes": b"x"}),
        ({"path": "a.png"}, {"path": "a.png", "bytes": None}),
        ({"bytes": b"x"}, {"path": None, "bytes": b"x"}),
        ({"path": "gone.png", "bytes": b"x"}, {"path": "gone.png", "bytes": b"x"}),
        (5, None),
    ],
)
def test_paths_and_bytes_are_stored_as_they_are(value, stored):
    assert media.encode_file(value, "an image") == stored


def test_the_bytes_of_a_file_that_is_there_are_not_copied(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"x")
    assert media.encode_file({"path": str(path), "bytes": b"x"}, "an image") == {"path": str(path), "bytes": None}


def test_path_objects_become_absolute(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert media.encode_file(pathlib.Path("a.png"), "an image")["path"] == str(tmp_path / "a.png")


@pytest.mark.parametrize("value", [{}, {"path": None, "bytes": None}, {"x": 1}])
def test_neither_path_nor_bytes_is_told(value):
    with pytest.raises(ValueError, match="a sound needs a 'path' or 'bytes'"):
        media.encode_file(value, "a sound")


def test_files_are_read_where_they_lie(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("a.txt", "inside")
    (tmp_path / "a.txt").write_text("outside")
    assert media.read_file(str(tmp_path / "a.txt")) == b"outside"
    assert media.read_file(f"zip://a.txt::{tmp_path / 'b.zip'}") == b"inside"


def test_a_missing_file_is_named_with_where_it_was_looked_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=rf"no file 'a.png'. Relative paths start at '{tmp_path}'"):
        media.read_file("a.png")


@pytest.mark.parametrize(
    ("path", "token"),
    [
        ("hf://datasets/me/private@abc/a/b.png", "secret"),
        ("zip://b.png::hf://datasets/me/private/a.zip", "secret"),
        ("hf://datasets/me/other/a.png", None),
    ],
)
def test_private_repositories_get_their_own_token_and_no_other(path, token, monkeypatch):
    import fsspec

    seen = []

    monkeypatch.setattr(fsspec, "open", lambda path, mode, **options: seen.append(options) or io.BytesIO())
    media.read_file(path, {"me/private": "secret"})
    assert seen == [{"hf": {"token": token}}]


class TestCastStorage:
    @pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
    def test_texts_are_paths(self, kind):
        stored = media.cast_storage(pa.array(["a", None], kind))
        assert stored.type == media.STORAGE
        assert stored.to_pylist() == [{"bytes": None, "path": "a"}, None]

    @pytest.mark.parametrize("kind", [pa.binary(), pa.large_binary(), pa.binary_view()])
    def test_bytes_are_contents(self, kind):
        assert media.cast_storage(pa.array([b"a", None], kind)).to_pylist() == [{"bytes": b"a", "path": None}, None]

    def test_structs_may_miss_a_member_and_have_others(self):
        array = pa.array([{"x": 1, "path": "a"}, None, {"x": 2, "path": None}])[1:]
        assert media.cast_storage(array).to_pylist() == [None, {"bytes": None, "path": None}]

    def test_nothing_is_nothing(self):
        assert media.cast_storage(pa.nulls(2)).to_pylist() == [None, None]

    @pytest.mark.parametrize("array", [pa.array([1]), pa.array([{"x": 1}]), pa.array([[1]])])
    def test_anything_else_is_refused(self, array):
        with pytest.raises(TypeError, match=r"neither"):
            media.cast_storage(array)


@pytest.mark.parametrize(
    ("path", "left"),
    [
        ("/home/u/secret", "secret"),
        ("C:\\u\\secret", "secret"),
        ("../a.png", "a.png"),
        ("file:///home/u/a.png", "a.png"),
        ("local:///a.png", "a.png"),
        ("zip://a.png::/home/u/a.zip", "a.zip"),
        ("https://a.b/c.png::file:///home/u/a.png", "a.png"),
        ("https://a.b:80/c.png", "https://a.b:80/c.png"),
        ("hf://datasets/a/b/c.png", "hf://datasets/a/b/c.png"),
        ("zip://a.png::https://a.b/c.zip", "zip://a.png::https://a.b/c.zip"),
        (None, None),
    ],
)
def test_of_paths_on_this_machine_only_names_are_left(path, left):
    for kind in (STORAGE, pa.struct({"path": pa.large_string(), "bytes": pa.large_binary()})):
        array = pa.array([{"bytes": None, "path": path}, {"bytes": b"x", "path": path}, None], kind)
        made = without_local_paths(array)
        assert made.to_pylist() == [{"bytes": None, "path": left}, {"bytes": b"x", "path": path}, None]
        assert made.type == kind
    assert without_local_paths(pa.array([path], pa.string())).to_pylist() == [left]
