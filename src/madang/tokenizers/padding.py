"""Rows of different lengths made equal, and rows made arrays.

B texts  T tokens of the longest (or the asked) length
"""

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from madang.errors import InputError, unknown_name

TENSOR_TYPES = {"pt": "pt", "np": "np"}


def tensor_type(return_tensors: Any) -> str | None:
    """`pt`, `np` or None for anything people write as `return_tensors=`."""
    if return_tensors is None or return_tensors is False:
        return None
    name = str(getattr(return_tensors, "value", return_tensors))
    if name not in TENSOR_TYPES:
        raise unknown_name("return_tensors", name, TENSOR_TYPES)
    return name


def pad_rows(rows: list[list[Any]], length: int, fill: Any, side: str) -> list[list[Any]]:
    """Rows with `fill` added at `side` until they have `length` items; longer rows stay."""
    if side == "right":
        return [row + [fill] * (length - len(row)) if len(row) < length else row for row in rows]
    return [[fill] * (length - len(row)) + row if len(row) < length else row for row in rows]


def pad_array(rows: list[list[int]], length: int, fill: int, side: str) -> Any:
    """The same as one int64 array (B, T), made without building the padded lists; no row is longer than `length`."""
    import numpy

    sizes = numpy.fromiter(map(len, rows), dtype=numpy.int64, count=len(rows))
    flat = numpy.fromiter(chain.from_iterable(rows), dtype=numpy.int64, count=int(sizes.sum()))
    if len(rows) and sizes.min() == length:
        return flat.reshape(len(rows), length)
    padded = numpy.full((len(rows), length), fill, dtype=numpy.int64)
    padded[filled(sizes, length, side)] = flat
    return padded


def filled(sizes: Any, length: int, side: str) -> Any:
    """(B, T) bool: True where a row of that size has an item, False where padding is."""
    import numpy

    place = numpy.arange(length)
    return place < sizes[:, None] if side == "right" else place >= length - sizes[:, None]


def to_tensor(value: Any, kind: str, key: str) -> Any:
    """`value` as a numpy array or a torch tensor; integers become int64.

    Raises InputError naming `key` when rows differ in length or hold something that is not a number.
    """
    if kind == "pt":
        import torch

        if isinstance(value, torch.Tensor):
            return value
    import numpy

    plain: Any = value
    if isinstance(value, (list, tuple)) and value and hasattr(value[0], "shape"):
        plain = [numpy.asarray(item) for item in value]
    try:
        array = numpy.asarray(plain)
    except ValueError as error:
        raise _ragged(key, value) from error
    if array.dtype == object or array.dtype.kind in "US":
        raise _ragged(key, value)
    if array.size == 0 and not isinstance(value, numpy.ndarray):
        array = array.astype(numpy.int64)
    if kind == "np":
        return array
    if plain is value and not isinstance(value, numpy.ndarray) and array.dtype == numpy.float64:
        # Python's floats have no width of their own; models are not in float64
        return torch.tensor(array, dtype=torch.get_default_dtype())
    return torch.from_numpy(array) if array.flags.writeable else torch.tensor(array)


def _ragged(key: str, value: Any) -> InputError:
    rows = [row for row in value if isinstance(row, (list, tuple)) or (hasattr(row, "shape") and row.shape)]
    sizes = sorted({len(row) for row in rows})
    if len(sizes) > 1:
        return InputError(
            f"{key!r} cannot become one tensor: its rows have {sizes[0]} to {sizes[-1]} items. "
            "Pass padding=True (and truncation=True for texts that are too long)."
        )
    return InputError(
        f"{key!r} cannot become a tensor: it holds something else than numbers. Remove it, or leave out return_tensors."
    )


def as_rows(value: Any) -> Any:
    """Lists of Python numbers from lists, numpy arrays or torch tensors, whatever the nesting."""
    if hasattr(value, "tolist") and not isinstance(value, (list, tuple)):
        return value.tolist()
    if isinstance(value, (list, tuple)) and value and not isinstance(value[0], (int, float)):
        return [as_rows(item) for item in value]
    return list(value) if isinstance(value, tuple) else value


def found_tensor_type(value: Any) -> str | None:
    """`pt` or `np` when `value` is, or begins with, a torch tensor or numpy array; None otherwise."""
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    module = type(value).__module__.partition(".")[0]
    if module == "torch":
        return "pt"
    return "np" if module == "numpy" and hasattr(value, "ndim") and value.ndim else None


def collect(encodings: Any) -> dict[str, Any]:
    """One dict of columns from a dict, a BatchEncoding, or a list of dicts.

    Raises InputError when the dicts of a list do not have the same keys.
    """
    if isinstance(encodings, Mapping) or hasattr(encodings, "keys"):
        return dict(encodings.items())
    if not isinstance(encodings, Sequence):
        encodings = list(encodings)
    if not encodings:
        return {}
    for index, item in enumerate(encodings):
        if not (isinstance(item, Mapping) or hasattr(item, "keys")):
            raise InputError(f"item {index} to pad is of type {type(item).__name__}; expected a dict with 'input_ids'.")
        if set(item.keys()) != set(encodings[0].keys()):
            raise InputError(
                f"item {index} to pad has the keys {sorted(item.keys())}, item 0 has {sorted(encodings[0].keys())}; "
                "they have to be the same."
            )
    return {key: [item[key] for item in encodings] for key in dict(encodings[0])}
