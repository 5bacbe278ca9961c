"""Several texts per row, one of which is the answer."""

# B rows  C choices  T tokens of the widest text
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError
from madang.training.collate.padding import main_column, padded_texts
from madang.training.collate.rows import Batch, Columns, columns_of, finished, stacked


@dataclass
class DataCollatorForMultipleChoice:
    """Pad the choices of all rows to one width: columns with a list per choice become (B, C, T), labels (B,).

    Every row needs as many choices as the others.
    """

    tokenizer: Any
    padding: Any = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        columns = columns_of(features)
        choices = self._count(columns)
        nested = {name: values for name, values in columns.items() if name != "labels" and _are_lists(values)}
        flat = {name: [part for value in values for part in value] for name, values in nested.items()}
        batch = padded_texts(self.tokenizer, flat, self.padding, self.max_length, self.pad_to_multiple_of)
        batch = {name: value.reshape(-1, choices, *value.shape[1:]) for name, value in batch.items()}
        batch |= {name: stacked(values, name) for name, values in columns.items() if name not in nested}
        return finished(batch, return_tensors or self.return_tensors)

    def _count(self, columns: Columns) -> int:
        name = main_column(self.tokenizer)
        if name not in columns or not _are_lists(columns[name]):
            raise InputError(
                f"multiple choice needs a column {name!r} with a list of texts (lists of ids) in every row; "
                f"found {sorted(columns)}."
            )
        counts = sorted({len(value) for value in columns[name]})
        if len(counts) > 1:
            raise InputError(
                f"the rows of a batch have {counts[0]} to {counts[-1]} choices; every row needs as many as the others."
            )
        return counts[0]


def _are_lists(values: list[Any]) -> bool:
    """Whether the rows hold one list (or row of a tensor) per choice."""
    return all(
        value.ndim > 1 if hasattr(value, "ndim") else isinstance(value, (list, tuple)) and hasattr(value[0], "__len__")
        for value in values
    )
