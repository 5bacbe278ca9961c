"""Values on their way into Arrow and out of it: Python objects, numpy arrays, tensors."""

import struct
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.features import Json, arrow_type, encoder, inferred
from madang.datasets.features.kinds import is_list, is_number, is_text
from madang.errors import InputError, WrongTypeError

# what tokenizers return is narrow by nature; eight bytes per 0 or 1 would fill memory and disk
NARROW = {
    "input_ids": pa.int32(),
    "attention_mask": pa.int8(),
    "token_type_ids": pa.int8(),
    "special_tokens_mask": pa.int8(),
}


# the numpy type in which numbers of an Arrow type come out: models want int64 and float32
_WIDE: dict[int, Any] = {
    pa.bool_().id: np.bool_,
    **dict.fromkeys((pa.float16().id, pa.float32().id, pa.float64().id), np.float32),
    **{getattr(pa, f"{sign}int{bits}")().id: np.int64 for sign in ("", "u") for bits in (8, 16, 32, 64)},
}


def to_arrow(values: Any, name: str = "", feature: Any = None) -> pa.Array:
    """One Arrow array from a list, numpy array, tensor, Arrow array or pandas Series.

    It is stored as `feature` says; without one, types are inferred. `name` is the column's: token ids and masks are
    stored narrow.
    """
    if feature is not None:
        return _as_feature(values, name, feature)
    if isinstance(values, pa.ChunkedArray):
        return values.combine_chunks() if values.num_chunks != 1 else values.chunk(0)
    if isinstance(values, pa.Array):
        return values
    if hasattr(values, "detach"):
        values = values.detach().cpu().numpy()
    if isinstance(values, np.ndarray) and values.dtype != object:
        return _from_numpy(values, NARROW.get(name))
    if hasattr(values, "to_arrow"):  # polars
        return to_arrow(values.to_arrow(), name)
    narrow = NARROW.get(name)
    if narrow is not None and (packed := _packed(values, narrow)) is not None:
        return packed
    values = [_plain(value) for value in values]
    for kind in (pa.list_(narrow), narrow) if narrow is not None else ():
        try:
            return pa.array(values, type=kind)
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            continue
    return _inferred(values, name)


def _packed(values: Any, kind: pa.DataType) -> pa.Array | None:
    """Lists of whole numbers, packed by the struct module in half the time that Arrow takes; None for anything else."""
    if not isinstance(values, list) or not values or not all(type(row) is list for row in values):
        return None
    lengths = list(map(len, values))
    try:
        if kind == pa.int8():
            data = b"".join(map(bytes, values))
            if data and np.frombuffer(data, dtype=np.uint8).max() > 127:
                return None
        else:
            data = b"".join([_row_format(length).pack(*row) for length, row in zip(lengths, values, strict=True)])
    except (struct.error, TypeError, ValueError):
        return None
    flat = pa.Array.from_buffers(kind, sum(lengths), [None, pa.py_buffer(data)])
    offsets = np.zeros(len(values) + 1, dtype=np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


@lru_cache(maxsize=4096)
def _row_format(length: int) -> struct.Struct:
    return struct.Struct(f"={length}i")


def feature_of(values: Any) -> Any:
    """The feature of values that Arrow itself knows nothing of (images, say), else None."""
    if isinstance(values, (pa.Array, pa.ChunkedArray, np.ndarray)) or hasattr(values, "detach"):
        return None
    first = next((value for value in values if value is not None), None)
    return None if first is None or isinstance(first, (str, int, float, bytes)) else inferred(first)


def _as_feature(values: Any, name: str, feature: Any) -> pa.Array:
    kind, encode = arrow_type(feature), encoder(feature)
    if isinstance(values, (pa.Array, pa.ChunkedArray)):
        return to_arrow(cast(pa.chunked_array([to_arrow(values)]), feature, name))
    plain = values.tolist() if isinstance(values, np.ndarray) and encode is None else values
    if encode is not None:
        plain = [None if value is None else encode(value) for value in values]
    storage = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    try:
        array = pa.array([_plain(value) for value in plain], type=storage)
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError, OverflowError, TypeError):
        array = to_arrow(cast(pa.chunked_array([_inferred([_plain(value) for value in plain], name)]), feature, name))
    if storage is not kind and not isinstance(array.type, pa.BaseExtensionType):
        array = pa.ExtensionArray.from_storage(kind, array)
    return array


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
    if isinstance(value, Mapping) and not isinstance(value, dict):
        return dict(value)
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
    if len(kinds) > 1 and Json.pa_type in kinds and isinstance(Json.pa_type, pa.BaseExtensionType):
        return pa.chunked_array([Json().cast_storage(part) for part in parts], Json.pa_type)
    try:
        tables = [pa.table({name: part}) for part in parts]
        return pa.concat_tables(tables, promote_options="permissive").column(0)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        told = ", ".join(sorted(str(kind) for kind in kinds))
        raise InputError(f"column {name!r} got values of types that do not go together: {told}.") from error


def joined_type(one: pa.DataType, other: pa.DataType, name: str) -> pa.DataType:
    """What `join` makes of columns of these types; raises InputError where it can do nothing."""
    return join([pa.array([], one), pa.array([], other)], name).type


def to_python(array: pa.Array) -> list[Any]:
    """Python values, the same as `array.to_pylist()`; numbers and lists of numbers several times faster."""
    if array.null_count == 0:
        if pa.types.is_integer(array.type) or pa.types.is_float64(array.type) or pa.types.is_float32(array.type):
            numbers: list[Any] = array.to_numpy(zero_copy_only=False).tolist()
            return numbers
        if is_list(array.type) and array.type.value_type not in (pa.null(),) and len(array) and _is_flat(array):
            values, ends = to_python(array.flatten()), _ends(array).tolist()
            return [values[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]
    result: list[Any] = array.to_pylist()
    return result


def cells(array: pa.Array) -> Callable[[int], Any]:
    """A function that gives the Python value of one row; texts and numbers straight from the bytes Arrow keeps."""
    kind = array.type
    if array.null_count == 0 and is_number(kind) and not pa.types.is_float16(kind):
        numbers: Any = array.to_numpy()
        return memoryview(numbers).__getitem__
    if array.null_count == 0 and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        width = np.int32 if pa.types.is_string(kind) else np.int64
        _, places, data = array.buffers()
        offsets: Any = np.frombuffer(places, dtype=width)[array.offset : array.offset + len(array) + 1]
        ends = memoryview(offsets)
        content = memoryview(data) if data is not None else memoryview(b"")
        return lambda row: str(content[ends[row] : ends[row + 1]], "utf-8")
    return lambda row: array[row].as_py()


def as_matrix(array: pa.Array) -> np.ndarray[Any, Any] | None:
    """Numbers as (rows,), lists of equally many numbers as (rows, length), over the memory Arrow has; else None."""
    kind = array.type
    if array.null_count or not len(array):
        return None
    if is_number(kind) and not pa.types.is_float16(kind):
        numbers: np.ndarray[Any, Any] = array.to_numpy()
        return numbers
    if not is_list(kind):
        return None
    ends = _ends(array)
    flat = as_matrix(array.flatten())
    if flat is None or flat.ndim != 1 or not ends[0] or (np.diff(ends) != ends[0]).any():
        return None
    return flat.reshape(len(array), int(ends[0]))


def from_matrix(matrix: np.ndarray[Any, Any], kind: pa.DataType) -> pa.Array:
    """The Arrow array, of type `kind`, that `as_matrix` would show as `matrix`."""
    flat = pa.array(matrix.reshape(-1))
    if matrix.ndim == 1:
        return flat
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(flat, type=kind)
    wide = pa.types.is_large_list(kind)
    offsets = pa.array(np.arange(0, matrix.size + 1, matrix.shape[1], dtype=np.int64 if wide else np.int32))
    return (pa.LargeListArray if wide else pa.ListArray).from_arrays(offsets, flat, type=kind)


def lengths(array: pa.Array) -> np.ndarray[Any, Any]:
    """How long each row's list or text is, without making Python objects; an empty cell counts 0."""
    import pyarrow.compute as pc

    if is_text(array.type):
        counted = pc.utf8_length(array.cast(pa.large_string()))  # of views it counts none
    elif is_list(array.type):
        counted = pc.list_value_length(array)
    else:
        raise InputError(f"values of type {array.type} have no length.")
    return np.asarray(pc.fill_null(counted, 0).to_numpy(zero_copy_only=False), dtype=np.int64)


def to_numpy(values: pa.Array | list[Any], name: str, dtype: Any = None) -> Any:
    """A numpy array: integers as int64, floats as float32 unless `dtype` says otherwise.

    Lists of equal length become one array with a further axis; ragged ones an object array of arrays. A list of Python
    values (decoded images, say) is stacked where all have the same shape.
    """
    if isinstance(values, list):
        return _stacked_or([_as_numpy(value, dtype) for value in values], np.stack, _object_array)
    array = _storage(values)
    kind = array.type
    if is_list(kind):
        return _stack(array, name, lambda flat: to_numpy(flat, name, dtype), _object_array)
    if kind.id in _WIDE:
        return _numbers(array, name, "numpy").astype(dtype or _WIDE[kind.id], copy=True)
    if is_text(kind):
        texts = array.to_pylist()
        return np.array(texts) if array.null_count == 0 else _object_array(texts)
    if pa.types.is_struct(kind):
        return _object_array([_as_numpy(value, dtype) for value in array.to_pylist()])
    return array.to_numpy(zero_copy_only=False)


def to_torch(values: pa.Array | list[Any], name: str, dtype: Any = None, device: Any = None) -> Any:
    """A tensor: integers as int64, floats as float32 unless `dtype` (a torch dtype) says otherwise, on `device`.

    Lists of equal length become one tensor with a further axis, ragged ones a list of tensors; texts stay texts.
    Images come as (channels, height, width).
    """
    import torch

    if isinstance(values, list):
        return _stacked_or([_as_torch(value, dtype, device) for value in values], torch.stack, list)
    wide = _WIDE.get(values.type.id)
    if wide is not None:
        tensor = torch.from_numpy(_numbers(values, name, "torch").astype(wide, copy=True))
        return tensor if dtype is None and device is None else tensor.to(dtype=dtype, device=device)
    array = _storage(values)
    kind = array.type
    if array is not values and kind.id in _WIDE:
        return to_torch(array, name, dtype, device)
    if is_list(kind):
        return _stack(array, name, lambda flat: to_torch(flat, name, dtype, device), list)
    if pa.types.is_struct(kind):
        return [_as_torch(value, dtype, device) for value in array.to_pylist()]
    return to_python(array)


def to_jax(values: pa.Array | list[Any], name: str, dtype: Any = None, device: Any = None) -> Any:
    """A jax array, or a list of them for ragged lists; integers as int32 and floats as float32, as jax has it."""
    import jax

    found = to_numpy(values, name, dtype)
    if not isinstance(found, np.ndarray) or found.dtype.kind in "US":
        return list(found)
    if found.dtype == object:
        return [jax.device_put(value, device) if isinstance(value, np.ndarray) else value for value in found]
    return jax.device_put(found, device)


def to_polars(values: pa.Array | pa.Table, name: str = "") -> Any:
    """A polars Series of an array, or a DataFrame of a table."""
    import polars

    if isinstance(values, pa.Table):
        plain = {column: _storage(values[column]) for column in values.column_names}
        return polars.from_arrow(pa.table(plain))
    return polars.Series(name, polars.from_arrow(_storage(values)))


def _storage(array: Any) -> Any:
    """What an extension array stores, and categories as their values."""
    if isinstance(array.type, pa.BaseExtensionType):
        if isinstance(array, pa.ChunkedArray):
            return pa.chunked_array([chunk.storage for chunk in array.chunks], array.type.storage_type)
        return array.storage
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _numbers(array: pa.Array, name: str, kind: str) -> np.ndarray[Any, Any]:
    if array.null_count and not pa.types.is_floating(array.type):
        raise _empty_cells(array, name, kind)
    numbers: np.ndarray[Any, Any] = array.to_numpy(zero_copy_only=False)
    return numbers


def _as_numpy(value: Any, dtype: Any) -> Any:
    """One Python value: numbers, lists of them and images as arrays, members of a dict each; texts stay texts."""
    if isinstance(value, dict):
        return {name: _as_numpy(inner, dtype) for name, inner in value.items()}
    if value is None or isinstance(value, (str, bytes)):
        return value
    if isinstance(value, (list, tuple)):
        return _stacked_or([_as_numpy(inner, dtype) for inner in value], np.stack, _object_array)
    array = np.asarray(value)
    if array.dtype.kind in "iuf" and array.dtype != np.uint8:
        return array.astype(dtype or (np.int64 if array.dtype.kind in "iu" else np.float32))
    return array if dtype is None or array.dtype.kind not in "iufb" else array.astype(dtype)


def _as_torch(value: Any, dtype: Any, device: Any) -> Any:
    import torch

    if isinstance(value, dict):
        return {name: _as_torch(inner, dtype, device) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return _stacked_or([_as_torch(inner, dtype, device) for inner in value], torch.stack, list)
    is_image = hasattr(value, "getbands")  # a PIL image, whose channels come last
    array = _as_numpy(value, None)
    if not isinstance(array, np.ndarray) or array.dtype.kind not in "iufb":
        return array
    if is_image:
        array = array[:, :, None] if array.ndim == 2 else array
        array = np.ascontiguousarray(array.transpose(2, 0, 1))
    return torch.tensor(array, dtype=dtype, device=device)


def _stacked_or(values: list[Any], stack: Callable[[list[Any]], Any], ragged: Callable[[list[Any]], Any]) -> Any:
    """Arrays of one shape and type as one with a further axis, else what `ragged` makes of the list."""
    first: Any = values[0] if values else None
    if not hasattr(first, "shape") or not hasattr(first, "dtype"):
        return ragged(values)
    same = all(getattr(value, "shape", None) == first.shape and value.dtype == first.dtype for value in values)
    return stack(values) if same else ragged(values)


def _stack(array: pa.Array, name: str, convert: Callable[[pa.Array], Any], ragged: Callable[[list[Any]], Any]) -> Any:
    """Lists as one array with a further axis where all have the same length, else what `ragged` makes of them."""
    if array.null_count:
        raise _empty_cells(array, name, "tensor")
    if pa.types.is_null(array.type.value_type):  # rows of empty lists
        array = array.cast(pa.list_(pa.float32()))
    inner, ends = _flat(array)
    flat = convert(inner)
    stackable = not isinstance(flat, list) and not (isinstance(flat, np.ndarray) and flat.dtype == object)
    if stackable and len(ends) and ends[0] and (ends[1:] - ends[:-1] == ends[0]).all():
        return flat.reshape(len(ends), int(ends[0]), *flat.shape[1:])
    stops = ends.tolist()
    return ragged([flat[start:stop] for start, stop in zip([0, *stops[:-1]], stops, strict=True)])


def _flat(array: pa.Array) -> tuple[pa.Array, np.ndarray[Any, Any]]:
    """The values of lists without empty cells, one list after the other, and where each ends; nothing is copied."""
    if pa.types.is_fixed_size_list(array.type):
        return array.flatten(), _ends(array)
    offsets = array.offsets.to_numpy()
    first = int(offsets[0])
    return array.values.slice(first, int(offsets[-1]) - first), offsets[1:] - first


def _ends(array: pa.Array) -> np.ndarray[Any, Any]:
    """Where each row's list ends within `array.flatten()`; the first starts at 0."""
    if pa.types.is_fixed_size_list(array.type):
        size = array.type.list_size
        places: np.ndarray[Any, Any] = np.arange(1, len(array) + 1) * size
        return places
    offsets = array.offsets.to_numpy()
    ends: np.ndarray[Any, Any] = offsets[1:] - offsets[0]
    return ends


def _is_flat(array: pa.Array) -> bool:
    inner = array.type.value_type
    return is_number(inner) and array.flatten().null_count == 0


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
