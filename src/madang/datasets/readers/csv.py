"""CSV and TSV files, read by Arrow with pandas' rules for what counts as empty and as a number."""

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from madang.datasets.readers.files import read_all
from madang.errors import InputError
from madang.writing import write_file

if TYPE_CHECKING:
    from madang.datasets.dataset import Dataset

# what pandas, and so everybody's earlier results, reads as an empty cell
EMPTY = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
# Arrow would otherwise make dates of texts that look like one
_NOT_GUESSED = ("date", "time", "timestamp")


def read(
    paths: Sequence[str],
    *,
    sep: str | None = None,
    delimiter: str | None = None,
    encoding: str = "utf-8",
    header: int | None = 0,
    names: Sequence[str] | None = None,
    column_names: Sequence[str] | None = None,
    skiprows: int = 0,
    quotechar: str | bool = '"',
    escapechar: str | bool = False,
    usecols: Sequence[str] | None = None,
    keep_default_na: bool = True,
    na_values: str | Sequence[str] = (),
) -> pa.Table:
    """All files as one table.

    `sep` (or `delimiter`) defaults to a comma, or a tab for `.tsv`. `names` (or `column_names`) are the columns' names
    where the file has no header (`header=None`), or replace the header. Cells like '' and 'NA' are empty, as pandas
    has it, unless `keep_default_na=False`. `usecols` reads only these columns.
    """
    names = names if names is not None else column_names
    na_values = [na_values] if isinstance(na_values, str) else list(na_values)
    if header not in (0, None):
        raise InputError(f"header is 0 (the first line names the columns) or None (no line does), not {header!r}.")

    def read_one(path: Path) -> pa.Table:
        from pyarrow import csv as arrow_csv

        mark = sep or delimiter or ("\t" if path.suffix == ".tsv" else ",")
        named = names is not None
        parse = arrow_csv.ParseOptions(
            delimiter=mark, quote_char=quotechar, escape_char=escapechar, newlines_in_values=True
        )
        options: dict[str, Any] = {
            "null_values": [*(EMPTY if keep_default_na else ()), *na_values],
            "strings_can_be_null": keep_default_na or bool(na_values),
            "include_columns": list(usecols or []),
        }
        reading: dict[str, Any] = {
            "encoding": encoding,
            "column_names": list(names) if names is not None else None,
            "skip_rows": skiprows + (1 if named and header == 0 and column_names is None else 0),
            "autogenerate_column_names": header is None and not named,
        }
        return _read_one(path, arrow_csv, parse, options, reading, encoding)

    return read_all(paths, read_one)


def _read_one(
    path: Path, arrow_csv: Any, parse: Any, options: dict[str, Any], reading: dict[str, Any], encoding: str
) -> pa.Table:
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty: a CSV file begins with a line of column names.")

    def attempt(types: dict[str, pa.DataType], block_size: int | None) -> pa.Table:
        convert = arrow_csv.ConvertOptions(column_types=types, **options)
        return arrow_csv.read_csv(path, arrow_csv.ReadOptions(block_size=block_size, **reading), parse, convert)

    whole = min(path.stat().st_size + 1, 2**31 - 1)
    size = None
    try:
        try:
            table = attempt({}, size)
        except pa.ArrowInvalid as error:
            # types are guessed from the first block; where a later one disagrees, guess from the whole file
            if "conversion error" not in str(error) and "straddling" not in str(error):
                raise
            size = whole
            table = attempt({}, size)
        texts = {c.name: pa.string() for c in table.schema if str(c.type).startswith(_NOT_GUESSED)}
        if texts:
            table = attempt(texts, size)
        names = table.column_names  # bytes of another encoding in the header are found here
    except pa.ArrowKeyError as error:
        raise InputError(f"{path} has no such column: {error}") from error
    except UnicodeError as error:
        raise _wrong_encoding(path, encoding, str(error)) from error
    except pa.ArrowInvalid as error:
        if "UTF8" in str(error) or "UTF-8" in str(error):
            raise _wrong_encoding(path, encoding, str(error)) from error
        raise InputError(
            f"{path} cannot be read as CSV: {error}. Is `sep` right, and does every row have as many cells?"
        ) from error
    for column in table.schema:
        if pa.types.is_binary(column.type):
            raise _wrong_encoding(path, encoding, f"column {column.name!r} holds bytes that are no {encoding}")
    # columns without a name are called as pandas calls them
    if reading["autogenerate_column_names"]:
        return table.rename_columns([str(place) for place in range(len(names))])
    return table.rename_columns([name or f"Unnamed: {place}" for place, name in enumerate(names)])


def _wrong_encoding(path: Path, encoding: str, reason: str) -> InputError:
    begin = path.read_bytes()[:100_000]
    begin = begin[: begin.rfind(b"\n") + 1] or begin  # no character cut in two
    fitting = []
    for other in ("utf-8", "cp949", "utf-16", "latin-1"):
        try:
            begin.decode(other)
        except UnicodeError:
            continue
        fitting.append(other)
    first = fitting[0] if fitting else "latin-1"
    return InputError(
        f"{path} is not {encoding} ({reason}). Its beginning could be {', '.join(fitting)}: try encoding={first!r}."
    )


def write(dataset: "Dataset", path: str | os.PathLike[str], sep: str, encoding: str, header: bool) -> int:
    """The rows as a CSV file, written aside and swapped in; returns its size in bytes."""

    def fill(part: Path) -> None:
        with open(part, "w", encoding=encoding, newline="") as file:
            writer = csv.writer(file, delimiter=sep, lineterminator="\n")
            if header:
                writer.writerow(dataset.column_names)
            for batch in dataset.with_format(None).iter(1000):
                writer.writerows(zip(*batch.values(), strict=True))

    write_file(path, fill)
    return Path(path).stat().st_size
