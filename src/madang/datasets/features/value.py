"""Plain values, and the names of Arrow's types."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import pyarrow as pa

from madang.datasets.features.kinds import is_text
from madang.errors import InputError, unknown_name


@dataclass(repr=False)
class Value:
    """One value per row; `dtype` is its Arrow type by name: `int64`, `float32`, `string`, `bool`, `timestamp[ms]`, …

    >>> Value("int64")
    Value('int64')
    """

    dtype: str
    id: str | None = None
    pa_type: Any = field(init=False, compare=False)
    _type: ClassVar[str] = "Value"

    def __post_init__(self) -> None:
        self.dtype = {"double": "float64", "float": "float32"}.get(self.dtype, self.dtype)
        self.pa_type = type_called(self.dtype)

    def __repr__(self) -> str:
        return f"Value({self.dtype!r})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self.pa_type

    def encode_example(self, value: Any) -> Any:
        """`value` as this kind of number, text or yes-or-no: `"5"` becomes 5 in an integer column."""
        kind = self.pa_type
        if pa.types.is_boolean(kind):
            return bool(value)
        if pa.types.is_integer(kind):
            return int(value)
        if pa.types.is_floating(kind):
            return float(value)
        if is_text(kind):
            return str(value)
        return value


def type_called(name: Any) -> pa.DataType:
    """The Arrow type of that name, also `timestamp[us, tz=Asia/Seoul]`, `decimal128(10, 2)`, `fixed_size_binary[16]`.

    Raises UnknownNameError (a ValueError) with the nearest name there is.
    """
    if name in _TYPES:
        return _TYPES[name]
    if found := re.fullmatch(r"timestamp\[(s|ms|us|ns), tz=([\w+\-:/]+)\]", str(name)):
        return pa.timestamp(found[1], tz=found[2])
    if found := re.fullmatch(r"(decimal(?:128|256))\((\d+), *(-?\d+)\)", str(name)):
        return getattr(pa, found[1])(int(found[2]), int(found[3]))
    if found := re.fullmatch(r"fixed_size_binary\[(\d+)\]", str(name)):
        return pa.binary(int(found[1]))
    raise unknown_name("dtype", str(name), _TYPES)


def name_of(kind: pa.DataType) -> str:
    """The name of an Arrow type of plain values; `type_called` undoes it.

    Raises InputError (a ValueError) for lists, structs and types that have no name here.
    """
    if pa.types.is_dictionary(kind):
        return name_of(kind.value_type)
    name = _SPELLED.get(str(kind), str(kind))
    try:
        if type_called(name).equals(kind):
            return name
    except ValueError:
        pass
    raise InputError(
        f"Arrow type {kind} does not have a datasets dtype equivalent; cast the column to a type that has."
    )


# what Arrow prints for types that have another name here
_SPELLED = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}


def _simple_types() -> Iterator[tuple[str, pa.DataType]]:
    names = "null bool_ int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 date32 date64"
    for name in f"{names} string utf8 large_string large_utf8 string_view binary large_binary binary_view".split():
        yield name, getattr(pa, name)()
    yield "bool", pa.bool_()
    for unit in ("s", "ms", "us", "ns"):
        yield f"timestamp[{unit}]", pa.timestamp(unit)
        yield f"duration[{unit}]", pa.duration(unit)
    for name, unit in (("time32", "s"), ("time32", "ms"), ("time64", "us"), ("time64", "ns")):
        yield f"{name}[{unit}]", getattr(pa, name)(unit)


_TYPES = dict(_simple_types())
