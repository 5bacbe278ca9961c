"""Parquet files; what the datasets package notes about the columns in their schema is read and written."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from madang.datasets.readers.files import read_all
from madang.errors import InputError, unknown_name
from madang.writing import write_file

if TYPE_CHECKING:
    from madang.datasets.dataset import Dataset


def read(paths: Sequence[str], *, columns: Sequence[str] | None = None) -> pa.Table:
    """All files as one table; `columns` reads only those."""

    def read_one(path: Path) -> pa.Table:
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(path)
        except pa.ArrowInvalid as error:
            raise InputError(f"{path} is not a whole Parquet file: {error}.") from error
        for name in columns or ():
            if name not in file.schema_arrow.names:
                raise unknown_name(f"column of {path}", name, file.schema_arrow.names)
        return file.read(columns=None if columns is None else list(columns))

    return read_all(paths, read_one)


def write(dataset: "Dataset", path: str | os.PathLike[str]) -> int:
    """The rows as one Parquet file, written aside and swapped in; returns its size in bytes."""
    from pyarrow import parquet

    write_file(path, lambda part: parquet.write_table(dataset.data, part))
    return Path(path).stat().st_size
