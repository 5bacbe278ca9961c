"""Lists and structs of Arrow taken apart and put together again, empty cells and slices included."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from madang.errors import InputError


def changed_list(array: pa.Array, kind: pa.DataType, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """An array of lists (of any width) as lists of type `kind`, whose values are those that `change` makes.

    Raises InputError when `kind` wants another length than some list has.
    """
    empty = array.is_null() if array.null_count else None
    values = change(array.flatten())  # leaves out what lies under empty cells and outside of the slice
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    if pa.types.is_fixed_size_list(kind):
        if pa.types.is_fixed_size_list(array.type) and array.type.list_size != kind.list_size:
            raise InputError(f"lists of length {array.type.list_size} are not of length {kind.list_size}.")
        wrong = lengths[np.asarray(array.is_valid()) & (lengths != kind.list_size)]
        if len(wrong):
            raise InputError(f"a list of {wrong[0]} values is not of length {kind.list_size}.")
        if empty is not None:
            values = values.take(_places(array, kind.list_size))
        return pa.FixedSizeListArray.from_arrays(values, type=kind, mask=empty)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    if pa.types.is_large_list(kind):
        return pa.LargeListArray.from_arrays(pa.array(offsets), values, type=kind, mask=empty)
    if offsets[-1] > np.iinfo(np.int32).max:
        raise InputError(f"the lists have {offsets[-1]} values together; more than 2³¹ need the feature LargeList.")
    return pa.ListArray.from_arrays(pa.array(offsets.astype(np.int32)), values, type=kind, mask=empty)


def _places(array: pa.Array, size: int) -> pa.Array:
    """For every slot of fixed-size lists the place of its value; slots of empty cells have none."""
    valid = np.repeat(np.asarray(array.is_valid()), size)
    return pa.array(np.cumsum(valid) - 1, mask=~valid)


def changed_struct(array: pa.Array, changes: Mapping[str, Callable[[pa.Array | None], pa.Array]]) -> pa.Array:
    """An array of structs with the members that `changes` make, each from the member of that name or None."""
    members = dict(zip((member.name for member in array.type), array.flatten(), strict=True))
    made = {name: change(members.get(name)) for name, change in changes.items()}
    fields: list[Any] = [pa.field(name, member.type) for name, member in made.items()]
    if not fields:  # from_arrays could not know the number of rows
        return pa.array([None if empty else {} for empty in array.is_null().to_pylist()], pa.struct([]))
    mask = array.is_null() if array.null_count else None
    return pa.StructArray.from_arrays(list(made.values()), fields=fields, mask=mask)
