"""Arrays of a fixed number of axes per row: nested lists that Arrow knows to be arrays.

Files written by the datasets package mark such columns with an extension type of theirs. The same name and the same
description are written here, but no type is registered with Arrow: two packages in one process could not both do so.
So what is read back from a file are plain nested lists, and the description lies in the schema.
"""

import json
import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from madang.datasets.features.kinds import is_list
from madang.datasets.features.value import type_called
from madang.errors import InputError, WrongTypeError

_PREFIX = "datasets.features.features."


class ArrayExtensionArray(pa.ExtensionArray):  # type: ignore[misc]
    """A column of arrays."""

    def to_numpy(self, zero_copy_only: bool = False, writable: bool = False) -> Any:
        """(rows, *shape) where all rows have the same shape, else an object array of arrays.

        An empty cell is NaN, and makes whole numbers fractions.
        """
        return numpy_rows(self.storage, self.type.shape)


class ArrayExtensionType(pa.ExtensionType):  # type: ignore[misc]
    """The Arrow type of a column of arrays of `shape` (whose first size may be None: any) and of type `dtype`."""

    ndims: ClassVar[int]

    def __init__(self, shape: tuple[int | None, ...], dtype: str) -> None:
        self.shape, self.value_type = checked_shape(shape, self.ndims), dtype
        storage = type_called(dtype)
        for _ in self.shape:
            storage = pa.list_(storage)
        super().__init__(storage, f"{_PREFIX}{type(self).__name__}")

    def __arrow_ext_serialize__(self) -> bytes:
        return json.dumps([self.shape, self.value_type]).encode()

    @classmethod
    def __arrow_ext_deserialize__(cls, storage_type: pa.DataType, serialized: bytes) -> "ArrayExtensionType":
        shape, dtype = json.loads(serialized)
        return cls(tuple(shape), dtype)

    def __arrow_ext_class__(self) -> type:
        return ArrayExtensionArray

    def to_pandas_dtype(self) -> Any:
        """The pandas type of such a column."""
        from madang.datasets.features.pandas_arrays import PandasArrayDtype

        return PandasArrayDtype(self.value_type)

    def __hash__(self) -> int:
        return hash((type(self), self.shape, self.value_type))


class Array2DExtensionType(ArrayExtensionType):
    """The Arrow type of Array2D."""

    ndims = 2


class Array3DExtensionType(ArrayExtensionType):
    """The Arrow type of Array3D."""

    ndims = 3


class Array4DExtensionType(ArrayExtensionType):
    """The Arrow type of Array4D."""

    ndims = 4


class Array5DExtensionType(ArrayExtensionType):
    """The Arrow type of Array5D."""

    ndims = 5


@dataclass
class _Array:
    shape: tuple[int | None, ...]
    dtype: str
    id: str | None = None
    pa_type: ClassVar[Any] = None
    _type: ClassVar[str]
    _kind: ClassVar[type[ArrayExtensionType]]

    def __post_init__(self) -> None:
        self.shape = checked_shape(self.shape, self._kind.ndims)
        type_called(self.dtype)

    def __repr__(self) -> str:
        return f"{self._type}(shape={self.shape}, dtype={self.dtype!r})"

    def __call__(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self._kind(self.shape, self.dtype)

    def arrow_type(self) -> pa.DataType:
        """The Arrow type values are stored in."""
        return self._kind(self.shape, self.dtype)

    def encode_example(self, value: Any) -> list[Any]:
        """An array, tensor or nested list of the shape as nested lists whose last level are numpy arrays."""
        return _rows(self._array(value))

    def _array(self, value: Any) -> np.ndarray[Any, Any]:
        array = np.asarray(value.detach().cpu() if hasattr(value, "detach") else value)
        fits = array.ndim == len(self.shape) and all(
            size in (None, found) for size, found in zip(self.shape, array.shape, strict=True)
        )
        if not fits and array.size:
            raise InputError(f"expected an array of shape {self.shape}, found one of shape {array.shape}.")
        return array

    def encode_column(self, values: Any) -> pa.Array:
        """The Arrow array of arrays, tensors, nested lists or None, one per row, from their buffers."""
        arrays = [None if value is None else self._array(value) for value in values]
        there = [array for array in arrays if array is not None]
        firsts = np.array([0 if array is None else len(array) for array in arrays], dtype=np.int64)
        kind = type_called(self.dtype)
        flat = np.concatenate([array.reshape(-1) for array in there]) if there else np.empty(0)
        stored = pa.array(flat).cast(kind) if flat.size else pa.array([], kind)
        inner = [size or 0 for size in self.shape[1:]]
        for axis in range(len(self.shape) - 1, 0, -1):
            count = int(firsts.sum()) * math.prod(inner[: axis - 1])
            stored = pa.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * inner[axis - 1], stored)
        offsets = np.concatenate([[0], firsts.cumsum()]).astype(np.int32)
        empty = pa.array([array is None for array in arrays], pa.bool_())
        listed = pa.ListArray.from_arrays(offsets, stored, mask=empty if len(there) < len(arrays) else None)
        return self.arrow_type().wrap_array(listed)

    def cast_storage(self, array: pa.Array) -> pa.Array:
        """Nested lists of the shape, of any width and type of number, as the array that is stored."""
        kind = self.arrow_type()
        if isinstance(array, pa.ExtensionArray):
            array = array.storage
        level = array
        for size in self.shape:
            if not is_list(level.type):
                raise WrongTypeError(f"{array.type} is no list of {len(self.shape)} levels.")
            found = pc.unique(pc.list_value_length(level).drop_null()).to_pylist()
            if size is not None and (wrong := [length for length in found if length != size]):
                raise InputError(f"expected arrays of shape {self.shape}, found a length of {wrong[0]} for {size}.")
            level = level.flatten()
        return kind.wrap_array(array if array.type.equals(kind.storage_type) else array.cast(kind.storage_type))


@dataclass(repr=False)
class Array2D(_Array):
    """An array of two axes per row.

    >>> Array2D(shape=(2, 3), dtype="float32")
    Array2D(shape=(2, 3), dtype='float32')
    """

    _type = "Array2D"
    _kind = Array2DExtensionType


@dataclass(repr=False)
class Array3D(_Array):
    """An array of three axes per row; `shape=(None, 3, 3)` when rows differ in the first."""

    _type = "Array3D"
    _kind = Array3DExtensionType


@dataclass(repr=False)
class Array4D(_Array):
    """An array of four axes per row."""

    _type = "Array4D"
    _kind = Array4DExtensionType


@dataclass(repr=False)
class Array5D(_Array):
    """An array of five axes per row."""

    _type = "Array5D"
    _kind = Array5DExtensionType


ARRAYS: dict[str, type[_Array]] = {kind._type: kind for kind in (Array2D, Array3D, Array4D, Array5D)}


def described(name: str, description: bytes) -> Any:
    """The feature that an extension type's name and description in a file stand for; None when it is none of ours."""
    kind = ARRAYS.get(name.removeprefix(_PREFIX).removesuffix("ExtensionType"))
    if kind is None or not name.startswith(_PREFIX):
        return None
    try:
        shape, dtype = json.loads(description)
        return kind(tuple(shape), dtype)
    except (ValueError, TypeError):
        return None


def checked_shape(shape: Any, axes: int) -> tuple[int | None, ...]:
    """The shape as a tuple; only its first size may be None."""
    sizes: tuple[int | None, ...] = tuple(shape)
    if len(sizes) != axes:
        raise InputError(f"Array{axes}D has {axes} axes; its shape cannot be {sizes}.")
    if any(size is None for size in sizes[1:]):
        raise InputError(f"only the first size of a shape may be None (any size), not those of {sizes}.")
    return sizes


def numpy_rows(array: pa.Array, shape: Any) -> Any:
    """Nested lists as one array (rows, *shape), or as an object array of arrays where they differ in length."""
    flat = array
    for _ in shape:
        flat = flat.flatten()
    values, there = flat.to_numpy(zero_copy_only=False), np.asarray(array.is_valid())
    lengths = pc.list_value_length(array).drop_null().to_numpy(zero_copy_only=False)
    if shape[0] is None and (array.null_count or len(np.unique(lengths)) > 1):
        parts = np.split(values.reshape(-1, *shape[1:]), np.cumsum(lengths)[:-1]) if len(lengths) else []
        rows = np.full(len(array), np.nan, dtype=object)
        for place, part in zip(np.flatnonzero(there), parts, strict=True):
            rows[place] = part
        return rows
    first = shape[0] if shape[0] is not None else int(lengths[0]) if len(lengths) else 0
    rows = values.reshape(len(lengths), first, *shape[1:])
    if array.null_count == 0:
        return rows
    full: Any = np.full((len(array), first, *rows.shape[2:]), np.nan)
    full[there] = rows
    return full


def _rows(array: np.ndarray[Any, Any]) -> list[Any]:
    return list(array) if array.ndim <= 2 else [_rows(inner) for inner in array]
