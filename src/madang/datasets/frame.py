"""The one table abstraction: columns that share what they can.

A frame is a set of columns of equal length. Each column is Arrow values and, when rows were chosen or reordered, the
numbers of the rows to take. So selecting and shuffling copy nothing, and a step that adds a column shares all others.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.values import as_matrix, cells, from_matrix
from madang.errors import InputError, RowIndexError, UnknownKeyError, nearest

ROWS_AT_ONCE = 1000  # whoever goes through a table reads this many rows at a time
ROWS_GATHERED = 131_072  # how many chosen rows are copied together when a whole column is wanted
# rows and bytes; gathering from many chunks smaller than this costs more than joining them once
SMALL_CHUNK, SMALL_BYTES = 10_000, 1 << 20


@dataclass(frozen=True)
class Origin:
    """Where values are memory-mapped from: column `name` of a file, `length` of its rows from `start`."""

    file: str
    name: str
    start: int
    length: int


@dataclass(frozen=True)
class StoredColumn:
    """Arrow values, all of them in order (`rows` is None) or those at the places `rows` says."""

    values: pa.ChunkedArray
    rows: np.ndarray[Any, Any] | None = None
    # the places in files that the values come from, one after the other; None for values in memory
    origins: tuple[Origin, ...] | None = None

    def __len__(self) -> int:
        return len(self.values) if self.rows is None else len(self.rows)

    def __reduce__(self) -> Any:
        """A memory-mapped column travels to another process as the name of its file, others as the rows they have."""
        if self.origins is None:
            few = self.rows is not None and 2 * len(self.rows) < len(self.values)
            values, rows = (self.whole(), None) if few else (self.values, self.rows)
            return StoredColumn, (pa.chunked_array(map(_without_rest, values.chunks), values.type), rows)
        return _reopened, (self.origins, self.values.type, self.rows)

    def slice(self, start: int, stop: int) -> pa.Array:
        """The values of the rows from `start` up to `stop`, as one Arrow array."""
        if self.rows is not None:
            return self._gather(self.rows[start:stop])
        return _one_array(self.values.slice(start, stop - start))

    def one(self, row: int) -> Any:
        """The value of one row as a Python object."""
        place = row if self.rows is None else int(self.rows[row])
        if len(self._readers) == 1:
            return self._readers[0](place)
        number = bisect_right(self._starts, place) - 1
        return self._readers[number](place - self._starts[number])

    def take(self, places: np.ndarray[Any, Any]) -> pa.Array:
        """The values of the rows at `places`, as one Arrow array."""
        return self._gather(places if self.rows is None else self.rows[places])

    def chosen(self, places: np.ndarray[Any, Any]) -> "StoredColumn":
        """The same values seen through `places`; nothing is copied."""
        return replace(self, rows=places if self.rows is None else self.rows[places])

    def cut(self, start: int, stop: int) -> "StoredColumn":
        """The rows from `start` up to `stop`; nothing is copied."""
        if self.rows is None:
            values = self.values.slice(start, stop - start)
            return replace(self, values=values, origins=self.origins and _cut(self.origins, start, stop))
        return replace(self, rows=self.rows[start:stop])

    def whole(self) -> pa.ChunkedArray:
        """All values in the order of the rows."""
        if self.rows is None:
            return self.values
        # block by block: one array of texts can hold two gigabytes only
        spans = range(0, len(self.rows), ROWS_GATHERED)
        return pa.chunked_array([self._gather(self.rows[at : at + ROWS_GATHERED]) for at in spans], self.values.type)

    @cached_property
    def _chunks(self) -> list[pa.Array]:
        return list(self.values.chunks)

    @cached_property
    def _readers(self) -> list[Callable[[int], Any]]:
        return [cells(chunk) for chunk in self._chunks]

    @cached_property
    def _starts(self) -> list[int]:
        return [int(start) for start in self._chunk_starts]

    @cached_property
    def _chunk_starts(self) -> np.ndarray[Any, Any]:
        return np.cumsum([0, *(len(chunk) for chunk in self._chunks)])

    @cached_property
    def _matrices(self) -> list[np.ndarray[Any, Any]] | None:
        """All chunks as numpy arrays over the same memory, for numbers and lists of equally many numbers; else None."""
        found: list[np.ndarray[Any, Any]] = []
        for chunk in self._chunks:
            matrix = as_matrix(chunk)
            if matrix is None or matrix.shape[1:] != (found[0] if found else matrix).shape[1:]:
                return None
            found.append(matrix)
        return found or None

    def _gather(self, places: np.ndarray[Any, Any]) -> pa.Array:
        """Arrow's own take would first join all chunks; here only the chunks that hold wanted rows are touched."""
        chunks = self._chunks
        if self._matrices is not None and len(places):
            return from_matrix(self._gather_numbers(self._matrices, places), self.values.type)
        if len(chunks) == 1:
            return chunks[0].take(pa.array(places))
        if not len(places):
            return pa.array([], self.values.type)
        numbers = np.searchsorted(self._chunk_starts, places, side="right") - 1
        order = np.argsort(numbers, kind="stable")
        wanted, begin = np.unique(numbers[order], return_index=True)
        inside = places[order] - self._chunk_starts[numbers[order]]
        parts = [
            chunks[number].take(pa.array(some))
            for number, some in zip(wanted, np.split(inside, begin[1:]), strict=True)
        ]
        if len(parts) == 1:  # a stable order of equal numbers is the order they had
            return parts[0]
        back = np.empty(len(places), dtype=np.int64)
        back[order] = np.arange(len(places))
        return pa.concat_arrays(parts).take(pa.array(back))

    def _gather_numbers(
        self, matrices: list[np.ndarray[Any, Any]], places: np.ndarray[Any, Any]
    ) -> np.ndarray[Any, Any]:
        gathered: np.ndarray[Any, Any]
        if len(matrices) == 1:
            gathered = matrices[0][places]
            return gathered
        numbers = np.searchsorted(self._chunk_starts, places, side="right") - 1
        gathered = np.empty((len(places), *matrices[0].shape[1:]), dtype=matrices[0].dtype)
        for number in np.unique(numbers):
            here = numbers == number
            gathered[here] = matrices[number][places[here] - self._chunk_starts[number]]
        return gathered


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
        """The columns of an Arrow table; many small chunks are joined, large ones stay where they are."""
        twice = sorted({name for name in table.column_names if table.column_names.count(name) > 1})
        if twice:
            raise InputError(f"column names must differ; more than once: {twice}.")
        columns = {name: StoredColumn(_in_few_chunks(table[name])) for name in table.column_names}
        return cls(columns, table.num_rows)

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

    def rows_from(self, start: int, stop: int) -> "Rows":
        """The same, each column read when it is asked for."""
        return Rows(self, start, stop)

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


class Rows(Mapping[str, pa.Array]):
    """Some rows of a frame: one Arrow array per column, gathered when it is first asked for."""

    def __init__(self, frame: Frame, start: int, stop: int) -> None:
        self._frame, self._start, self._stop = frame, start, stop
        self._read: dict[str, pa.Array] = {}

    def __getitem__(self, name: str) -> pa.Array:
        if name not in self._read:
            self._read[name] = self._frame.columns[name].slice(self._start, self._stop)
        return self._read[name]

    def __contains__(self, name: object) -> bool:
        return name in self._frame.columns

    def __iter__(self) -> Iterator[str]:
        return iter(self._frame.columns)

    def __len__(self) -> int:
        return len(self._frame.columns)


def joined(columns: Sequence[StoredColumn]) -> StoredColumn:
    """The rows of columns of one type, one after the other; values stay where they are."""
    values = pa.chunked_array([chunk for column in columns for chunk in column.values.chunks], columns[0].values.type)
    origins = None
    if all(column.origins is not None for column in columns):
        origins = tuple(origin for column in columns for origin in column.origins or ())
    if all(column.rows is None for column in columns):
        return StoredColumn(values, None, origins)
    starts = np.cumsum([0, *(len(column.values) for column in columns)])
    rows = [
        start + (np.arange(len(column.values)) if column.rows is None else column.rows)
        for start, column in zip(starts, columns, strict=False)
    ]
    return StoredColumn(values, np.concatenate(rows), origins)


def _cut(origins: Sequence[Origin], start: int, stop: int) -> tuple[Origin, ...]:
    kept, at = [], 0
    for origin in origins:
        first, last = max(start, at), min(stop, at + origin.length)
        if first < last:
            kept.append(replace(origin, start=origin.start + first - at, length=last - first))
        at += origin.length
    return tuple(kept)


def _reopened(origins: Sequence[Origin], kind: pa.DataType, rows: np.ndarray[Any, Any] | None) -> StoredColumn:
    from madang.datasets.memory_map import reopened

    return StoredColumn(reopened(origins, kind), rows, tuple(origins))


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


def _in_few_chunks(values: pa.ChunkedArray) -> pa.ChunkedArray:
    few = values.num_chunks <= 1 + len(values) // SMALL_CHUNK
    if few or values.nbytes > values.num_chunks * SMALL_BYTES:
        return values
    return pa.table({"": values}).combine_chunks().column(0)  # a table: texts may need more than one chunk


def _without_rest(array: pa.Array) -> pa.Array:
    """The same values alone, where most of the memory they lie in belongs to others."""
    return pa.concat_arrays([array]) if array.get_total_buffer_size() > 2 * array.nbytes + 1024 else array


def _one_array(values: pa.ChunkedArray) -> pa.Array:
    if values.num_chunks == 1:
        return values.chunk(0)
    return pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], values.type)
