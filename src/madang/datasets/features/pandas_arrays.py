"""Columns of arrays in pandas. Needs pandas, so nothing but a conversion to it imports this file."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from pandas.api.extensions import ExtensionArray, ExtensionDtype

from madang.datasets.features.arrays import ARRAYS


class PandasArrayDtype(ExtensionDtype):  # type: ignore[misc]
    """The pandas type of a column with an array in each row."""

    _metadata = ("value_type",)
    type = np.ndarray
    kind = "O"

    def __init__(self, value_type: str) -> None:
        self.value_type = value_type

    @property
    def name(self) -> str:
        """How pandas prints it."""
        return f"array[{self.value_type}]"

    @classmethod
    def construct_array_type(cls) -> Any:
        """The class of columns of this type."""
        return PandasArray

    def __from_arrow__(self, array: Any) -> "PandasArray":
        chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
        storage = (
            pa.concat_arrays([chunk.storage for chunk in chunks]) if chunks else pa.array([], array.type.storage_type)
        )
        return PandasArray(array.type.wrap_array(storage).to_numpy(), self.value_type)


class PandasArray(ExtensionArray):  # type: ignore[misc]
    """A pandas column with an array in each row: one numpy array (rows, …), or an object array of arrays."""

    def __init__(self, values: np.ndarray[Any, Any], value_type: str) -> None:
        self._values, self._dtype = values, PandasArrayDtype(value_type)

    @classmethod
    def _from_sequence(cls, scalars: Any, *, dtype: Any = None, copy: bool = False) -> "PandasArray":
        scalars = list(scalars)
        shapes = {np.shape(scalar) for scalar in scalars}
        if len(shapes) == 1:
            values = np.stack([np.asarray(scalar) for scalar in scalars])
        else:
            values = np.empty(len(scalars), dtype=object)
            values[:] = scalars
        return cls(values, dtype.value_type if isinstance(dtype, PandasArrayDtype) else str(values.dtype))

    @classmethod
    def _concat_same_type(cls, to_concat: Sequence["PandasArray"]) -> "PandasArray":
        return cls._from_sequence([row for part in to_concat for row in part._values], dtype=to_concat[0].dtype)

    @property
    def dtype(self) -> PandasArrayDtype:
        """The pandas type."""
        return self._dtype

    @property
    def nbytes(self) -> int:
        """The memory it takes."""
        return int(self._values.nbytes)

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, item: Any) -> Any:
        item = pd.api.indexers.check_array_indexer(self, item)
        found = self._values[item]
        return found if isinstance(item, (int, np.integer)) else PandasArray(found, self._dtype.value_type)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._values if dtype is None or dtype is object else self._values.astype(dtype, copy=False)

    def to_numpy(self, dtype: Any = None, copy: bool = False, na_value: Any = None) -> Any:
        """One array (rows, …), or an object array of arrays where rows differ in shape."""
        return self.__array__(dtype)

    def __eq__(self, other: Any) -> Any:
        if not isinstance(other, PandasArray) or len(other) != len(self):
            return NotImplemented
        return np.array([np.array_equal(a, b) for a, b in zip(self._values, other._values, strict=True)], dtype=bool)

    def isna(self) -> Any:
        """Which rows are empty."""
        return np.array([bool(np.all(pd.isna(row))) and np.size(row) > 0 for row in self._values], dtype=bool)

    def copy(self) -> "PandasArray":
        """A column of one's own to change."""
        return PandasArray(self._values.copy(), self._dtype.value_type)

    def take(self, indices: Any, *, allow_fill: bool = False, fill_value: Any = None) -> "PandasArray":
        """The rows at `indices`; with `allow_fill`, -1 is an empty one."""
        indices = np.asarray(indices, dtype=np.intp)
        if not allow_fill or not (indices < 0).any():
            return PandasArray(self._values.take(indices, axis=0), self._dtype.value_type)
        rows = np.empty(len(indices), dtype=object)
        for place, index in enumerate(indices):
            rows[place] = np.nan if index < 0 else self._values[index]
        return PandasArray(rows, self._dtype.value_type)

    def __arrow_array__(self, type: Any = None) -> pa.Array:  # noqa: A002
        # in an array of fractions a row of NaN may be data; in one of whole numbers it is an empty cell
        unclear = self._dtype.value_type.startswith("float")
        empty = [
            np.ndim(row) == 0 or (gone and not unclear) for row, gone in zip(self._values, self.isna(), strict=True)
        ]
        rows = [None if gone else row for row, gone in zip(self._values, empty, strict=True)]
        shapes = {np.shape(row) for row in rows if row is not None}
        if not shapes:
            return pa.nulls(len(rows))
        first = next(iter(shapes))
        shape = first if len(shapes) == 1 else (None, *first[1:])
        return ARRAYS[f"Array{len(shape)}D"](shape, self._dtype.value_type).encode_column(rows)
