"""Values on their way into Arrow and out of it: Python objects, numpy arrays, tensors."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from madang.errors import InputError, WrongTypeError

# what tokenizers return is narrow by nature; eight bytes per 0 or 1 would fill memory and disk
NARROW = {
    "input_ids": pa.int32(),
    "attention_mask": pa.int8(),
    "token_type_ids": pa.int8(),
    "special_tokens_mask": pa.int8(),
}


def to_arrow(values: Any, name: str = "") -> pa.Array:
    """One Arrow array from a list, numpy array, tensor, Arrow array or pandas Series; types are inferred.

    `name` is the column's: token ids and masks are stored narrow.
    """
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.dtype != object:
        return _from_numpy(values, NARROW.get(name))
    values = [_plain(value) for value in values]
    narrow = NARROW.get(name)
    for kind in (narrow, pa.list_(narrow)) if narrow is not None else ():
        try:
            return pa.array(values, type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            continue
    return _inferred(values, name)


def _inferred(values: list[Any], name: str) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError) as error:
        kinds = sorted({type(value).__name__ for value in values if value is not None})
        if set(kinds) == {"int", "float"}:  # Arrow refuses 1 beside 2.5 only when the number is too long for a float
            return pa.array([None if value is None else float(value) for value in values])
        raise InputError(
            f"column {name!r} mixes values that have no common type ({', '.join(kinds)}): {error}"
        ) from error


def _plain(value: Any) -> Any:
    """Tensors and arrays inside a list as what Arrow understands: numpy in one dimension, lists in more."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if isinstance(value, np.ndarray):
        return value if value.ndim == 1 and value.dtype != object else value.tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)) and value and (hasattr(value[0], "detach") or isinstance(value[0], np.ndarray)):
        return [_plain(inner) for inner in value]
    return value


def _from_numpy(values: np.ndarray[Any, Any], narrow: pa.DataType | None) -> pa.Array:
    """Of any number of dimensions: the first is the rows, each further one a list."""
    if values.dtype.kind in "US":
        return pa.array(values.tolist())
    if values.ndim == 0:
        raise WrongTypeError("a column needs one value per row, not a single number.")
    array = pa.array(np.ascontiguousarray(values).reshape(-1))
    if narrow is not None and values.dtype.kind in "iu":
        array = array.cast(narrow)
    for axis in range(values.ndim - 1, 0, -1):
        count = int(np.prod(values.shape[:axis]))
        offsets = pa.array(np.arange(count + 1, dtype=np.int32) * values.shape[axis])
        array = pa.ListArray.from_arrays(offsets, array)
    return array


def is_column(values: Any) -> bool:
    """Whether a batched function may return this for a column: one value per row."""
    if isinstance(values, (str, bytes, dict)):
        return False
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return True
    return isinstance(values, Sequence) or (
        hasattr(values, "__len__") and hasattr(values, "__getitem__") and bool(np.ndim(values))
    )


def join(parts: Sequence[pa.Array], name: str) -> pa.ChunkedArray:
    """Arrays made one after the other as one column; types widen: null < anything, int < float, also inside lists."""
    kinds = {part.type for part in parts}
    if len(kinds) == 1:
        return pa.chunked_array(parts)
    try:
        tables = [pa.table({name: part}) for part in parts]
        return pa.concat_tables(tables, promote_options="permissive").column(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        told = ", ".join(sorted(str(kind) for kind in kinds))
        raise InputError(f"column {name!r} got values of types that do not go together: {told}.") from error


def to_python(array: pa.Array) -> list[Any]:
    """Python values, the same as `array.to_pylist()`; numbers and lists of numbers several times faster."""
    if array.null_count == 0:
        if pa.types.is_integer(array.type) or pa.types.is_float64(array.type) or pa.types.is_float32(array.type):
            numbers: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
            return numbers
        if _is_list(array.type) and array.type.value_type not in (pa.null(),) and len(array) and _is_flat(array):
            values, ends = to_python(array.flatten()), _ends(array)
            return [values[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    result: list[Any] = array.to_pylist()
    return result


def lengths(array: pa.Array) -> np.ndarray[Any, Any]:
    """How long each row's list or text is, without making Python objects; an empty cell counts 0."""
    import pyarrow.compute as pc

    if pa.types.is_string(array.type) or pa.types.is_large_string(array.type):
        counted = pc.utf8_length(array)
    elif _is_list(array.type) or pa.types.is_fixed_size_list(array.type):
        counted = pc.list_value_length(array)
    else:
        raise InputError(f"values of type {array.type} have no length.")
    return np.asarray(pc.fill_null(counted, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def to_numpy(array: pa.Array, name: str, dtype: Any = None) -> Any:
    """A numpy array: integers as int64, floats as float32 unless `dtype` says otherwise.

    Lists of equal length become one array with a further axis; ragged ones an object array of arrays.
    """
    kind = array.type
    if pa.types.is_dictionary(kind):
        return to_numpy(array.dictionary_decode(), name, dtype)
    if _is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _stack(array, name, lambda flat: to_numpy(flat, name, dtype), _object_array)
    if _is_number(kind):
        if array.null_count and not pa.types.is_floating(kind):
            raise _empty_cells(array, name, "numpy")
        numbers = array.to_numpy(zero_copy_only=False)
        return numbers.astype(dtype or _wide(kind), copy=True)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        texts = array.to_pylist()
        return np.array(texts) if array.null_count == 0 else _object_array(texts)
    if pa.types.is_struct(kind):
        return _object_array(array.to_pylist())
    return array.to_numpy(zero_copy_only=False)


def to_torch(array: pa.Array, name: str, dtype: Any = None) -> Any:
    """A tensor: integers as int64, floats as float32 unless `dtype` (a torch dtype) says otherwise.

    Lists of equal length become one tensor with a further axis, ragged ones a list of tensors; texts stay texts.
    """
    import torch

    kind = array.type
    if pa.types.is_dictionary(kind):
        return to_torch(array.dictionary_decode(), name, dtype)
    if _is_list(kind) or pa.types.is_fixed_size_list(kind):
        return _stack(array, name, lambda flat: to_torch(flat, name, dtype), list)
    if _is_number(kind):
        if array.null_count and not pa.types.is_floating(kind):
            raise _empty_cells(array, name, "torch")
        tensor = torch.from_numpy(array.to_numpy(zero_copy_only=False).astype(_wide(kind), copy=True))
        return tensor if dtype is None else tensor.to(dtype)
    return to_python(array)


def _stack(array: pa.Array, name: str, convert: Callable[[pa.Array], Any], ragged: Callable[[list[Any]], Any]) -> Any:
    """Lists as one array with a further axis where all have the same length, else what `ragged` makes of them."""
    if array.null_count:
        raise _empty_cells(array, name, "tensor")
    flat, ends = convert(array.flatten()), _ends(array)
    if isinstance(flat, list) or (isinstance(flat, np.ndarray) and flat.dtype == object):
        ends = list(ends)  # lists of texts or of ragged lists: row by row
    elif ends and ends[0] and ends == list(range(ends[0], ends[0] * len(ends) + 1, ends[0])):
        return flat.reshape(len(ends), ends[0], *flat.shape[1:])
    return ragged([flat[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)])


def _ends(array: pa.Array) -> list[int]:
    """Where each row's list ends within `array.flatten()`; the first starts at 0."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        return list(range(size, size * len(array) + 1, size))
    offsets = array.offsets.to_numpy()
    ends: list[int] = (offsets[1:] - offsets[0]).tolist()
    return ends


def _is_flat(array: pa.Array) -> bool:
    inner = array.type.value_type
    return bool(pa.types.is_integer(inner) or pa.types.is_floating(inner)) and array.flatten().null_count == 0


def _is_list(kind: pa.DataType) -> bool:
    return bool(pa.types.is_list(kind) or pa.types.is_large_list(kind))


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def _wide(kind: pa.DataType) -> Any:
    if pa.types.is_boolean(kind):
        return np.bool_
    return np.float32 if pa.types.is_floating(kind) else np.int64


def _object_array(values: Iterable[Any]) -> np.ndarray[Any, Any]:
    """One object per row, also when all are arrays of one length (which numpy would stack)."""
    values = list(values)
    array = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        array[place] = value
    return array


def _empty_cells(array: pa.Array, name: str, kind: str) -> InputError:
    return InputError(
        f"column {name!r} has {array.null_count} empty cells (None) among these rows, and a {kind} array of "
        f"{array.type} has none. Fill or filter them first: `filter(lambda row: row[{name!r}] is not None)`."
    )
