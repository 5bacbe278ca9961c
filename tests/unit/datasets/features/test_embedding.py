import pyarrow as pa
import pytest

from madang.datasets.features import Audio, Image, LargeList, List, Value, arrow_type, embed, embeds

KINDS = [Image(), Audio(decode=False)]


@pytest.fixture
def path(tmp_path):
    (tmp_path / "그림.png").write_bytes(b"content")
    return str(tmp_path / "그림.png")


@pytest.mark.parametrize("kind", KINDS)
def test_contents_move_into_the_column_and_folders_are_forgotten(kind, path):
    array = pa.array([{"bytes": None, "path": path}, None, {"bytes": b"x", "path": "a/b.png"}, {"bytes": b"y"}], kind())
    assert embed(array, kind).to_pylist() == [
        {"bytes": b"content", "path": "그림.png"},
        None,
        {"bytes": b"x", "path": "b.png"},
        {"bytes": b"y", "path": None},
    ]


@pytest.mark.parametrize("kind", [List, LargeList])
def test_only_files_of_a_slice_are_read(kind, path):
    feature = kind(Image())
    array = pa.array([[{"path": "missing.png"}], [{"path": path}], None], arrow_type(feature))
    made = embed(array[1:], feature)
    assert made.type == array.type
    assert made.to_pylist() == [[{"bytes": b"content", "path": "그림.png"}], None]


def test_files_in_structs_are_found(path):
    feature = {"n": Value("int8"), "image": Image()}
    array = pa.array([{"n": 1, "image": {"path": path}}, None], arrow_type(feature))
    made = embed(array, feature).to_pylist()
    assert made == [{"n": 1, "image": {"bytes": b"content", "path": "그림.png"}}, None]


def test_what_refers_to_no_files_is_not_touched():
    array = pa.array([[1]])
    assert embed(array, List(Value("int64"))) is array
    assert not embeds({"a": [Value("int8")][0]})
    assert embeds({"a": List(Audio())})


def test_a_missing_file_is_named():
    with pytest.raises(FileNotFoundError, match=r"there is no file '/nowhere/a.png'"):
        embed(pa.array([{"path": "/nowhere/a.png"}], Image()()), Image())
