"""The texts of a batch one after the other in a single row."""

# N tokens of all texts
from collections.abc import Sequence
from typing import Any

import numpy as np

from madang.errors import InputError
from madang.training.collate.rows import IGNORED, Array, Batch, Columns, as_lists, columns_of, finished

_UNUSED = {
    "return_flash_attn_kwargs": "a model finds the texts of a row by its position_ids and needs no boundaries",
    "return_seq_idx": "a model finds the texts of a row by its position_ids and needs no numbers of texts",
}


class DataCollatorWithFlattening:
    """All texts of a batch in one row (1, N) without padding; `position_ids` begin anew with every text.

    By these a model tells the texts apart: given such a row without an attention_mask, no token sees another text,
    and the answers are those of the texts padded side by side. Made for heads that answer for every token.

    The first label of each text is `separator_id`: in the row it would follow from the text before. Without labels the
    tokens are their own. Positions begin at `position_ids_start`: 0, but padding_idx + 1 (mostly 2) for RoBERTa and
    its relatives. Tokens that an attention_mask hides are left out; token_type_ids are kept.
    """

    def __init__(
        self,
        return_tensors: str = "pt",
        *,
        return_position_ids: bool = True,
        separator_id: int = IGNORED,
        position_ids_start: int = 0,
        return_flash_attn_kwargs: bool = False,
        return_seq_idx: bool = False,
    ) -> None:
        if not return_position_ids:
            raise InputError("without position_ids a model would take the row for one text; leave them on.")
        for name, asked in (
            ("return_flash_attn_kwargs", return_flash_attn_kwargs),
            ("return_seq_idx", return_seq_idx),
        ):
            if asked:
                raise InputError(f"{name}=True is of no use here: {_UNUSED[name]}. Leave it out.")
        self.return_tensors, self.separator_id = return_tensors, separator_id
        self.position_ids_start = position_ids_start

    def __call__(
        self, features: Sequence[Any], return_tensors: str | None = None, separator_id: int | None = None
    ) -> Batch:
        columns = _parts(columns_of(features))
        separator = self.separator_id if separator_id is None else separator_id
        labels = [labels.copy() for labels in columns.get("labels", columns["input_ids"])]
        for row in labels:
            row[:1] = separator
        start = self.position_ids_start
        positions = [np.arange(start, start + len(text)) for text in columns["input_ids"]]
        rows = {**columns, "labels": labels, "position_ids": positions}
        batch = {name: np.concatenate(values).astype(np.int64)[None] for name, values in rows.items()}
        return finished(batch, return_tensors or self.return_tensors)


def _parts(columns: Columns) -> dict[str, list[Array]]:
    """The columns with a value per token, without the tokens that the mask hides."""
    if "input_ids" not in columns:
        raise InputError(f"nothing to put in a row: expected a column 'input_ids', found {sorted(columns)}.")
    kept: list[str] = [name for name in ("input_ids", "token_type_ids", "labels") if name in columns]
    parts: dict[str, list[Array]] = {name: [np.asarray(value) for value in as_lists(columns[name])] for name in kept}
    for name, values in parts.items():
        for value, text in zip(values, parts["input_ids"], strict=True):
            if value.shape != text.shape:
                raise InputError(
                    f"column {name!r} must have one value per token; found {value.size} for a text of {len(text)}."
                )
    if "attention_mask" in columns:
        masks = [np.asarray(mask).astype(bool) for mask in as_lists(columns["attention_mask"])]
        parts = {
            name: [value[mask] for value, mask in zip(values, masks, strict=True)] for name, values in parts.items()
        }
    return parts
