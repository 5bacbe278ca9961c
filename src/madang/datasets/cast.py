"""Stored values of one feature as those of another."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pyarrow as pa

from madang.datasets.features import ClassLabel, LargeList, List, Translation, TranslationVariableLanguages, arrow_type
from madang.datasets.features.kinds import is_list, is_text
from madang.datasets.features.nesting import changed_list, changed_struct
from madang.datasets.features.storage import leaves
from madang.errors import MadangError, WrongTypeError

_MOST_BYTES = 2**31 - 1  # what the 32-bit offsets of one chunk of texts or lists can address


def cast(values: pa.ChunkedArray, feature: Any, name: str, old: Any = None) -> pa.ChunkedArray:
    """`values` as `feature` stores them.

    Empty columns become anything; names of classes become numbers; lists change their width, structs the order of
    their members (missing ones are empty); paths and bytes become images and sounds. `old` is the feature the values
    have: numbers of its classes become names where `feature` is text.

    Raises WrongTypeError (a ValueError and a TypeError) naming the column, both types and the value that does not fit.
    """
    kind = arrow_type(feature)
    try:
        chunks = [_cast(piece, feature, old) for chunk in values.chunks for piece in _pieces(chunk, kind)]
    except (pa.ArrowException, MadangError, OverflowError) as error:
        raise WrongTypeError(
            f"column {name!r} holds {values.type}, which cannot become {feature!r}: {error}"
        ) from error
    return pa.chunked_array(chunks, kind)


def marked(values: Any, feature: Any) -> Any:
    """A column (pa.Array or pa.ChunkedArray) as it was read from a file, marked as arrays where `feature` says so.

    Files remember arrays in the schema only, and Arrow reads them as plain lists; nothing is copied or checked here.
    """
    kind = arrow_type(feature)
    if values.type.equals(kind) or not any(hasattr(leaf, "shape") for leaf in leaves(feature)):
        return values
    return values.cast(kind)


def _pieces(array: pa.Array, kind: pa.DataType) -> Iterator[pa.Array]:
    """The array in parts that fit narrow offsets, where it changes its type."""
    if array.type.equals(kind) or array.nbytes <= _MOST_BYTES or len(array) < 2:
        yield array
        return
    half = len(array) // 2
    yield from _pieces(array.slice(0, half), kind)
    yield from _pieces(array.slice(half), kind)


def _cast(array: pa.Array, feature: Any, old: Any) -> pa.Array:
    kind = arrow_type(feature)
    if array.type.equals(kind) and not _checks(feature) and not isinstance(old, ClassLabel):
        return array
    if pa.types.is_null(array.type):
        return pa.nulls(len(array), kind)
    if isinstance(array.type, pa.DictionaryType):
        array = array.dictionary_decode()
    if hasattr(feature, "cast_storage"):
        return feature.cast_storage(array)
    if isinstance(array.type, pa.BaseExtensionType):
        array = array.storage
    if isinstance(feature, (Translation, TranslationVariableLanguages)):
        feature = feature.flatten()
    if isinstance(feature, Mapping):
        return _as_struct(array, feature, old)
    if isinstance(feature, list) and len(feature) == 1:
        feature = List(feature[0])
    if isinstance(feature, (List, LargeList)):
        if not is_list(array.type):
            raise WrongTypeError(f"{array.type} is no list.")
        inner = getattr(old, "feature", None)
        return changed_list(array, kind, lambda values: _cast(values, feature.feature, inner))
    if isinstance(old, ClassLabel) and is_text(kind):
        return _class_names(array, old).cast(kind)
    if pa.types.is_nested(array.type):
        raise WrongTypeError(f"{array.type} is no single value.")
    return array.cast(kind)


def _as_struct(array: pa.Array, feature: Mapping[str, Any], old: Any) -> pa.Array:
    if not pa.types.is_struct(array.type):
        raise WrongTypeError(f"{array.type} is no struct.")
    unknown = sorted({member.name for member in array.type} - set(feature))
    if unknown:
        raise WrongTypeError(f"its members {unknown} have no place among {sorted(feature)}.")
    olds = old if isinstance(old, Mapping) else {}
    changes = {name: _member(len(array), inner, olds.get(name)) for name, inner in feature.items()}
    return changed_struct(array, changes)


def _member(count: int, feature: Any, old: Any) -> Callable[[pa.Array | None], pa.Array]:
    return lambda values: pa.nulls(count, arrow_type(feature)) if values is None else _cast(values, feature, old)


def _checks(feature: Any) -> bool:
    """Whether values of the right Arrow type may still be none of the feature: numbers of classes, shapes."""
    return any(isinstance(leaf, ClassLabel) or hasattr(leaf, "shape") for leaf in leaves(feature))


def _class_names(array: pa.Array, feature: ClassLabel) -> pa.Array:
    """Each row's class by its name; -1 is "no label", which is an empty cell."""
    numbers = feature.cast_storage(array)
    places = pa.array([None if number is None or number < 0 else number for number in numbers.to_pylist()], pa.int64())
    return pa.array(feature.names, pa.string()).take(places)
