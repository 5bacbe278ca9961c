"""Texts with a label for each token."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError
from madang.training.collate.padding import DataCollatorWithPadding, main_column
from madang.training.collate.rows import IGNORED, Batch, columns_of


@dataclass
class DataCollatorForTokenClassification(DataCollatorWithPadding):
    """Pad texts and, along with them, the label of each token, with `label_pad_token_id`."""

    label_pad_token_id: int = IGNORED

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        columns = columns_of(features)
        texts = columns.get(main_column(self.tokenizer), ())
        for text, labels in zip(texts, columns.get("labels", ()), strict=False):
            count = len(labels) if hasattr(labels, "__len__") else "no list of"
            if count != len(text):
                raise InputError(
                    f"one label per token is needed, but a row has {count} labels for {len(text)} tokens. Give those "
                    "without a label of their own (special ones, later parts of a word) -100."
                )
        return super().__call__(features, return_tensors)
