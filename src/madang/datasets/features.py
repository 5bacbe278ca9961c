"""What the columns of a table hold: plain values, classes, lists, structs, and how files remember it.

A `Features` is a dict of column name -> feature. Arrow knows the storage; what it cannot know (the names of the
classes) lies in the schema's metadata under the key `huggingface`, as the datasets package writes it, so that Arrow
and Parquet files move both ways.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from madang.errors import InputError, unknown_name
from madang.notices import notice

METADATA_KEY = b"huggingface"

# dtype names that Arrow spells differently
_OUR_NAMES = {
    "halffloat": "float16",
    "float": "float32",
    "double": "float64",
    "date32[day]": "date32",
    "date64[ms]": "date64",
}


@dataclass(repr=False)
class Value:
    """One value per row; `dtype` is its Arrow type by name: `int64`, `float32`, `string`, `bool`, `timestamp[ms]`, …"""

    dtype: str
    id: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.dtype = {"double": "float64", "float": "float32"}.get(self.dtype, self.dtype)
        self.arrow_type()

    def __repr__(self) -> str:
        return f"Value({self.dtype!r})"

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return _type_called(self.dtype)

    def to_json(self) -> dict[str, Any]:
        """The form kept in schema metadata."""
        return {"dtype": self.dtype, "_type": "Value"}


@dataclass(repr=False)
class ClassLabel:
    """A class per row, stored as its number; -1 or an empty cell means "no label".

    >>> label = ClassLabel(names=["negative", "positive"])
    >>> label.int2str(1), label.str2int(["negative"])
    ('positive', [0])
    """

    num_classes: Any = None
    names: list[str] | None = None
    id: str | None = field(default=None, compare=False)

    dtype = "int64"

    def __post_init__(self) -> None:
        if isinstance(self.num_classes, (list, tuple)):  # ClassLabel(["a", "b"])
            self.num_classes, self.names = None, list(self.num_classes)
        if self.names is None:
            if self.num_classes is None:
                raise InputError("a ClassLabel needs its names (or at least num_classes).")
            self.names = [str(number) for number in range(self.num_classes)]
        self.names = [str(name) for name in self.names]
        if self.num_classes is None:
            self.num_classes = len(self.names)
        if self.num_classes != len(self.names):
            raise InputError(f"num_classes={self.num_classes}, but {len(self.names)} names were given.")
        self._numbers = {name: number for number, name in enumerate(self.names)}
        if len(self._numbers) < len(self.names):
            twice = sorted({name for name in self.names if self.names.count(name) > 1})
            raise InputError(f"class names must differ; more than once: {twice}.")

    def __repr__(self) -> str:
        return f"ClassLabel(names={self.names})"

    def int2str(self, values: Any) -> Any:
        """The name of a class number, or the list of names of several."""
        if isinstance(values, Iterable):
            return [self._name(value) for value in values]
        return self._name(values)

    def str2int(self, values: Any) -> Any:
        """The number of a class name, or the list of numbers of several; digits stand for themselves."""
        if isinstance(values, str) or not isinstance(values, Iterable):
            return self._number(values)
        return [self._number(value) for value in values]

    def _name(self, value: Any) -> str:
        assert self.names is not None
        number = int(value)
        if not 0 <= number < len(self.names):
            raise InputError(f"Invalid integer class label {number}: there are classes 0 to {len(self.names) - 1}.")
        return self.names[number]

    def _number(self, value: Any) -> int:
        assert self.names is not None
        name = str(value)
        found = self._numbers.get(name, self._numbers.get(name.strip()))
        if found is None and name.strip().lstrip("-").isdigit() and -1 <= int(name) < len(self.names):
            found = int(name)
        if found is None:
            raise unknown_name("class (Invalid string class label)", name, self.names)
        return found

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return pa.int64()

    def to_json(self) -> dict[str, Any]:
        """The form kept in schema metadata."""
        return {"names": self.names, "_type": "ClassLabel"}


@dataclass(repr=False)
class List:
    """A list per row, all of whose values are `feature`; `length` is -1 when rows differ in length."""

    feature: Any
    length: int = -1
    id: str | None = field(default=None, compare=False)

    def __repr__(self) -> str:
        length = f", length={self.length}" if self.length != -1 else ""
        return f"{type(self).__name__}({self.feature!r}{length})"

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return pa.list_(arrow_type(self.feature), self.length)

    def to_json(self) -> dict[str, Any]:
        """The form kept in schema metadata."""
        length = {"length": self.length} if self.length != -1 else {}
        return {"feature": _to_json(self.feature), **length, "_type": type(self).__name__}


class LargeList(List):
    """A list per row whose offsets take 64 bits: for columns of more than two thousand million values."""

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return pa.large_list(arrow_type(self.feature))


def Sequence(feature: Any, length: int = -1, id: str | None = None) -> Any:  # noqa: A002, N802
    """The older way to say `List`; given a dict it makes a dict of lists, as it always has."""
    if isinstance(feature, Mapping):
        return {name: List(inner, length) for name, inner in feature.items()}
    return List(feature, length, id)


def arrow_type(feature: Any) -> pa.DataType:
    """The Arrow type in which values of `feature` are stored. A dict is a struct, `[feature]` a list."""
    if isinstance(feature, Mapping):
        return pa.struct({name: arrow_type(inner) for name, inner in feature.items()})
    if isinstance(feature, list) and len(feature) == 1:
        return pa.list_(arrow_type(feature[0]))
    if hasattr(feature, "arrow_type"):
        return feature.arrow_type()
    raise InputError(
        f"{feature!r} is not a feature; use Value('int64'), ClassLabel(names=[…]), List(…), or a dict of those."
    )


def from_arrow_type(kind: pa.DataType) -> Any:
    """The feature that describes an Arrow type."""
    if pa.types.is_dictionary(kind):
        return from_arrow_type(kind.value_type)
    if pa.types.is_struct(kind):
        return {inner.name: from_arrow_type(inner.type) for inner in kind}
    if pa.types.is_fixed_size_list(kind):
        return List(from_arrow_type(kind.value_type), length=kind.list_size)
    if pa.types.is_large_list(kind):
        return LargeList(from_arrow_type(kind.value_type))
    if pa.types.is_list(kind):
        return List(from_arrow_type(kind.value_type))
    return Value(_OUR_NAMES.get(str(kind), str(kind)))


class Features(dict[str, Any]):
    """The features of a table by column name, in the order of the columns.

    >>> Features({"title": Value("string"), "label": ClassLabel(names=["no", "yes"])})
    {'title': Value('string'), 'label': ClassLabel(names=['no', 'yes'])}
    """

    @property
    def arrow_schema(self) -> pa.Schema:
        """The Arrow schema, with these features in its metadata."""
        metadata = {METADATA_KEY: json.dumps({"info": {"features": self.to_dict()}}).encode()}
        return pa.schema({name: arrow_type(feature) for name, feature in self.items()}).with_metadata(metadata)

    @classmethod
    def from_arrow_schema(cls, schema: pa.Schema) -> "Features":
        """The features a schema describes: from its metadata where that fits the columns, else from their types."""
        noted = _noted_features(schema)
        features = cls()
        for column in schema:
            feature = noted.get(column.name)
            fits = feature is not None and _same_storage(arrow_type(feature), column.type)
            features[column.name] = feature if fits else from_arrow_type(column.type)
        return features

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts and lists, as kept in files; `Features.from_dict` undoes it."""
        return {name: _to_json(feature) for name, feature in self.items()}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Features":
        """Features from what `to_dict` returned."""
        return cls({name: _from_json(feature) for name, feature in given.items()})

    def copy(self) -> "Features":
        """Features of one's own to change."""
        return Features.from_dict(self.to_dict())


def _to_json(feature: Any) -> Any:
    if isinstance(feature, Mapping):
        return {name: _to_json(inner) for name, inner in feature.items()}
    if isinstance(feature, list):
        return [_to_json(inner) for inner in feature]
    return feature.to_json()


def _from_json(given: Any) -> Any:
    if isinstance(given, list):
        return List(_from_json(given[0]))
    kind = given.get("_type")
    if kind is None or isinstance(kind, Mapping):  # a struct, perhaps with a member that is called _type
        return {name: _from_json(inner) for name, inner in given.items()}
    if kind == "Value":
        return Value(given["dtype"])
    if kind == "ClassLabel":
        return ClassLabel(names=given["names"])
    if kind in ("List", "LargeList", "Sequence"):
        inner = _from_json(given["feature"])
        made = Sequence if kind == "Sequence" else LargeList if kind == "LargeList" else List
        return made(inner, length=given.get("length", -1))
    raise unknown_name("feature type", str(kind), ["Value", "ClassLabel", "List", "LargeList", "Sequence"])


def _noted_features(schema: pa.Schema) -> dict[str, Any]:
    """Features written into a schema's metadata; one that is unknown here is left out with a warning."""
    if not schema.metadata or METADATA_KEY not in schema.metadata:
        return {}
    noted = json.loads(schema.metadata[METADATA_KEY]).get("info", {}).get("features") or {}
    features = {}
    for name, given in noted.items():
        try:
            features[name] = _from_json(given)
        except ValueError as error:
            notice(f"column {name!r} is read as it is stored: {error}")
    return features


def _same_storage(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two types differ at most in the width of their offsets (string and large_string, list and large_list)."""
    return bool(_narrow(one).equals(_narrow(other)))


def _narrow(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _narrow(kind.value_type)
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_narrow(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(inner.name, _narrow(inner.type)) for inner in kind])
    return kind


def _simple_types() -> Iterator[tuple[str, pa.DataType]]:
    names = "null bool int8 int16 int32 int64 uint8 uint16 uint32 uint64 float16 float32 float64 date32 date64"
    for name in f"{names} string large_string string_view binary large_binary binary_view".split():
        yield name, getattr(pa, {"bool": "bool_"}.get(name, name))()
    for unit in ("s", "ms", "us", "ns"):
        yield f"timestamp[{unit}]", pa.timestamp(unit)
        yield f"duration[{unit}]", pa.duration(unit)
    for name, unit in (("time32", "s"), ("time32", "ms"), ("time64", "us"), ("time64", "ns")):
        yield f"{name}[{unit}]", getattr(pa, name)(unit)


_TYPES = dict(_simple_types())


def _type_called(name: str) -> pa.DataType:
    """The Arrow type of that name, also `timestamp[us, tz=Asia/Seoul]` and `decimal128(10, 2)`."""
    if name in _TYPES:
        return _TYPES[name]
    head, _, rest = name.replace("]", "").replace(")", "").replace("(", "[").partition("[")
    parts = [part.strip() for part in rest.split(",") if part.strip()]
    if head == "timestamp" and len(parts) == 2 and parts[1].startswith("tz="):
        return pa.timestamp(parts[0], tz=parts[1].removeprefix("tz="))
    if head in ("decimal128", "decimal256") and len(parts) == 2:
        return getattr(pa, head)(int(parts[0]), int(parts[1]))
    raise unknown_name("dtype", name, _TYPES)
