"""Where written bytes go."""

import bz2
import gzip
import io
import lzma
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from madang.datasets.targets import write_into, write_parts

PARTS = ["제목\n".encode(), b"x" * 1000, pa.py_buffer(b"end")]
TEXT = "제목\n".encode() + b"x" * 1000 + b"end"


@pytest.mark.parametrize(
    ("name", "opened"), [("a.gz", gzip.open), ("a.bz2", bz2.open), ("a.xz", lzma.open), ("a.csv", open)]
)
def test_the_name_says_how_to_compress(tmp_path: Path, name: str, opened: Callable[..., Any]) -> None:
    assert write_parts(tmp_path / name, PARTS, "infer", None) == len(TEXT)
    with opened(tmp_path / name, "rb") as file:
        assert file.read() == TEXT


def test_zstandard_as_well(tmp_path: Path) -> None:
    write_parts(str(tmp_path / "a.zst"), PARTS, "infer", None)
    with pa.input_stream(tmp_path / "a.zst") as file:
        assert file.read() == TEXT


def test_the_same_rows_give_the_same_file(tmp_path: Path) -> None:
    for name in ("a.gz", "b.gz"):
        write_parts(tmp_path / name, PARTS, "infer", None)
    assert (tmp_path / "a.gz").read_bytes() == (tmp_path / "b.gz").read_bytes()


def test_an_open_file_gets_the_bytes_and_stays_open(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    assert write_parts(buffer, PARTS, "infer", None) == len(TEXT)
    assert buffer.getvalue() == TEXT
    text = io.StringIO()
    write_parts(text, PARTS, None, None)
    assert text.getvalue() == TEXT.decode()
    packed = io.BytesIO()
    write_parts(packed, PARTS, "gzip", None)
    assert gzip.decompress(packed.getvalue()) == TEXT


def test_an_earlier_file_stays_when_writing_fails(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("old")

    def parts() -> Iterator[bytes]:
        yield b"new"
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_parts(tmp_path / "a.csv", parts(), None, None)
    assert (tmp_path / "a.csv").read_text() == "old"
    assert os.listdir(tmp_path) == ["a.csv"]


def test_folders_are_made_and_urls_are_written() -> None:
    import fsspec

    write_parts("memory://targets/deep/a.txt", PARTS, None, None)
    with fsspec.open("memory://targets/deep/a.txt", "rb") as file:
        assert file.read() == TEXT


def test_a_file_url_is_a_path(tmp_path: Path) -> None:
    assert write_into(f"file://{tmp_path}/new/a.txt", lambda file: file.write(b"abc"), None, None) == 3
    assert (tmp_path / "new" / "a.txt").read_bytes() == b"abc"


def test_other_targets_and_compressions_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="a path or an open file is needed"):
        write_parts(None, PARTS, None, None)  # type: ignore[arg-type]
    with pytest.raises(NotImplementedError, match="compression='rar' is none of gzip"):
        write_parts(tmp_path / "a", PARTS, "rar", None)
