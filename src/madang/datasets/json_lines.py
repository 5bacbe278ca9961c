"""Rows as JSON, in the layouts that pandas knows (records, split, index, columns, values)."""

import datetime
import decimal
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from madang.datasets.csv_lines import float_texts
from madang.datasets.features.kinds import is_text
from madang.errors import InputError

ORIENTS = ("records", "split", "index", "columns", "values")
UNITS = {"s": 0, "ms": 3, "us": 6, "ns": 9}
_BOOLEANS = {True: "true", False: "false", None: "null"}
_EPOCH = datetime.datetime(1970, 1, 1)
_UTC_EPOCH = _EPOCH.replace(tzinfo=datetime.UTC)


@dataclass(frozen=True)
class Style:
    """How values are written: letters beyond ASCII, times, digits after the point (None: all that are there)."""

    force_ascii: bool = True
    date_format: str = "epoch"
    date_unit: str = "ms"
    double_precision: int | None = None

    def __post_init__(self) -> None:
        if self.date_format not in ("epoch", "iso"):
            raise InputError(f"date_format={self.date_format!r} must be 'epoch' or 'iso'.")
        if self.date_unit not in UNITS:
            raise InputError(f"date_unit={self.date_unit!r} must be one of {', '.join(UNITS)}.")

    def text(self, value: str) -> str:
        """A text in quotes. The slash is escaped, as pandas does, so that `</script>` cannot end a script."""
        quote = encode_basestring_ascii if self.force_ascii else encode_basestring
        return quote(value).replace("/", "\\/")

    def any(self, value: Any) -> str:
        """Lists, structs and rare values."""
        try:
            if self.double_precision is None:
                return self._dumped(value)
        except ValueError:  # a NaN or an infinity inside, which JSON does not have
            pass
        return self._dumped(self._finite(value))

    def _dumped(self, value: Any) -> str:
        written = json.dumps(
            value, ensure_ascii=self.force_ascii, separators=(",", ":"), allow_nan=False, default=self._plain
        )
        return written.replace("/", "\\/")

    def _finite(self, value: Any) -> Any:
        if isinstance(value, float):
            if not math.isfinite(value):
                return None
            return value if self.double_precision is None else round(value, self.double_precision)
        if isinstance(value, Mapping):
            return {name: self._finite(inner) for name, inner in value.items()}
        return [self._finite(inner) for inner in value] if isinstance(value, list) else value

    def _plain(self, value: Any) -> Any:
        """What JSON has no word for."""
        match value:
            case datetime.datetime():
                if self.date_format == "iso":
                    return _iso(value, UNITS[self.date_unit])
                return self._ticks(value - (_EPOCH if value.tzinfo is None else _UTC_EPOCH))
            case datetime.date():
                midnight = datetime.datetime(value.year, value.month, value.day)
                return self._plain(midnight)
            case datetime.timedelta():
                return self._ticks(value)
            case datetime.time():
                return value.isoformat()
            case decimal.Decimal():
                return str(value)
            case bytes():
                return value.decode("utf-8")
        raise TypeError(f"{type(value).__name__} has no form in JSON")

    def _ticks(self, span: datetime.timedelta) -> int:
        # the microseconds as a whole number: total_seconds() is a float and loses the last of them
        microseconds = (span.days * 86_400 + span.seconds) * 1_000_000 + span.microseconds
        digits = UNITS[self.date_unit]
        return microseconds * 1000 if digits == 9 else microseconds // 10 ** (6 - digits)

    def column(self, array: pa.Array, decode: Callable[[Any], Any] | None = None) -> list[str]:
        """The values of a column, each as JSON; `decode` turns stored values into those to write."""
        kind = array.type
        if decode is not None:
            return [self.any(None if value is None else decode(value)) for value in array.to_pylist()]
        if pa.types.is_dictionary(kind):
            return self.column(array.dictionary_decode())
        if isinstance(kind, pa.BaseExtensionType):
            return self.column(array.storage)
        if pa.types.is_boolean(kind):
            return [_BOOLEANS[value] for value in array.to_pylist()]
        if pa.types.is_integer(kind) or pa.types.is_null(kind):
            return _or_null(pc.cast(array, pa.string()))
        if pa.types.is_floating(kind) and self.double_precision is None:
            finite = pc.if_else(pc.is_finite(array), array, None)
            return _or_null(float_texts(finite))
        if is_text(kind):
            quote = self.text
            return ["null" if value is None else quote(value) for value in array.to_pylist()]
        if pa.types.is_timestamp(kind) and self.date_format == "epoch":
            # rounded down, as pandas does; years far away do not fit every unit
            return _or_null(pc.cast(_in_unit(array, self.date_unit), pa.string()))
        return [self.any(value) for value in array.to_pylist()]


def _in_unit(array: pa.Array, unit: str) -> pa.Array:
    """The moments as whole numbers of `unit` since 1970."""
    here, there = UNITS[array.type.unit], UNITS[unit]
    ticks = pc.cast(array, pa.int64())
    if there >= here:
        return pc.multiply_checked(ticks, 10 ** (there - here))
    tick = 10 ** (here - there)
    down = pc.divide(ticks, tick)
    return pc.if_else(pc.less(ticks, pc.multiply(down, tick)), pc.subtract(down, 1), down)


def _or_null(texts: pa.Array) -> list[str]:
    found: list[str] = pc.fill_null(texts, "null").to_pylist()
    return found


def _iso(moment: datetime.datetime, digits: int) -> str:
    zone = ""
    if moment.tzinfo is not None:
        moment, zone = moment.astimezone(datetime.UTC), "Z"
    fraction = f".{moment.microsecond * 1000:09}"[: digits + 1] if digits else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{zone}"


# layouts --------------------------------------------------------------------------------------------------------------

Fragments = tuple[Sequence[list[str]], int]  # for a run of rows: their values as JSON, column by column; how many


def json_lines(names: Sequence[str], blocks: Iterable[Fragments], style: Style) -> Iterator[str]:
    """One object per line."""
    for rows in _objects(names, blocks, style):
        yield "".join(f"{row}\n" for row in rows)


def whole_json(
    names: Sequence[str], blocks: Iterable[Fragments], style: Style, orient: str, *, index: bool = False
) -> Iterator[str]:
    """All rows as one JSON value, in pieces."""
    match orient:
        case "records":
            yield from _joined("[", _objects(names, blocks, style), "]\n")
        case "values":
            yield from _joined("[", _arrays(blocks), "]\n")
        case "split":
            columns = ",".join(style.text(name) for name in names)
            counted: list[int] = []
            rows = _arrays(_counting(blocks, counted))
            if not index:
                yield from _joined(f'{{"columns":[{columns}],"data":[', rows, "]}\n")
            else:
                data = "".join(_joined("[", rows, "]"))
                numbers = ",".join(str(number) for number in range(sum(counted)))
                yield f'{{"columns":[{columns}],"index":[{numbers}],"data":{data}}}\n'
        case "index":
            yield from _joined("{", _numbered(_objects(names, blocks, style)), "}\n")
        case "columns":
            yield from _by_column(names, blocks, style)


def _objects(names: Sequence[str], blocks: Iterable[Fragments], style: Style) -> Iterator[list[str]]:
    template = "{" + ",".join(style.text(name).replace("%", "%%") + ":%s" for name in names) + "}"
    for columns, count in blocks:
        yield [template % row for row in zip(*columns, strict=True)] if columns else ["{}"] * count


def _arrays(blocks: Iterable[Fragments]) -> Iterator[list[str]]:
    for columns, count in blocks:
        yield [f"[{','.join(row)}]" for row in zip(*columns, strict=True)] if columns else ["[]"] * count


def _counting(blocks: Iterable[Fragments], counted: list[int]) -> Iterator[Fragments]:
    for columns, count in blocks:
        counted.append(count)
        yield columns, count


def _numbered(blocks: Iterable[list[str]]) -> Iterator[list[str]]:
    start = 0
    for rows in blocks:
        yield [f'"{number}":{row}' for number, row in enumerate(rows, start)]
        start += len(rows)


def _by_column(names: Sequence[str], blocks: Iterable[Fragments], style: Style) -> Iterator[str]:
    whole: list[list[str]] = [[] for _ in names]
    for columns, _ in blocks:
        for gathered, values in zip(whole, columns, strict=True):
            gathered.extend(values)
    yield "{"
    for place, (name, values) in enumerate(zip(names, whole, strict=True)):
        cells = ",".join(f'"{number}":{value}' for number, value in enumerate(values))
        yield f"{',' if place else ''}{style.text(name)}:{{{cells}}}"
    yield "}\n"


def _joined(start: str, blocks: Iterable[list[str]], end: str) -> Iterator[str]:
    yield start
    first = True
    for rows in blocks:
        if rows:
            yield ("" if first else ",") + ",".join(rows)
            first = False
    yield end
