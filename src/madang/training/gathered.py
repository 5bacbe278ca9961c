"""What batch after batch gives, joined to one array at the end; what is large waits in a file instead of in memory."""

import io
import math
import tempfile
import weakref
from collections.abc import Callable, Iterator, Mapping
from itertools import count
from typing import Any

import numpy as np
import torch

from madang.errors import InputError

IGNORED = -100
# bytes of one array; joining what is in memory takes the same once more
IN_MEMORY = 16 * 2**20

Array = np.ndarray[Any, Any]


class Gathered:
    """Arrays (or tuples, lists and dicts of arrays) of one batch after the other, joined along their first axis.

    Texts of different batches differ in length: shorter ones are filled up with `filler` on the axes after the first.
    Beyond IN_MEMORY bytes an array is written to a temporary file (where TMPDIR says), and what `joined` gives is a
    np.memmap of it; the file has no name, and is gone with the array.
    """

    def __init__(self, filler: int = IGNORED) -> None:
        self._filler = filler
        self._form: Any = None
        self._columns: list[_Column] = []

    def add(self, tensors: Any) -> None:
        """What one batch gave; None is left out."""
        if tensors is None:
            return
        arrays = leaves(to_numpy(tensors))
        if self._form is None:
            place = count()
            self._form = mapped(lambda _: next(place), tensors)
            self._columns = [_Column(self._filler) for _ in arrays]
        if len(arrays) != len(self._columns):
            raise InputError(
                f"this batch gave {len(arrays)} arrays and those before it {len(self._columns)}: what a model gives "
                "for one batch must look like what it gives for another."
            )
        for column, array in zip(self._columns, arrays, strict=True):
            column.add(array)

    def joined(self) -> Any:
        """All batches as one array, or the tuple, list or dict of them; None when there were none."""
        if self._form is None:
            return None
        return mapped(lambda place: self._columns[place].joined(), self._form)


class _Column:
    """One array per batch."""

    def __init__(self, filler: int) -> None:
        self._filler = filler
        self._kinds: list[tuple[tuple[int, ...], Any]] = []  # shape and dtype of every part
        # not the parts themselves: small ones kept between large ones that are freed would leave holes in the memory
        self._file: Any = io.BytesIO()
        self._bytes = 0

    def add(self, array: Array) -> None:
        array = np.ascontiguousarray(np.atleast_1d(array))
        if array.dtype.hasobject:
            raise InputError(f"predictions are tensors or arrays of numbers or texts; found {array.flat[0]!r}.")
        self._kinds.append((array.shape, array.dtype))
        self._bytes += array.nbytes
        if isinstance(self._file, io.BytesIO) and self._bytes > IN_MEMORY:
            until_now, self._file = self._file, tempfile.TemporaryFile()  # noqa: SIM115  (a map needs it no longer)
            weakref.finalize(self, self._file.close)
            self._file.write(until_now.getbuffer())
        self._file.write(array.data)

    def joined(self) -> Array:
        self._file.flush()
        shape, dtype, filled = _together(self._kinds)
        as_it_is = not filled and all(each == dtype for _, each in self._kinds)
        if as_it_is:
            return self._part(shape, dtype, 0)
        if isinstance(self._file, io.BytesIO):
            return _fill(np.empty(shape, dtype), self._read(), self._filler)
        with tempfile.TemporaryFile() as whole:
            array = np.memmap(whole, dtype, "w+", shape=shape)
        _fill(array, self._read(), self._filler)
        return array

    def _read(self) -> Iterator[Array]:
        offset = 0
        for shape, dtype in self._kinds:
            yield self._part(shape, dtype, offset)
            offset += dtype.itemsize * math.prod(shape)

    def _part(self, shape: tuple[int, ...], dtype: Any, offset: int) -> Array:
        if not math.prod(shape):
            return np.empty(shape, dtype)
        if isinstance(self._file, io.BytesIO):
            return np.ndarray(shape, dtype, self._file.getbuffer(), offset)
        return np.memmap(self._file, dtype, "r+", offset, shape)


def joined(arrays: list[Array], filler: int = IGNORED) -> Array:
    """Arrays one after the other along their first axis, filled up with `filler` on the others."""
    shape, dtype, filled = _together([(array.shape, array.dtype) for array in arrays])
    if not filled:
        return np.concatenate(arrays)
    return _fill(np.empty(shape, dtype), arrays, filler)


def joined_nested(values: list[Any], filler: int = IGNORED) -> Any:
    """`joined` for tuples, lists and dicts of arrays."""
    place, parts = count(), [leaves(value) for value in values]
    form = mapped(lambda _: next(place), values[0])
    return mapped(lambda number: joined([np.atleast_1d(part[number]) for part in parts], filler), form)


def _together(kinds: list[tuple[tuple[int, ...], Any]]) -> tuple[tuple[int, ...], Any, bool]:
    """Shape and dtype of all parts joined, and whether some must be filled up."""
    rests = {shape[1:] for shape, _ in kinds}
    if len({len(rest) for rest in rests}) > 1:
        raise InputError(f"arrays of the shapes {sorted({shape for shape, _ in kinds})[:4]} cannot be joined.")
    dtype = np.result_type(*{dtype for _, dtype in kinds})
    if len(rests) > 1 and dtype.kind in "bu":  # the filler is below 0
        dtype = np.result_type(dtype, np.int8)
    return (sum(shape[0] for shape, _ in kinds), *map(max, zip(*rests, strict=True))), dtype, len(rests) > 1


def _fill(whole: Array, parts: Any, filler: int) -> Array:
    row = 0
    for part in parts:
        rows = whole[row : row + len(part)]
        rows[...] = filler
        rows[(slice(None), *(slice(size) for size in part.shape[1:]))] = part
        row += len(part)
    return whole


def mapped(function: Callable[[Any], Any], nested: Any) -> Any:
    """Tuples, lists and dicts with the function's result in place of everything in them."""
    if isinstance(nested, Mapping):
        return {name: mapped(function, value) for name, value in nested.items()}
    if isinstance(nested, (tuple, list)):
        return tuple(mapped(function, value) for value in nested)
    return function(nested)


def leaves(nested: Any) -> list[Any]:
    """Everything in tuples, lists and dicts, in order."""
    found: list[Any] = []
    mapped(found.append, nested)
    return found


def to_numpy(tensors: Any) -> Any:
    """Tensors as numpy arrays on the CPU; half precision, which numpy does not know, as float32."""
    return mapped(_array, tensors)


def _array(value: Any) -> Any:
    if value is None or not isinstance(value, torch.Tensor):
        return None if value is None else np.asarray(value)
    value = value.detach()
    return (value.float() if value.dtype in (torch.bfloat16, torch.float16) else value).cpu().numpy()
