"""JSON files: one object per line, or one list of objects."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from madang.datasets.readers.files import read_all
from madang.errors import InputError, unknown_name


def read(paths: Sequence[str], *, field: str | None = None, encoding: str = "utf-8") -> pa.Table:
    """All files as one table. `field` names the key under which a file keeps its list of rows."""
    return read_all(paths, lambda path: _read_one(path, field, encoding))


def _read_one(path: Path, field: str | None, encoding: str) -> pa.Table:
    with path.open("rb") as file:
        begin = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
    if not begin:
        raise InputError(f"{path} is empty.")
    if field is None and begin[:1] == b"{":
        try:
            return _lines(path, encoding)
        except pa.ArrowInvalid as error:
            raise InputError(
                f"{path} does not hold one JSON object per line: {error}. In one big object, name the list by field=."
            ) from error
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig" if encoding == "utf-8" else encoding))
    except json.JSONDecodeError as error:
        raise InputError(f"{path} is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not {encoding}: {error}. Pass encoding=, for example 'cp949'.") from error
    return _rows(path, content, field)


def _lines(path: Path, encoding: str) -> pa.Table:
    from pyarrow import json as arrow_json

    raw = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if encoding != "utf-8":
        raw = raw.decode(encoding).encode()
    # a row longer than a block could not be read, so a block holds the longest there may be
    size = min(max(len(raw) + 1, 1 << 20), 1 << 26)
    return arrow_json.read_json(pa.BufferReader(raw), arrow_json.ReadOptions(block_size=size))


def _rows(path: Path, content: Any, field: str | None) -> pa.Table:
    if field is not None:
        if not isinstance(content, dict) or field not in content:
            raise unknown_name(f"field of {path}", field, content if isinstance(content, dict) else [])
        content = content[field]
    if isinstance(content, dict) and all(isinstance(values, list) for values in content.values()):
        return pa.table(content)
    if isinstance(content, list) and all(isinstance(row, dict) for row in content):
        names = list(dict.fromkeys(name for row in content for name in row))
        return pa.table({name: [row.get(name) for row in content] for name in names})
    found = type(content).__name__ if not isinstance(content, list) else "list with items that are no objects"
    raise InputError(
        f"{path} should hold a list of objects (rows) or an object of lists (columns), but holds a {found}."
    )
