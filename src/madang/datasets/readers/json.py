"""JSON files: one object per line, or one list of objects."""

import codecs
import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.readers.columns import Columns, Place, widened
from madang.datasets.readers.files import MEMORY, DataFile, blocks, in_order, lines, local, whole, wrong_encoding
from madang.errors import DatasetGenerationError, unknown_name

# options of earlier readers that only say how to go about it
_WITHOUT_EFFECT = {"block_size", "chunksize", "newlines_in_values", "use_threads"}
_NO_JSON = (ValueError, RecursionError)  # what Python's parser raises
_DEPTH = 1000  # of lists and objects inside each other, at most
_IN_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
_ROWS = 1000  # of those that Python has to read, how many are turned into a table at a time


def read(
    files: Iterable[Any],
    *,
    field: str | None = None,
    encoding: str = "utf-8",
    encoding_errors: str | None = None,
    texts: Iterable[str] = (),
    encoded: Iterable[str] = (),
    types: dict[str, pa.DataType] | None = None,
    **others: Any,
) -> Iterator[pa.Table]:
    """The rows of all files, some megabytes at a time. `field` names the key under which a file keeps its rows.

    A key that an object lacks is an empty cell. `texts` are columns to be read as text, `encoded` columns of any
    values, which are given as JSON; `types` is for the readers that guess from text, and JSON says what its values are.

    Raises DatasetGenerationError, naming file, line and column, for what is no JSON or does not go together.
    """
    for name in others:
        if name not in _WITHOUT_EFFECT:
            raise unknown_name("option for JSON files", name, ["encoding", "encoding_errors", "field"])
    columns = Columns({*texts, *encoded})
    asked = _Asked(frozenset(texts), frozenset(encoded), field, encoding, encoding_errors or "strict")
    for file in local(files):
        yield from _JsonFile(file, columns, asked).tables()


@dataclass(frozen=True)
class _Asked:
    """How the files are to be read."""

    texts: frozenset[str]
    encoded: frozenset[str]
    field: str | None
    encoding: str
    errors: str


class _JsonFile:
    """One file that is being read."""

    def __init__(self, file: DataFile, columns: Columns, asked: _Asked) -> None:
        self.file, self.columns, self.texts, self.encoded = file, columns, asked.texts, asked.encoded
        self.field, self.encoding, self.errors = asked.field, asked.encoding, asked.errors
        self.names: dict[str, None] = {}
        self.line = 1  # the first of the block at hand

    def tables(self) -> Iterator[pa.Table]:
        found = self._blocks()
        begin = b""
        while not begin.strip() and (block := next(found, b"")):
            begin += block
        if not begin.strip():
            raise DatasetGenerationError(f"{self.file.name} is empty.")
        found = chain([begin], found)
        sign = begin.lstrip()[:1]
        if self.field is None and sign == b"{":
            yield from self._lines(lines(found))
        elif self.field is None and sign == b"[":
            try:
                yield from self._tables(_items(self.file, found))
            except UnicodeDecodeError as error:
                raise wrong_encoding(self.file, self.encoding, str(error)) from error
        else:
            yield from self._document()
        self.columns.compare(list(self.names), self.file)

    def _blocks(self) -> Iterator[bytes]:
        return blocks(self.file, self.encoding, self.errors)

    # ---- a row per line

    def _lines(self, found: Iterator[bytes]) -> Iterator[pa.Table]:
        first = next(found)
        if not _is_whole(first):
            yield from self._document()
            return
        table = self._settled(first, self._attempt(first))
        # as in the first row; Arrow puts the columns it was told of in front
        order = dict.fromkeys([*self._first_keys(first), *table.column_names])
        yield table.select([name for name in order if name in table.column_names])
        self.line += first.count(b"\n")
        for chunk, table in in_order(lambda chunk: (chunk, self._attempt(chunk)), found):
            if chunk.strip():
                yield self._settled(chunk, table)
            self.line += chunk.count(b"\n")

    def _first_keys(self, chunk: bytes) -> list[str]:
        try:
            return list(json.loads(chunk.lstrip().split(b"\n", 1)[0]))
        except _NO_JSON:
            return []

    def _attempt(self, chunk: bytes, guess: bool = False) -> pa.Table | Exception:
        """The rows of a block as a table, or why Arrow cannot make one. Called by several threads."""
        from pyarrow import json as arrow_json

        self._check_encoding(chunk)
        if _is_deep(chunk):  # Arrow's parser would crash
            raise DatasetGenerationError(f"{self.file.name}: a row nests more than {_DEPTH} lists or objects.")
        if self.encoded:
            return pa.ArrowInvalid("values of any kind")

        types = {} if guess else self.columns.types.copy()
        types = {**types, **dict.fromkeys(self.texts, pa.string())}
        known = [(name, kind) for name, kind in types.items() if not pa.types.is_null(kind)]
        try:
            return arrow_json.read_json(
                pa.BufferReader(chunk),
                arrow_json.ReadOptions(use_threads=False, block_size=len(chunk) + 1),
                arrow_json.ParseOptions(explicit_schema=pa.schema(known) if known else None),
                memory_pool=MEMORY,
            )
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
            return error

    def _check_encoding(self, chunk: bytes) -> None:
        """Refuse what is not UTF-8, which Arrow would store as if it were."""
        bounds = np.array([0, len(chunk)], dtype=np.int64)
        text = pa.LargeStringArray.from_buffers(1, pa.py_buffer(bounds), pa.py_buffer(chunk))
        try:
            text.validate(full=True)
        except pa.ArrowInvalid as error:
            raise wrong_encoding(self.file, self.encoding, str(error)) from error

    def _settled(self, chunk: bytes, table: pa.Table | Exception) -> pa.Table:
        """The block in the types that the columns have by now."""
        if isinstance(table, Exception):
            table = self._attempt(chunk, guess=True)
        if isinstance(table, Exception):
            return self._table(self._objects(chunk))
        for name in table.column_names:
            # a column that an earlier file had is in the table even where this one lacks it
            if name not in self.columns.types or table[name].null_count < len(table):
                self.names.setdefault(name)
        self.columns.settle(table.schema, self.file, self._place_of_change)
        if any(field.type != self.columns.types[field.name] for field in table.schema):
            again = self._attempt(chunk)
            return again if isinstance(again, pa.Table) else self._table(self._objects(chunk))
        return table

    def _objects(self, chunk: bytes) -> list[dict[str, Any]]:
        """The rows of a block, read by Python: it takes what Arrow does not, and says what is wrong."""
        rows = []
        for place, line in enumerate(chunk.split(b"\n")):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except _NO_JSON as error:
                raise DatasetGenerationError(
                    f"{self.file.name}, line {self.line + place} does not hold one JSON object: {error}. "
                    "In one big object, name the list by field=."
                ) from error
            if not isinstance(row, dict):
                raise DatasetGenerationError(
                    f"{self.file.name}, line {self.line + place} should hold one JSON object (a row), but holds "
                    f"{type(row).__name__}: {str(row)[:60]}."
                )
            rows.append(row)
        return rows

    # ---- one document

    def _document(self) -> Iterator[pa.Table]:
        text = whole(self.file, self.encoding, self.errors)
        self._check_encoding(text)
        try:
            content = json.loads(text)
        except _NO_JSON as error:
            raise DatasetGenerationError(
                f"{self.file.name} holds neither one JSON object per line nor one JSON document: {error}."
            ) from error
        if self.field is not None:
            if not isinstance(content, dict) or self.field not in content:
                raise unknown_name(
                    f"field of {self.file.name}", self.field, content if isinstance(content, dict) else []
                )
            content = content[self.field]
        if isinstance(content, dict):
            content = self._rows_of_object(content)
        if not isinstance(content, list):
            raise self._shape(type(content).__name__)
        yield from self._tables(content)

    def _rows_of_object(self, content: dict[str, Any]) -> list[Any]:
        """An object of lists holds columns; any other is a row."""
        if not content or not all(isinstance(values, list) for values in content.values()):
            return [content]
        lengths = {name: len(values) for name, values in content.items()}
        if len(set(lengths.values())) > 1:
            raise DatasetGenerationError(f"{self.file.name} holds columns of different lengths: {lengths}.")
        return [dict(zip(content, row, strict=True)) for row in zip(*content.values(), strict=True)]

    def _tables(self, items: Iterable[Any]) -> Iterator[pa.Table]:
        waiting: list[Any] = []
        for item in items:
            if isinstance(item, dict):
                waiting.append(item)
            elif not isinstance(item, list):  # a list of texts, or of numbers
                waiting.append({"text": item})
            else:
                raise self._shape("list with items that are no objects")
            if len(waiting) == _ROWS:
                yield self._table(waiting)
                waiting = []
        if waiting or not self.names:
            yield self._table(waiting)

    def _shape(self, found: str) -> DatasetGenerationError:
        return DatasetGenerationError(
            f"{self.file.name} should hold a list of objects (rows) or an object of lists (columns), but holds a "
            f"{found}."
        )

    def _table(self, rows: list[dict[str, Any]]) -> pa.Table:
        """Rows that are Python objects as a table; a key that a row lacks is an empty cell."""
        made = {}
        for name in dict.fromkeys(name for row in rows for name in row):
            values = [row.get(name) for row in rows]
            if name in self.texts or name in self.encoded:
                as_text = json.dumps if name in self.encoded else _as_text
                made[name] = pa.array([None if value is None else as_text(value) for value in values], pa.string())
                continue
            try:
                made[name] = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
                raise self._mixed(name, values, error) from error
        self.names.update(dict.fromkeys(made))
        self.columns.settle(
            pa.schema([(name, array.type) for name, array in made.items()]), self.file, self._place_of_change
        )
        wanted = {name: self.columns.types[name] for name in made}
        return pa.table(
            {
                name: array if array.type == wanted[name] else pa.array([row.get(name) for row in rows], wanted[name])
                for name, array in made.items()
            }
        )

    # ---- looking for what is wrong

    def _mixed(self, name: str, values: list[Any], error: Exception) -> DatasetGenerationError:
        """The error for a column whose values Arrow cannot put into one array."""
        known = pa.null()
        for value in values:
            try:
                kind = pa.array([value]).type
            except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
                break
            wider = widened(known, kind)
            if wider is None:
                place = self._place_of_change(self.file, name, known)
                where = f", line {place[0]}" if place else ""
                return DatasetGenerationError(
                    f"{self.file.name}{where}: column {name!r} is {kind} there, for example {value!r:.80}, but "
                    f"{known} before that. Make the data agree, or pass features= to say what the columns hold."
                )
            known = wider
        return DatasetGenerationError(f"{self.file.name}: column {name!r} cannot be stored: {error}.")

    def _place_of_change(self, file: DataFile, name: str, known: pa.DataType) -> Place | None:
        """Where the column first holds what is not `known`, in a file of one object per line."""
        row_number = 0
        for number, line in enumerate(_each_line(self._blocks()), start=1):
            try:
                row = json.loads(line) if line.strip() else {}
                row_number += bool(row)
                value = row.get(name)
                if value is not None and widened(known, pa.array([value]).type) is None:
                    return number, row_number, f"{value!r:.80}"
            except (*_NO_JSON, AttributeError, TypeError, OverflowError):
                return None
        return None


def _each_line(found: Iterable[bytes]) -> Iterator[bytes]:
    for piece in lines(found):
        yield from piece.splitlines()


def _is_whole(begin: bytes) -> bool:
    """Whether the first line is an object of its own, and not the beginning of one over several lines."""
    line = begin.lstrip().split(b"\n", 1)[0].rstrip()
    try:
        json.loads(line)
    except _NO_JSON:
        return line[-1:] not in (b"{", b"[", b",", b":")
    return True


def _is_deep(chunk: bytes) -> bool:
    """Whether a line holds lists or objects inside each other, deeper than is sane. Only long lines are looked into."""
    start, shortest = 0, 2 * _DEPTH
    while len(chunk) - start > shortest:
        end = chunk.rfind(b"\n", start, start + shortest)
        if end < 0:
            end = chunk.find(b"\n", start)
            line = chunk[start:] if end < 0 else chunk[start:end]
            if line.count(b"[") + line.count(b"{") > _DEPTH and _depth(line) > _DEPTH:
                return True
            if end < 0:
                break
        start = end + 1
    return False


def _depth(line: bytes) -> int:
    steps = np.zeros(256, dtype=np.int8)
    steps[list(b"[{")], steps[list(b"]}")] = 1, -1
    return int(np.cumsum(steps[np.frombuffer(_IN_TEXT.sub(b"", line), dtype=np.uint8)], dtype=np.int64).max())


def _items(file: DataFile, found: Iterable[bytes]) -> Iterator[Any]:
    """What one list holds, item by item, while the file is read."""
    decoder, texts = json.JSONDecoder(), codecs.iterdecode(found, "utf-8")
    text, before = next(texts), 0  # `before`: line ends that were dropped
    at, ahead = text.index("[") + 1, 1
    separator = ""
    while True:
        start = _skipped(text, at)
        if text[start : start + 1] == "]":
            return
        if separator and text[start : start + 1] == separator:
            start = _skipped(text, start + 1)
        elif separator and start < len(text):
            raise _no_json(file, json.JSONDecodeError("Expecting ',' delimiter", text, start), before)
        try:
            item, end = decoder.raw_decode(text, start)
        except RecursionError as error:
            raise _no_json(file, json.JSONDecodeError("Too many lists in lists", text, start), before) from error
        except json.JSONDecodeError as error:
            # cut in the middle, unless the mistake lies well before the end
            more = "".join(part for _, part in zip(range(ahead), texts, strict=False))
            if not more or (error.pos < len(text) - 64 and "Unterminated" not in error.msg):
                raise _no_json(file, error, before) from error
            before += text.count("\n", 0, at)
            text, at, ahead = text[at:] + more, 0, ahead * 2
            continue
        separator, at, ahead = ",", end, 1
        yield item


def _no_json(file: DataFile, error: json.JSONDecodeError, before: int) -> DatasetGenerationError:
    return DatasetGenerationError(
        f"{file.name} is not JSON: {error.msg} in line {error.lineno + before}, column {error.colno}."
    )


def _skipped(text: str, at: int) -> int:
    while text[at : at + 1] in (" ", "\n", "\r", "\t"):
        at += 1
    return at


def _as_text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
