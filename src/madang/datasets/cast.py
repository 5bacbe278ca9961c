"""Stored values of one feature as those of another."""

from typing import Any

import pyarrow as pa

from madang.datasets.features import ClassLabel, List, arrow_type
from madang.errors import InputError


def cast(values: pa.ChunkedArray, feature: Any, name: str) -> pa.ChunkedArray:
    """`values` as `feature` stores them; class names become class numbers.

    Raises InputError naming the column, both types and the value that does not fit.
    """
    try:
        return pa.chunked_array([_cast(chunk, feature) for chunk in values.chunks], arrow_type(feature))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError) as error:
        raise InputError(f"column {name!r} holds {values.type}, which cannot become {feature!r}: {error}") from error
    except InputError as error:
        raise InputError(f"column {name!r} cannot become {feature!r}: {error}") from error


def _cast(array: pa.Array, feature: Any) -> pa.Array:
    if isinstance(feature, ClassLabel):
        if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
            return _class_numbers(array, feature)
        return _checked(array.cast(pa.int64()), feature)
    if (
        isinstance(feature, List)
        and feature.length == -1
        and (pa.types.is_list(array.type) or pa.types.is_large_list(array.type))
    ):
        inner = _cast(array.flatten(), feature.feature)
        offsets = pa.array([None if empty else start for start, empty in _starts(array)], type=pa.int32())
        return pa.ListArray.from_arrays(offsets, inner).cast(arrow_type(feature))
    return array.cast(arrow_type(feature))


def _starts(array: pa.Array) -> list[tuple[int, bool]]:
    """Where each row's list starts within `array.flatten()` and whether the cell is empty; last, where all end."""
    starts, at = [], 0
    for length in array.value_lengths().to_pylist():
        starts.append((at, length is None))
        at += length or 0
    return [*starts, (at, False)]


def _class_numbers(array: pa.Array, feature: ClassLabel) -> pa.Array:
    """Each distinct name is looked up once."""
    coded = array.dictionary_encode()
    numbers = [None if name is None else feature.str2int(name) for name in coded.dictionary.to_pylist()]
    return pa.array(numbers, type=pa.int64()).take(coded.indices)


def _checked(array: pa.Array, feature: ClassLabel) -> pa.Array:
    import pyarrow.compute as pc

    least, most = pc.min_max(array).as_py().values()
    assert feature.num_classes is not None
    for number in (least, most):
        if number is not None and not -1 <= number < feature.num_classes:
            raise InputError(f"Class label {number} is outside 0 to {feature.num_classes - 1}.")
    return array
