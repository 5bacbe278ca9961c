"""What the readers share: opening files, joining their tables, saying which file is at fault."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa

from madang.errors import InputError, MissingFileError, nearest


def read_all(paths: Sequence[str], read_one: Callable[[Path], pa.Table]) -> pa.Table:
    """The rows of all files, one after the other. Integers in one and fractions in another become fractions;
    a column that some files lack is empty there. An error names the file."""
    if not paths:
        raise InputError("no data file was given.")
    tables = [read_one(existing(path)) for path in paths]
    if len(tables) == 1:
        return tables[0]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise InputError(f"the files do not fit together: {_difference(paths, tables)}") from error


def existing(path: str | os.PathLike[str]) -> Path:
    """`path`, when there is such a file; the error names the nearest file in its folder."""
    found = Path(path)
    if found.is_file():
        return found
    beside = [name.name for name in found.parent.iterdir()] if found.parent.is_dir() else []
    raise MissingFileError(f"Unable to find {os.fspath(path)!r}: there is no such file.{nearest(found.name, beside)}")


def _difference(paths: Sequence[str], tables: Sequence[pa.Table]) -> str:
    """The first column whose types disagree, with both files."""
    seen: dict[str, tuple[str, pa.DataType]] = {}
    for path, table in zip(paths, tables, strict=True):
        for column in table.schema:
            first, kind = seen.setdefault(column.name, (path, column.type))
            numbers = pa.types.is_integer(kind) or pa.types.is_floating(kind)
            both = numbers and (pa.types.is_integer(column.type) or pa.types.is_floating(column.type))
            if kind != column.type and not both and pa.null() not in (kind, column.type):
                return f"column {column.name!r} is {kind} in {first} and {column.type} in {path}."
    return "their columns differ."
