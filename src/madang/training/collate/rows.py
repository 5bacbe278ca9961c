"""Rows of a dataset read as columns, and columns made arrays.

Everything is made with numpy and handed to torch without a copy: from Python's lists that is four times as fast.
"""

# B rows  T tokens of the widest text
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import Tensor

from madang.errors import InputError, unknown_name

IGNORED = -100  # a label no loss counts
OTHER_LABEL_NAMES = ("label", "label_ids")
KINDS = ("pt", "np")

Array = np.ndarray[Any, Any]
Columns = dict[str, list[Any]]  # name -> the value of every row
Batch = dict[str, Any]


def columns_of(features: Sequence[Any]) -> Columns:
    """Rows (mappings, or objects with attributes) as columns; texts and empty columns left out, labels as `labels`.

    The first row says which columns there are.
    """
    rows = [row if isinstance(row, Mapping) else _attributes(row) for row in features]
    found: Columns = {}
    for name in rows[0] if rows else ():
        try:
            values = [row[name] for row in rows]
        except KeyError:
            raise InputError(
                f"not every row of this batch has the column {name!r}: row 0 has {sorted(map(str, rows[0]))}, "
                f"another only {sorted(map(str, next(row for row in rows if name not in row)))}."
            ) from None
        if _holds_numbers(name, values):
            found[name] = values
    for name in OTHER_LABEL_NAMES:
        if name in found:
            found.setdefault("labels", found.pop(name))
    return found


def _attributes(row: Any) -> Mapping[str, Any]:
    try:
        attributes: Mapping[str, Any] = vars(row)
        return attributes
    except TypeError:
        raise InputError(f"a row is of type {type(row).__name__}; expected a dict of columns.") from None


def _holds_numbers(name: str, values: list[Any]) -> bool:
    """Whether a column can be part of a batch: not texts, not empty. Empty cells beside filled ones are an error."""
    filled = [value for value in values if value is not None]
    if not filled or _is_text(filled[0]):
        return False
    if len(filled) < len(values):
        raise InputError(
            f"column {name!r} has empty cells in {len(values) - len(filled)} of the {len(values)} rows of this batch. "
            "Fill them, leave these rows out (dataset.filter), or remove the column."
        )
    # the first list may be empty, and then says nothing
    return not (isinstance(filled[0], (list, tuple)) and not filled[0] and any(map(_is_text, filled)))


def _is_text(value: Any) -> bool:
    while isinstance(value, (list, tuple)) and value:
        value = value[0]
    return isinstance(value, (str, bytes))


def tensor_kind(return_tensors: Any) -> str:
    """`pt` or `np`."""
    kind = str(getattr(return_tensors, "value", return_tensors))
    if kind not in KINDS:
        raise unknown_name("return_tensors", kind, KINDS)
    return kind


def finished(batch: Mapping[str, Any], return_tensors: Any) -> Batch:
    """A batch of arrays and tensors as one kind of them; labels as int64 or float32."""
    kind = tensor_kind(return_tensors)
    made = {name: _as_label(value) if name == "labels" else value for name, value in batch.items()}
    if kind == "np":
        return {name: value.cpu().numpy() if isinstance(value, Tensor) else value for name, value in made.items()}
    return {name: value if isinstance(value, Tensor) else _as_tensor(value) for name, value in made.items()}


def _as_label(value: Any) -> Any:
    if isinstance(value, Tensor):
        return value.float() if value.is_floating_point() else value.long()
    return value.astype(np.float32 if value.dtype.kind == "f" else np.int64, copy=False)


def _as_tensor(value: Array) -> Tensor:
    # no model computes in float64, and Python's floats have no width of their own
    return torch.from_numpy(value.astype(np.float32) if value.dtype == np.float64 else value)


def stacked(values: list[Any], name: str) -> Any:
    """Values of equal shape as one tensor (from tensors) or array (from everything else)."""
    try:
        if isinstance(values[0], Tensor):
            return torch.stack(values)
        array = np.array(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise _not_stackable(values, name, str(error)) from error
    if array.dtype.kind not in "iufb":
        raise _not_stackable(values, name, f"it holds {type(values[0]).__name__} values such as {values[0]!r:.60}")
    return array


def _not_stackable(values: list[Any], name: str, why: str) -> InputError:
    lengths = sorted({size for size in map(_size, values) if size is not None})
    if len(lengths) < 2:
        return InputError(f"column {name!r} cannot become a tensor: {why}.")
    return InputError(
        f"column {name!r} has rows of different lengths ({', '.join(map(str, lengths[:4]))}), which cannot be stacked. "
        "Give the Trainer a tokenizer (tokenizer=…) so that batches are padded, or pad when tokenizing (padding=True)."
    )


def _size(value: Any) -> int | None:
    try:
        return len(value)
    except TypeError:
        return None


def as_lists(values: Iterable[Any]) -> list[Any]:
    """The values with tensors and arrays as lists."""
    return [value.tolist() if hasattr(value, "tolist") else value for value in values]


class Rectangle:
    """Texts of different lengths in rows of one width, the padding on one side: (B, T).

    `real` (B, T) says where tokens are.
    """

    def __init__(self, lengths: list[int], width: int, side: str) -> None:
        self.lengths, self.width = lengths, width
        sizes, places = np.array(lengths, dtype=np.int64)[:, None], np.arange(width)
        self.real: Array = places < sizes if side == "right" else places >= width - sizes

    def fits(self, values: list[Any]) -> bool:
        """Whether a column has one value per token."""
        return [_size(value) for value in values] == self.lengths

    def fill(self, values: list[Any], name: str, fill: int) -> Array:
        """Columns with one value (or one array) per token as (B, T, …), padding holding `fill`."""
        if not self.fits(values):
            row = next(row for row, size in enumerate(self.lengths) if _size(values[row]) != size)
            raise InputError(
                f"column {name!r} has {_size(values[row]) or 'no'} values in row {row} of this batch, but its text has "
                f"{self.lengths[row]} tokens."
            )
        flat = _flat(values, name)
        full = np.full(
            (*self.real.shape, *flat.shape[1:]), fill, dtype=np.int64 if flat.dtype.kind in "iub" else flat.dtype
        )
        full[self.real] = flat
        return full


def _flat(values: list[Any], name: str) -> Array:
    """All rows one after the other."""
    try:
        if isinstance(values[0], Tensor):
            array = torch.cat(values).numpy(force=True)
        elif isinstance(values[0], np.ndarray):
            array = np.concatenate(values)
        else:
            array = np.array(list(chain.from_iterable(values)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"column {name!r} cannot become a tensor: {error}.") from error
    if array.size and array.dtype.kind not in "iufb":
        raise InputError(f"column {name!r} cannot become a tensor: it holds something else than numbers.")
    return array.astype(np.int64) if not array.size else array
