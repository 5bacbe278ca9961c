"""Rows as lines of CSV, text by text as pandas writes them, without Python objects for plain columns."""

import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from madang.datasets.features.kinds import is_number, is_text
from madang.errors import InputError

DAY = {"s": 86_400, "ms": 86_400_000, "us": 86_400_000_000, "ns": 86_400_000_000_000}
_LEVELS = ("days", "s", "ms", "us", "ns")
# between these, Arrow and numpy write a number in the same digits
_ALIKE = {pa.float64(): (1e-4, 1e10), pa.float32(): (1e-4, 1e6)}


@dataclass(frozen=True)
class Style:
    """How fields are set apart, quoted and, when empty, written. `quoting` is one of the csv module's QUOTE_…"""

    sep: str = ","
    na_rep: str = ""
    quoting: int = csv.QUOTE_MINIMAL
    quotechar: str = '"'
    lineterminator: str = "\n"

    def __post_init__(self) -> None:
        for name in ("sep", "quotechar"):
            if len(getattr(self, name)) != 1:
                raise InputError(f"{name}= must be one character, not {getattr(self, name)!r}.")
        if self.quoting not in range(4):
            raise InputError(f"quoting={self.quoting!r} must be 0 to 3, one of the csv module's QUOTE_….")

    def line(self, texts: Sequence[str]) -> str:
        """One line: the header."""
        columns = [pa.array([text], pa.large_string()) for text in texts]
        return bytes(self.lines(columns, [False] * len(texts))).decode()

    def lines(self, columns: Sequence[pa.Array], numeric: Sequence[bool]) -> pa.Buffer:
        """Columns of texts as lines; `numeric` says which of them hold numbers."""
        fields = [self._quoted(column, is_number) for column, is_number in zip(columns, numeric, strict=True)]
        if len(fields) == 1 and self.quoting != csv.QUOTE_NONE:
            # a line without anything would be no row to whoever reads it
            fields = [pc.if_else(pc.equal(fields[0], ""), _text(self.quotechar * 2), fields[0])]
        if not fields:
            return pa.py_buffer(b"")
        joined = pc.binary_join_element_wise(*fields, _text(self.sep)) if len(fields) > 1 else fields[0]
        ended = pc.binary_join_element_wise(joined, _text(""), _text(self.lineterminator))
        return _bytes(ended)

    def _quoted(self, texts: pa.Array, is_number: bool) -> pa.Array:
        empty = pc.is_null(texts)
        texts = pc.fill_null(pc.cast(texts, pa.large_string()), self.na_rep)
        if self.quoting == csv.QUOTE_ALL:
            return self._in_quotes(texts)
        if self.quoting == csv.QUOTE_NONNUMERIC:
            return pc.if_else(empty, self._in_quotes(texts), texts) if is_number else self._in_quotes(texts)
        if is_number and self.sep in ",;\t|" and not self.na_rep:
            return texts
        special = "[" + "".join(re.escape(c) for c in {*self.sep, *self.quotechar, *self.lineterminator, *"\r\n"}) + "]"
        needed = pc.match_substring_regex(texts, special)
        if not pc.any(needed).as_py():
            return texts
        if self.quoting == csv.QUOTE_NONE:
            text = texts.filter(needed)[0].as_py()
            raise InputError(f"with quoting=QUOTE_NONE, {text!r} cannot be written; pass escapechar='\\\\', say.")
        return pc.if_else(needed, self._in_quotes(texts), texts)

    def _in_quotes(self, texts: pa.Array) -> pa.Array:
        doubled = pc.replace_substring(texts, self.quotechar, self.quotechar * 2)
        return pc.binary_join_element_wise(_text(self.quotechar), doubled, _text(self.quotechar), _text(""))


def _text(text: str) -> pa.Scalar:
    return pa.scalar(text, pa.large_string())


def _bytes(texts: pa.Array) -> pa.Buffer:
    """The content of an array of texts, one after the other."""
    _, offsets, content = texts.buffers()
    ends = np.frombuffer(offsets, dtype=np.int64)
    start, stop = int(ends[texts.offset]), int(ends[texts.offset + len(texts)])
    return content.slice(start, stop - start) if content is not None else pa.py_buffer(b"")


def writers(
    schema: pa.Schema, tables: Callable[[list[str]], Iterable[pa.Table]]
) -> list[tuple[str, bool, Callable[[pa.Array], pa.Array]]]:
    """For each column its name, whether it holds numbers, and what makes texts of its values.

    `tables` goes through the rows of some columns: whether a column of times needs fractions, or holds whole days only,
    is decided for all its rows together.
    """
    timed = [field.name for field in schema if pa.types.is_timestamp(field.type) or pa.types.is_duration(field.type)]
    finest = _finest(tables(timed), timed) if timed else {}
    made = []
    for field in schema:
        kind = field.type
        numbers = is_number(kind) or pa.types.is_decimal(kind)
        made.append((field.name, numbers or pa.types.is_boolean(kind), _writer(kind, finest.get(field.name, "s"))))
    return made


def _writer(kind: pa.DataType, finest: str) -> Callable[[pa.Array], pa.Array]:
    if pa.types.is_dictionary(kind):
        inner = _writer(kind.value_type, finest)
        return lambda array: inner(array.dictionary_decode())
    if isinstance(kind, pa.BaseExtensionType):
        return _writer(kind.storage_type, finest)  # given as it is stored
    if pa.types.is_floating(kind):
        return float_texts
    if pa.types.is_boolean(kind):
        return lambda array: pc.if_else(array, "True", "False")
    if pa.types.is_timestamp(kind):
        return lambda array: _timestamps(array, finest)
    if pa.types.is_duration(kind):
        return lambda array: pa.array(
            [_duration(value, kind.unit, finest) for value in array.cast(pa.int64()).to_pylist()], pa.string()
        )
    plain = pa.types.is_integer(kind) or pa.types.is_decimal(kind) or pa.types.is_null(kind)
    if plain or is_text(kind):
        return lambda array: pc.cast(array, pa.large_string())
    return lambda array: pa.array([None if value is None else str(value) for value in array.to_pylist()], pa.string())


def float_texts(array: pa.Array) -> pa.Array:
    """Numbers in the shortest digits that give the same number again, as numpy writes them; NaN is empty."""
    array = pc.if_else(pc.is_nan(array), None, array)
    low, high = _ALIKE.get(array.type, (0.0, 0.0))
    if array.type == pa.float16():
        alike = pa.array(np.zeros(len(array), bool))
        short = pa.nulls(len(array), pa.string())
    else:
        size = pc.abs(array)
        alike = pc.or_(pc.equal(size, 0), pc.and_(pc.greater_equal(size, low), pc.less(size, high)))
        texts = pc.cast(array, pa.string())
        whole = pc.invert(pc.match_substring(texts, "."))
        short = pc.if_else(whole, pc.binary_join_element_wise(texts, "0", "."), texts)
    others = pc.and_(pc.is_valid(array), pc.invert(pc.fill_null(alike, True)))
    if not pc.any(others).as_py():
        return short
    places = np.flatnonzero(others.to_numpy(zero_copy_only=False))
    written = array.take(pa.array(places)).to_numpy(zero_copy_only=False).astype(str)
    return pc.replace_with_mask(pc.cast(short, pa.string()), others, pa.array(written.tolist(), pa.string()))


def _finest(tables: Iterable[pa.Table], names: Sequence[str]) -> dict[str, str]:
    """For each column of times: 'days', or the coarsest unit that holds all its values."""
    needed = dict.fromkeys(names, 0)
    for table in tables:
        for name in names:
            needed[name] = max(needed[name], _level(table[name]))
    return {name: _LEVELS[level] for name, level in needed.items()}


def _level(column: pa.ChunkedArray) -> int:
    """Where in _LEVELS the coarsest unit stands that holds all values of a column."""
    if getattr(column.type, "tz", None) is not None:
        least = 1  # midnight is another moment elsewhere: the time is always written
    else:
        least = 0
    values, day = pc.cast(column, pa.int64()), DAY[column.type.unit]
    ticks = (day, day // 86_400, day // 86_400_000, day // 86_400_000_000, 1)
    return max(least, next(level for level, tick in enumerate(ticks) if tick <= 1 or _all_multiples(values, tick)))


def _all_multiples(values: pa.ChunkedArray, tick: int) -> bool:
    rest = pc.subtract(values, pc.multiply(pc.divide(values, tick), tick))
    return not pc.any(pc.not_equal(rest, 0)).as_py()


def _timestamps(array: pa.Array, finest: str) -> pa.Array:
    zone = array.type.tz
    if finest == "days":
        return pc.strftime(array, "%Y-%m-%d")
    array = pc.cast(array, pa.timestamp(finest, tz=zone))
    if zone is None:
        return pc.strftime(array, "%Y-%m-%d %H:%M:%S")
    return pc.replace_substring_regex(pc.strftime(array, "%Y-%m-%d %H:%M:%S%z"), r"([+-]\d\d)(\d\d)$", r"\1:\2")


def _duration(value: int | None, unit: str, finest: str) -> str | None:
    if value is None:
        return None
    days, rest = divmod(value, DAY[unit])
    if finest == "days":
        return f"{days} days"
    seconds, fraction = divmod(rest * (86_400_000_000_000 // DAY[unit]), 1_000_000_000)
    digits = {"s": "", "ns": f".{fraction:09}"}.get(finest, f".{fraction // 1000:06}")
    minutes, seconds = divmod(seconds, 60)
    sign = "+" if days < 0 else ""
    return f"{days} days {sign}{minutes // 60:02}:{minutes % 60:02}:{seconds:02}{digits}"
