"""How features are kept: as Arrow types, and as JSON in the metadata of a schema."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from typing import Any

import pyarrow as pa

from madang.datasets.features.arrays import ARRAYS, ArrayExtensionType, described
from madang.datasets.features.audio import Audio
from madang.datasets.features.class_label import ClassLabel
from madang.datasets.features.image import Image
from madang.datasets.features.json import Json
from madang.datasets.features.lists import LargeList, List, Sequence
from madang.datasets.features.translation import Translation, TranslationVariableLanguages
from madang.datasets.features.value import Value, name_of
from madang.errors import InputError, WrongTypeError, unknown_name
from madang.notices import notice

METADATA_KEY = b"huggingface"

# the kinds of features by the name they have in files
KINDS: dict[str, Any] = {
    kind._type: kind
    for kind in (Value, ClassLabel, List, LargeList, Translation, TranslationVariableLanguages, Image, Audio, Json)
} | dict(ARRAYS)


def register_feature(kind: type, name: str) -> None:
    """Make a kind of feature of your own known to files under `name`.

    It is a dataclass with `arrow_type()`, and as it needs them `encode_example`, `decode_example`, `cast_storage`.
    """
    KINDS[name] = kind


def normal(feature: Any) -> Any:
    """A feature in its plain spelling: `[feature]` is a List, an object of plain dicts a struct.

    Raises WrongTypeError for what is no feature.
    """
    if isinstance(feature, Mapping):
        return {name: normal(inner) for name, inner in feature.items()}
    if isinstance(feature, (list, tuple)) and len(feature) == 1:
        return List(normal(feature[0]))
    if isinstance(feature, (List, LargeList)):
        inner = normal(feature.feature)
        if inner is not feature.feature:
            feature.feature = inner
        return feature
    if isinstance(feature, type) or not (hasattr(feature, "arrow_type") or callable(feature)):
        raise WrongTypeError(
            f"{feature!r} is not a feature; use Value('int64'), ClassLabel(names=[…]), List(…), or a dict of those."
        )
    return feature


def arrow_type(feature: Any) -> pa.DataType:
    """The Arrow type in which values of `feature` are stored. A dict is a struct, `[feature]` a list."""
    if isinstance(feature, Mapping):
        return pa.struct({name: arrow_type(inner) for name, inner in feature.items()})
    if isinstance(feature, List):
        return pa.list_(arrow_type(feature.feature), feature.length)
    if isinstance(feature, LargeList):
        return pa.large_list(arrow_type(feature.feature))
    if hasattr(feature, "arrow_type") and not isinstance(feature, type):
        return feature.arrow_type()
    feature = normal(feature)
    return arrow_type(feature) if isinstance(feature, List) else feature()


def from_arrow_type(kind: pa.DataType) -> Any:
    """The feature that describes an Arrow type. Raises InputError for a type that has none, as a map."""
    if pa.types.is_dictionary(kind):
        return from_arrow_type(kind.value_type)
    if pa.types.is_struct(kind):
        return {member.name: from_arrow_field(member) for member in kind}
    if pa.types.is_fixed_size_list(kind):
        return List(from_arrow_field(kind.value_field), length=kind.list_size)
    if pa.types.is_large_list(kind):
        return LargeList(from_arrow_field(kind.value_field))
    if pa.types.is_list(kind):
        return List(from_arrow_field(kind.value_field))
    if isinstance(kind, ArrayExtensionType):
        return ARRAYS[f"Array{kind.ndims}D"](kind.shape, kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        if kind.extension_name == "arrow.json":
            return Json()
        return from_arrow_type(kind.storage_type)
    return Value(name_of(kind))


def from_arrow_field(column: pa.Field) -> Any:
    """The feature of a column or a member: its type, or what the file says beside it of an extension type."""
    metadata, kind = column.metadata or {}, column.type
    name = metadata.get(b"ARROW:extension:name", b"").decode(errors="replace")
    description = metadata.get(b"ARROW:extension:metadata", b"")
    if isinstance(kind, pa.ExtensionType) and not isinstance(kind, ArrayExtensionType):  # another package's class
        name, description = kind.extension_name, kind.__arrow_ext_serialize__()
    if name == "arrow.json":
        return Json()
    feature = described(name, description)
    if feature is not None and same_storage(arrow_type(feature), kind):
        return feature
    return from_arrow_type(kind)


def same_storage(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether two types differ at most in the width of their offsets (string and large_string, list and large_list)."""
    return bool(_narrow(one).equals(_narrow(other)))


def _narrow(kind: pa.DataType) -> pa.DataType:
    if isinstance(kind, pa.BaseExtensionType):
        return _narrow(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return _narrow(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind):
        return pa.binary()
    if pa.types.is_fixed_size_list(kind):
        return pa.list_(_narrow(kind.value_type), kind.list_size)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(_narrow(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(member.name, _narrow(member.type)) for member in kind])
    return kind


def to_json(feature: Any) -> Any:
    """Plain dicts and lists that describe a feature; what has its default value is left out."""
    if isinstance(feature, Mapping):
        return {name: to_json(inner) for name, inner in feature.items()}
    if isinstance(feature, (list, tuple)):
        return [to_json(inner) for inner in feature]
    given: dict[str, Any] = {}
    for part in fields(feature):
        value = getattr(feature, part.name)
        if (
            not part.init
            or (part.default is not MISSING and value == part.default)
            or (part.name == "id" and not value)
        ):
            continue
        given[part.name] = to_json(value) if part.name == "feature" else _plain(value)
    return {**given, "_type": feature._type}


def from_json(given: Any) -> Any:
    """The feature that `to_json`, or any version of the datasets package, described."""
    if isinstance(given, (list, tuple)) and len(given) == 1:
        return List(from_json(given[0]))
    if not isinstance(given, Mapping):
        raise InputError(f"a feature is described by a dict with '_type', not by {given!r}.")
    name = given.get("_type")
    if name is None or isinstance(name, Mapping):  # a struct, perhaps with a member that is called _type
        return {member: from_json(inner) for member, inner in given.items()}
    if name != "Sequence" and name not in KINDS:
        raise unknown_name("feature type", str(name), [*KINDS, "Sequence"])
    kind = KINDS.get(name, List)
    options = {part.name: given[part.name] for part in fields(kind) if part.init and part.name in given}
    if kind is ClassLabel and "names" not in options:
        options["num_classes"] = given.get("num_classes")
    if "feature" in options:
        options["feature"] = from_json(options["feature"])
        return (Sequence if name == "Sequence" else kind)(**options)
    try:
        return kind(**options)
    except TypeError as error:
        raise InputError(f"{dict(given)} does not describe a {name}: {error}") from error


def leaves(feature: Any) -> Iterator[Any]:
    """Every feature inside that is no list and no struct."""
    if isinstance(feature, Mapping):
        for inner in feature.values():
            yield from leaves(inner)
    elif isinstance(feature, (List, LargeList)):
        yield from leaves(feature.feature)
    else:
        yield feature


def noted_features(schema: pa.Schema) -> dict[str, Any]:
    """Features written into a schema's metadata; one that is unknown here is left out with a warning."""
    if not schema.metadata or METADATA_KEY not in schema.metadata:
        return {}
    try:
        note = json.loads(schema.metadata[METADATA_KEY])
        noted = dict(note["info"]["features"] or {})
    except (ValueError, KeyError, TypeError):
        return {}  # the key is there for another purpose: the types of the columns say enough
    features = {}
    for name, given in noted.items():
        try:
            features[name] = from_json(given)
        except ValueError as error:
            notice(f"column {name!r} is read as it is stored: {error}")
    return features


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
