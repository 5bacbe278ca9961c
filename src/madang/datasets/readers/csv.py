"""CSV and TSV files, read by Arrow with pandas' rules for what counts as empty and as a number."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from madang.datasets.readers import csv_rows
from madang.datasets.readers.columns import Columns, Place
from madang.datasets.readers.files import MEMORY, DataFile, as_file, blocks, in_order, local, wrong_encoding
from madang.errors import DatasetGenerationError, InputError, unknown_name
from madang.notices import notice

# what pandas, and so everybody's earlier results, reads as an empty cell
EMPTY = (
    "", "#N/A", "#N/A N/A", "#NA", "-1.#IND", "-1.#QNAN", "-NaN", "-nan", "1.#IND", "1.#QNAN", "<NA>", "N/A", "NA",
    "NULL", "NaN", "None", "n/a", "nan", "null",
)  # fmt: skip
# Arrow would otherwise make dates of texts that look like one
_NOT_GUESSED = ("date", "time", "timestamp", "duration")
# options of pandas' reader that Arrow has nothing for: pandas does the reading then
_FOR_PANDAS = {
    "comment", "converters", "date_format", "dialect", "dtype", "index_col", "lineterminator", "parse_dates",
    "skipfooter", "skipinitialspace", "thousands",
}  # fmt: skip
# options that only say how pandas should go about it
_WITHOUT_EFFECT = {
    "cache_dates", "chunksize", "engine", "error_bad_lines", "float_precision", "iterator", "low_memory",
    "mangle_dupe_cols", "memory_map", "prefix", "verbose", "warn_bad_lines",
}  # fmt: skip


@dataclass
class Options:
    """How a CSV file is written, by the names that pandas gives these things.

    `sep` (or `delimiter`) defaults to a comma, or a tab for `.tsv`. The first line names the columns unless `header`
    is None or `names` (or `column_names`) are given. Cells like '' and 'NA' are empty unless `keep_default_na=False`.
    """

    sep: str | None = None
    delimiter: str | None = None
    header: Any = "infer"
    names: Sequence[str] | None = None
    column_names: Sequence[str] | None = None
    usecols: Any = None
    quotechar: Any = '"'
    quoting: int = csv.QUOTE_MINIMAL
    doublequote: bool = True
    escapechar: Any = None
    na_values: Any = None
    keep_default_na: bool = True
    na_filter: bool = True
    true_values: Sequence[str] | None = None
    false_values: Sequence[str] | None = None
    decimal: str = "."
    skiprows: Any = None
    nrows: int | None = None
    skip_blank_lines: bool = True
    encoding: str | None = None
    encoding_errors: str | None = "strict"
    on_bad_lines: Any = "error"
    others: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.names = list(self.names or self.column_names or []) or None
        self.sep = self.delimiter or self.sep
        self.encoding = self.encoding or "utf-8"
        self.encoding_errors = self.encoding_errors or "strict"
        if self.header == "infer":
            self.header = 0 if self.names is None else None
        if self.quoting == csv.QUOTE_NONE or not self.quotechar:
            self.quotechar = False
        self.na_values = [self.na_values] if isinstance(self.na_values, str) else self.na_values or []

    @property
    def needs_pandas(self) -> bool:
        """Whether something is asked for that Arrow cannot do."""
        return bool(
            self.others
            or len(self.sep or ",") > 1
            or callable(self.usecols)
            or callable(self.on_bad_lines)
            or isinstance(self.na_values, dict)
            or not isinstance(self.skiprows or 0, int)
            or not isinstance(self.header or 0, int)
            or self.quoting not in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL, csv.QUOTE_NONE)
        )

    def mark(self, file: DataFile) -> str:
        """What separates the cells of `file`."""
        return self.sep or ("\t" if "tsv" in file.suffixes else ",")


def options(given: dict[str, Any]) -> Options:
    """The options by name; an unknown one is an error that names the nearest."""
    known = set(Options.__dataclass_fields__) - {"others"}
    for name in given:
        if name not in known | _FOR_PANDAS | _WITHOUT_EFFECT:
            raise unknown_name("option for CSV files", name, known | _FOR_PANDAS)
    others = {name: value for name, value in given.items() if name in _FOR_PANDAS and value not in (None, False, 0)}
    return Options(**{name: value for name, value in given.items() if name in known}, others=others)


def read(
    files: Iterable[Any], *, texts: Iterable[str] = (), types: dict[str, pa.DataType] | None = None, **given: Any
) -> Iterator[pa.Table]:
    """The rows of all files, some megabytes at a time; the options are those of `Options`, and pandas' others.

    `texts` are columns to be read as text; `types` says what other columns hold.

    Raises DatasetGenerationError, naming file, line and column, for what is no CSV or does not go together.
    """
    asked = options(given)
    columns = Columns(texts, guessed=True)
    left = asked.nrows
    for file in local(files):
        if asked.needs_pandas:
            tables = _by_pandas(file, asked, given)
        else:
            tables = _CsvFile(file, asked, columns, types or {}).tables()
        for table in tables:
            if left is not None:
                table, left = table.slice(0, left), left - table.num_rows
            yield table
            if left is not None and left <= 0:
                return


class _CsvFile:
    """One file that is being read."""

    def __init__(self, file: DataFile, asked: Options, columns: Columns, types: dict[str, pa.DataType]) -> None:
        self.file, self.asked, self.columns, self.given = file, asked, columns, types
        self.names: list[str] = []
        self.wanted: list[str] = []
        # what later blocks are read as; a column that is not here is guessed anew
        self.types: dict[str, pa.DataType] = {
            **types,
            **{name: kind for name, kind in columns.types.items() if kind == pa.string()},
            **dict.fromkeys(columns.texts, pa.string()),
        }

    def tables(self) -> Iterator[pa.Table]:
        chunks = self._chunks()
        first = next(chunks, None)
        if first is None:
            raise DatasetGenerationError(f"{self.file.name} is empty: a CSV file begins with a line of column names.")
        yield self._begin(first)
        for chunk, table in in_order(lambda chunk: (chunk, self._attempt(chunk)), chunks):
            if isinstance(table, Exception):
                table = self._parsed(chunk)
            if table.num_rows:
                yield self._settled(table)

    def _blocks(self) -> Iterator[bytes]:
        return blocks(self.file, self.asked.encoding or "utf-8", self.asked.encoding_errors or "strict")

    def _chunks(self) -> Iterator[bytes]:
        """The content, cut between rows."""
        asked = self.asked
        try:
            yield from csv_rows.cut(
                self._blocks(), asked.mark(self.file), asked.quotechar, asked.escapechar, asked.doublequote
            )
        except csv_rows.UnclosedQuote as error:
            # Arrow would take the rest of the file for one cell
            line = sum(1 for _ in csv_rows.lines_of(self.file, asked)) - error.lines + 1
            raise DatasetGenerationError(
                f"{self.file.name}, line {line}: a cell begins with {asked.quotechar} that is never closed. Close it, "
                "or pass quoting=3 if quotes are ordinary signs there."
            ) from error

    def _begin(self, chunk: bytes) -> pa.Table:
        """The first rows; they tell what the columns are called and hold."""
        asked = self.asked
        skipped = (asked.skiprows or 0) + (asked.header or 0)
        if asked.names is not None and asked.header is not None:
            skipped += 1
        start = {
            "skip_rows": skipped,
            "column_names": asked.names,
            "autogenerate_column_names": asked.header is None and asked.names is None,
        }
        table = self._parsed(chunk, start)
        names = table.column_names
        if start["autogenerate_column_names"]:
            names = [str(place) for place in range(len(names))]
        self.names = [name or f"Unnamed: {place}" for place, name in enumerate(names)]
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise DatasetGenerationError(
                f"{self.file.name} has columns of the same name; more than once: {twice}. Rename them in the file, or "
                "pass names=[…] with header=0."
            )
        self.wanted = self._chosen()
        self.columns.compare(self.wanted, self.file)
        table = table.rename_columns(self.names).select(self.wanted)
        known = {name: kind for name, kind in self.types.items() if name in self.wanted}
        if any(table.schema.field(name).type != kind for name, kind in known.items()):
            # the names were not known when it was read, so neither was what the columns are to be read as
            self.types |= known
            named = {**start, "column_names": self.names, "autogenerate_column_names": False}
            named["skip_rows"] = skipped + (asked.header is not None and asked.names is None)
            table = self._parsed(chunk, named)
        return self._settled(table)

    def _chosen(self) -> list[str]:
        """The columns to read, in the order of the file."""
        asked = self.asked.usecols
        if asked is None:
            return self.names
        wanted = [self.names[column] if isinstance(column, int) else column for column in asked]
        for name in wanted:
            if name not in self.names:
                raise unknown_name(f"column of {self.file.name}", name, self.names)
        return [name for name in self.names if name in wanted]

    def _settled(self, table: pa.Table) -> pa.Table:
        """The block in the types that the columns have by now."""
        self.columns.settle(table.schema, self.file, self._place_of_change)
        for column in table.schema:
            if not pa.types.is_null(column.type):
                self.types[column.name] = self.columns.types[column.name]
        wider = pa.schema([(name, self.columns.types[name]) for name in table.column_names])
        return table if table.schema.equals(wider) else table.cast(wider)

    def _parsed(self, chunk: bytes, start: dict[str, Any] | None = None) -> pa.Table:
        """The rows of a block; where they are not what the columns held so far, their types are guessed anew."""
        table = self._attempt(chunk, start)
        if isinstance(table, pa.ArrowInvalid) and "conversion error" in str(table) and not self._badly_encoded(table):
            table = self._attempt(chunk, start, guess=True)
        if isinstance(table, Exception):
            raise self._explained(table) from table
        return table

    def _attempt(self, chunk: bytes, start: dict[str, Any] | None = None, guess: bool = False) -> pa.Table | Exception:
        """The block as a table, or why it cannot be one. Called by several threads."""
        kept = {**self.given, **{n: k for n, k in self.types.items() if k == pa.string()}}
        types = dict(kept) if guess else dict(self.types)
        try:
            table = self._read(chunk, types, start)
            texts = {c.name: pa.string() for c in table.schema if str(c.type).startswith(_NOT_GUESSED)}
            texts = {name: kind for name, kind in texts.items() if name not in types}
            return self._read(chunk, {**types, **texts}, start) if texts else table
        except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeError) as error:
            return error

    def _read(self, chunk: bytes, types: dict[str, pa.DataType], start: dict[str, Any] | None) -> pa.Table:
        from pyarrow import csv as arrow_csv

        asked = self.asked
        empty = [*(EMPTY if asked.keep_default_na else ()), *map(str, asked.na_values)] if asked.na_filter else []
        guessed = {
            name: values
            for name, values in (("true_values", asked.true_values), ("false_values", asked.false_values))
            if values
        }
        named = start is None or start["column_names"] is not None
        table = arrow_csv.read_csv(
            pa.BufferReader(chunk),
            arrow_csv.ReadOptions(
                use_threads=False, block_size=len(chunk) + 1, **(start or {"column_names": self.names})
            ),
            arrow_csv.ParseOptions(
                delimiter=asked.mark(self.file),
                quote_char=asked.quotechar,
                double_quote=asked.doublequote,
                escape_char=asked.escapechar or False,
                newlines_in_values=True,
                ignore_empty_lines=asked.skip_blank_lines,
                invalid_row_handler=self._bad_line if asked.on_bad_lines != "error" else None,
            ),
            arrow_csv.ConvertOptions(
                column_types=types,
                null_values=empty,
                strings_can_be_null=bool(empty),
                include_columns=self.wanted if named and self.wanted else [],
                decimal_point=asked.decimal,
                **guessed,
            ),
            memory_pool=MEMORY,
        )
        for column in table.schema:  # also finds bytes of another encoding in the header
            if pa.types.is_binary(column.type):
                raise UnicodeError(f"column {column.name!r} holds other bytes")
        return table

    def _bad_line(self, row: Any) -> str:
        if self.asked.on_bad_lines == "warn":
            notice(
                f"{self.file.name}: a line of {row.actual_columns} cells instead of {row.expected_columns} is left out."
            )
        return "skip"

    def _badly_encoded(self, error: Exception) -> bool:
        return isinstance(error, UnicodeError) or "UTF8" in str(error) or "UTF-8" in str(error)

    def _explained(self, error: Exception) -> Exception:
        if self._badly_encoded(error):
            return wrong_encoding(self.file, self.asked.encoding or "utf-8", str(error))
        if "Empty CSV file" in str(error):
            return DatasetGenerationError(f"{self.file.name} has no line of column names: {error}.")
        where = self._ragged_line()
        return DatasetGenerationError(
            f"{self.file.name} cannot be read as CSV{where}: {error}. Is `sep` right, and does every row have as many "
            "cells? on_bad_lines='skip' leaves such rows out."
        )

    # ---- looking for what is wrong, cell by cell

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Every row with the number of its last line."""
        asked = self.asked
        texts = (block.decode("utf-8", "replace") for block in csv_rows.lines_of(self.file, asked))
        rows = csv.reader(
            texts,
            delimiter=asked.mark(self.file),
            quotechar=asked.quotechar or None,
            escapechar=asked.escapechar or None,
            doublequote=asked.doublequote,
            quoting=csv.QUOTE_MINIMAL if asked.quotechar else csv.QUOTE_NONE,
        )
        csv.field_size_limit(1 << 30)
        for row in rows:
            yield rows.line_num, row

    def _ragged_line(self) -> str:
        expected = len(self.names or self.asked.names or ())
        try:
            for line, row in self._rows():
                if line <= (self.asked.skiprows or 0):
                    continue
                expected = expected or len(row)
                if row and len(row) != expected:
                    return f", line {line}"
        except (csv.Error, UnicodeError):
            pass
        return ""

    def _place_of_change(self, file: DataFile, name: str, known: pa.DataType) -> Place | None:
        """Where the column first holds what is not `known`."""
        column, before = self.names.index(name), (self.asked.skiprows or 0)
        header = self.asked.header is not None
        number = 0
        for line, row in self._rows():
            if line <= before or not row:
                continue
            if header:
                header = False
                continue
            number += 1
            cell = row[column] if column < len(row) else ""
            if cell not in EMPTY and not _fits(cell, known):
                return line, number, repr(cell)
        return None


def _fits(cell: str, kind: pa.DataType) -> bool:
    try:
        pa.array([cell.strip()]).cast(kind)
    except pa.ArrowInvalid:
        return False
    return True


def _by_pandas(file: DataFile, asked: Options, given: dict[str, Any]) -> Iterator[pa.Table]:
    """What only pandas can read."""
    try:
        import pandas
    except ImportError as error:
        named = sorted({*asked.others, *(name for name in ("sep", "skiprows", "usecols") if name in given)})
        raise InputError(f"reading CSV files with {named} needs pandas: pip install pandas.") from error
    known = {name: value for name, value in given.items() if name not in _WITHOUT_EFFECT | {"column_names"}}
    known |= {"sep": asked.mark(file), "names": asked.names, "encoding": "utf-8", "header": asked.header}
    known.pop("delimiter", None)
    content = as_file(blocks(file, asked.encoding or "utf-8", asked.encoding_errors or "strict"))
    try:
        parts = pandas.read_csv(content, iterator=True, chunksize=50_000, **known)
        for part in parts:
            table = pa.Table.from_pandas(part, preserve_index=asked.others.get("index_col") is not None)
            yield table.replace_schema_metadata(None)
    except (ValueError, TypeError) as error:
        raise DatasetGenerationError(f"{file.name} cannot be read as CSV: {error}.") from error
