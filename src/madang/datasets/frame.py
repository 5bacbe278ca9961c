"""The one table abstraction: columns that share what they can.

A frame is a set of columns of equal length. Each column is Arrow values and, when rows were chosen or reordered, the
numbers of the rows to take. So selecting and shuffling copy nothing, and a step that adds a column shares all others.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from madang.errors import InputError, RowIndexError, UnknownKeyError, nearest

ROWS_AT_ONCE = 1000  # whoever goes through a table reads this many rows at a time


@dataclass(frozen=True)
class StoredColumn:
    """Arrow values, all of them in order (`rows` is None) or those at the places `rows` says."""

    values: pa.ChunkedArray
    rows: np.ndarray[Any, Any] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def slice(self, start: int, stop: int) -> pa.Array:
        """The values of the rows from `start` up to `stop`, as one Arrow array."""
        if self.rows is not None:
            return self._gather(self.rows[start:stop])
        return _one_array(self.values.slice(start, stop - start))

    def take(self, places: np.ndarray[Any, Any]) -> pa.Array:
        """The values of the rows at `places`, as one Arrow array."""
        return self._gather(places if self.rows is None else self.rows[places])

    def chosen(self, places: np.ndarray[Any, Any]) -> "StoredColumn":
        """The same values seen through `places`; nothing is copied."""
        return replace(self, rows=places if self.rows is None else self.rows[places])

    def cut(self, start: int, stop: int) -> "StoredColumn":
        """The rows from `start` up to `stop`; nothing is copied."""
        if self.rows is None:
            return replace(self, values=self.values.slice(start, stop - start))
        return replace(self, rows=self.rows[start:stop])

    def whole(self) -> pa.ChunkedArray:
        """All values in the order of the rows."""
        return self.values if self.rows is None else pa.chunked_array([self._gather(self.rows)], self.values.type)

    @cached_property
    def _chunk_starts(self) -> np.ndarray[Any, Any]:
        return np.cumsum([0, *(len(chunk) for chunk in self.values.chunks)])

    def _gather(self, places: np.ndarray[Any, Any]) -> pa.Array:
        """Arrow's own take would first join all chunks; here only the chunks that hold wanted rows are touched."""
        if self.values.num_chunks == 1:
            return self.values.chunk(0).take(pa.array(places))
        chunks = np.searchsorted(self._chunk_starts, places, side="right") - 1
        if len(places) and chunks[0] == chunks[-1] and (chunks == chunks[0]).all():
            return self.values.chunk(int(chunks[0])).take(pa.array(places - self._chunk_starts[chunks[0]]))
        order = np.argsort(chunks, kind="stable")
        parts = [
            self.values.chunk(int(number)).take(pa.array(places[chunks == number] - self._chunk_starts[number]))
            for number in np.unique(chunks)
        ]
        joined = pa.concat_arrays(parts) if parts else pa.array([], self.values.type)
        back = np.empty(len(places), dtype=np.int64)
        back[order] = np.arange(len(places))
        return joined.take(pa.array(back))


class Frame:
    """Columns of equal length by name, in order. Never changed: every step makes a new one that shares columns."""

    def __init__(self, columns: Mapping[str, StoredColumn], num_rows: int | None = None) -> None:
        self.columns = dict(columns)
        lengths = {name: len(column) for name, column in self.columns.items()}
        self.num_rows = next(iter(lengths.values()), num_rows or 0)
        if any(length != self.num_rows for length in lengths.values()):
            told = ", ".join(f"{name!r} {length}" for name, length in lengths.items())
            raise InputError(f"columns must be of equal length, but they have these numbers of rows: {told}.")

    @classmethod
    def from_table(cls, table: pa.Table) -> "Frame":
        """The columns of an Arrow table, its chunks joined so far as the width of their offsets allows."""
        twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
        if twice:
            raise InputError(f"column names must differ; more than once: {twice}.")
        table = table.combine_chunks()
        return cls({name: StoredColumn(table[name]) for name in table.column_names}, table.num_rows)

    def column(self, name: str) -> StoredColumn:
        """The column called `name`; an error names the nearest."""
        if name not in self.columns:
            raise unknown_columns([name], self.columns)
        return self.columns[name]

    def with_columns(self, new: Mapping[str, StoredColumn]) -> "Frame":
        """Columns replaced in their place, or added at the end."""
        return Frame({**self.columns, **new}, self.num_rows)

    def only(self, names: Iterable[str]) -> "Frame":
        """The columns `names`, in that order."""
        return Frame({name: self.column(name) for name in names}, self.num_rows)

    def chosen(self, places: np.ndarray[Any, Any]) -> "Frame":
        """The rows at `places`, in that order; only row numbers are written, once for all columns that share them."""
        shared: dict[int, np.ndarray[Any, Any]] = {}
        columns = {}
        for name, column in self.columns.items():
            key = id(column.rows)
            if key not in shared:
                shared[key] = column.chosen(places).rows  # type: ignore[assignment]
            columns[name] = replace(column, rows=shared[key])
        return Frame(columns, len(places))

    def cut(self, start: int, stop: int) -> "Frame":
        """The rows from `start` up to `stop`."""
        shared: dict[int, StoredColumn] = {}
        columns = {}
        for name, column in self.columns.items():
            cut = column.cut(start, stop)
            if column.rows is not None:
                cut = replace(cut, rows=shared.setdefault(id(column.rows), cut).rows)
            columns[name] = cut
        return Frame(columns, max(0, stop - start))

    def slice(self, start: int, stop: int) -> dict[str, pa.Array]:
        """The rows from `start` up to `stop` as one Arrow array per column."""
        return {name: column.slice(start, stop) for name, column in self.columns.items()}

    def take(self, places: np.ndarray[Any, Any]) -> dict[str, pa.Array]:
        """The rows at `places` as one Arrow array per column."""
        return {name: column.take(places) for name, column in self.columns.items()}

    def blocks(self, size: int = ROWS_AT_ONCE) -> Iterator[tuple[int, int]]:
        """Start and stop of one block of rows after the other."""
        for start in range(0, self.num_rows, size):
            yield start, min(start + size, self.num_rows)

    def table(self) -> pa.Table:
        """Everything as one Arrow table."""
        return pa.table({name: column.whole() for name, column in self.columns.items()})


def is_row_number(key: Any) -> bool:
    """Whether `key` is one whole number: of Python, numpy or torch; arrays and yes-or-no are none."""
    return hasattr(key, "__index__") and not isinstance(key, (bool, np.bool_)) and getattr(key, "ndim", 0) == 0


def row_number(given: Any, num_rows: int) -> int:
    """`given` as a place in 0 … num_rows - 1, counting from the end when negative."""
    place = int(given)
    if not -num_rows <= place < num_rows:
        raise RowIndexError(f"Invalid key: {place} is out of bounds for size {num_rows}")
    return place + num_rows if place < 0 else place


def row_numbers(given: Any, num_rows: int) -> np.ndarray[Any, Any]:
    """Places 0 … num_rows - 1 as an int64 array, each checked and counted from the end when negative."""
    places = np.asarray(given if hasattr(given, "__len__") else list(given))
    if places.size == 0:
        return np.empty(0, dtype=np.int64)
    if places.ndim != 1 or places.dtype.kind not in "iu":
        raise InputError(f"rows are chosen by a list of whole numbers, not by {places.dtype} of shape {places.shape}.")
    places = places.astype(np.int64)
    outside = (places < -num_rows) | (places >= num_rows)
    if outside.any():
        raise RowIndexError(f"Index {places[outside][0]} out of range for dataset of size {num_rows}.")
    return np.where(places < 0, places + num_rows, places)


def unknown_columns(names: Iterable[str], known: Iterable[str], said: str = "") -> UnknownKeyError:
    """The error for columns that are not there; it names those there are and, for each missing one, the nearest."""
    known, names = list(known), [str(name) for name in names]
    hint = "".join(nearest(name, known) for name in names)
    said = said or (f"Column {names[0]!r} doesn't exist." if len(names) == 1 else f"Columns {names} don't exist.")
    return UnknownKeyError(f"{said}{hint} Current columns in the dataset: {known}")


def _one_array(values: pa.ChunkedArray) -> pa.Array:
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
