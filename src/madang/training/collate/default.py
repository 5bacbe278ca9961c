"""Rows that already have equal shapes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from madang.training.collate.rows import Batch, columns_of, finished, stacked


def default_data_collator(features: Sequence[Any], return_tensors: str = "pt") -> Batch:
    """Stack examples that already have equal shapes. `label` and `label_ids` become `labels`; texts are left out.

    Python's numbers become int64 or float32 ("np": float64), labels always int64 or float32; arrays keep their type
    except that "pt" makes float64 to float32.
    """
    return finished({name: stacked(values, name) for name, values in columns_of(features).items()}, return_tensors)


@dataclass
class DefaultDataCollator:
    """`default_data_collator` that remembers `return_tensors`, "pt" or "np"."""

    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        return default_data_collator(features, return_tensors or self.return_tensors)
