"""Texts with a text as the answer."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from madang.training.collate.padding import padded_texts, padding_side
from madang.training.collate.rows import IGNORED, Batch, Rectangle, columns_of, finished, stacked


@dataclass
class DataCollatorForSeq2Seq:
    """Pad source texts and, by themselves, target texts (`labels`, with `label_pad_token_id`).

    What is padding is told by the length of each row: a target's end-of-text token stays a label, also where the same
    token pads. A `model` with the method `prepare_decoder_input_ids_from_labels` makes the decoder's inputs.
    """

    tokenizer: Any
    model: Any = None
    padding: Any = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        columns = columns_of(features)
        labels = columns.pop("labels", None)
        batch = padded_texts(self.tokenizer, columns, self.padding, self.max_length, self.pad_to_multiple_of)
        if labels is not None:
            batch["labels"] = self._targets(labels)
        batch = finished(batch, return_tensors or self.return_tensors)
        prepare = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
        if labels is not None and prepare is not None:
            batch["decoder_input_ids"] = prepare(labels=batch["labels"])
        return batch

    def _targets(self, labels: list[Any]) -> Any:
        if self.padding is False or self.padding == "do_not_pad":
            return stacked(labels, "labels")
        lengths = [len(row) for row in labels]
        width = max(lengths)
        if self.padding == "max_length" and self.max_length is not None:
            width = max(width, self.max_length)
        if self.pad_to_multiple_of:
            width = -(-width // self.pad_to_multiple_of) * self.pad_to_multiple_of
        return Rectangle(lengths, width, padding_side(self.tokenizer)).fill(labels, "labels", self.label_pad_token_id)
