"""Text files: every line is a row of the column `text`."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from madang.datasets.readers.files import read_all
from madang.errors import InputError


def read(paths: Sequence[str], *, encoding: str = "utf-8", keep_linebreaks: bool = False) -> pa.Table:
    """All lines of all files; a line break at the very end begins no further row."""

    def read_one(path: Path) -> pa.Table:
        try:
            with path.open(encoding="utf-8-sig" if encoding == "utf-8" else encoding) as file:
                lines = [line if keep_linebreaks else line.removesuffix("\n") for line in file]
        except UnicodeDecodeError as error:
            raise InputError(f"{path} is not {encoding}: {error}. Pass encoding=, for example 'cp949'.") from error
        return pa.table({"text": pa.array(lines, type=pa.string())})

    return read_all(paths, read_one)
