"""Examples into a batch: padding, labels, masking.

Padding is told from text by lengths and attention masks, never by a token's id: the padding token may well be the
one that ends a text, and a model must learn to end.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from madang.errors import InputError

IGNORED = -100  # a label no loss counts
_FOR_PAD = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask")
_OTHER_LABEL_NAMES = ("label", "label_ids")

Batch = dict[str, Any]


def default_data_collator(features: Sequence[Any], return_tensors: str = "pt") -> Batch:
    """Stack examples that already have equal shapes. `label` and `label_ids` become `labels`; texts are left out."""
    rows = readable_rows(features)
    return {name: stacked([row[name] for row in rows], name) for name in (rows[0] if rows else ())}


@dataclass
class DataCollatorWithPadding:
    """Pad the texts of a batch to its longest one (or to `max_length`, with padding="max_length").

    Labels that come one per token are padded with -100, which no loss counts.
    """

    tokenizer: Any
    padding: Any = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    label_pad_token_id = IGNORED

    def __call__(self, features: Sequence[Any]) -> Batch:
        rows = readable_rows(features)
        if not rows or "input_ids" not in rows[0]:
            return default_data_collator(rows)
        lengths = [len(row["input_ids"]) for row in rows]
        texts = {name: [as_list(row[name]) for row in rows] for name in rows[0] if name in _FOR_PAD}
        batch = dict(
            self.tokenizer.pad(
                texts,
                padding=self.padding,
                max_length=self.max_length,
                pad_to_multiple_of=self.pad_to_multiple_of,
                return_tensors="pt",
            )
        )
        width = batch["input_ids"].shape[1]
        for name in rows[0]:
            if name not in batch:
                fill = self.label_pad_token_id if name == "labels" else 0
                batch[name] = self._other([row[name] for row in rows], name, lengths, width, fill)
        return batch

    def _other(self, values: list[Any], name: str, lengths: list[int], width: int, fill: int) -> Tensor:
        """A column the tokenizer knows nothing of: padded along with the texts where it has one value per token."""
        if hasattr(values[0], "__len__") and [len(value) for value in values] == lengths:
            return padded([as_list(value) for value in values], width, fill, padding_side(self.tokenizer))
        return stacked(values, name)


@dataclass
class DataCollatorForTokenClassification(DataCollatorWithPadding):
    """Pad texts and, along with them, the label of each token, with `label_pad_token_id`."""

    label_pad_token_id: int = IGNORED

    def __call__(self, features: Sequence[Any]) -> Batch:
        rows = readable_rows(features)
        for row in rows:
            if "labels" in row and len(row["labels"]) != len(row["input_ids"]):
                raise InputError(
                    f"one label per token is needed, but a row has {len(row['labels'])} labels for "
                    f"{len(row['input_ids'])} tokens. Give those without a label of their own (special ones, later "
                    "parts of a word) -100."
                )
        return super().__call__(rows)


@dataclass
class DataCollatorForLanguageModeling:
    """Texts as their own labels.

    With `mlm=True` a part `mlm_probability` of the tokens must be guessed: of these 80% become the mask token, 10% a
    random one, 10% stay; special tokens and padding are never chosen. With `mlm=False` (causal models) every token
    is a label and only padding is -100: a text's last token, which ends it, is learned.
    """

    tokenizer: Any
    mlm: bool = True
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"

    def __post_init__(self) -> None:
        if self.mlm and getattr(self.tokenizer, "mask_token_id", None) is None:
            raise InputError(
                "mlm=True hides tokens behind the mask token, and this tokenizer has none. Causal models: mlm=False."
            )

    def __call__(self, features: Sequence[Any]) -> Batch:
        rows = [dict(row) if isinstance(row, Mapping) else {"input_ids": row} for row in features]
        rows = [{name: value for name, value in row.items() if name in _FOR_PAD} for row in rows]
        lengths = torch.tensor([len(row["input_ids"]) for row in rows])
        batch = DataCollatorWithPadding(self.tokenizer, pad_to_multiple_of=self.pad_to_multiple_of)(rows)
        special = batch.pop("special_tokens_mask", None)
        real = (
            batch["attention_mask"].bool()
            if "attention_mask" in rows[0]
            else self._by_length(batch["input_ids"], lengths)
        )
        if self.mlm:
            batch["input_ids"], batch["labels"] = self._hide(
                batch["input_ids"], real & ~self._special(batch["input_ids"], special)
            )
        else:
            batch["labels"] = batch["input_ids"].masked_fill(~real, IGNORED)
        return batch

    def _by_length(self, ids: Tensor, lengths: Tensor) -> Tensor:
        places = torch.arange(ids.shape[1])
        if padding_side(self.tokenizer) == "left":
            places = places.flip(0)
        return places < lengths[:, None]

    def _special(self, ids: Tensor, given: Tensor | None) -> Tensor:
        if given is not None:
            return given.bool()
        return torch.isin(ids, torch.tensor(sorted(self.tokenizer.all_special_ids), dtype=ids.dtype))

    def _hide(self, ids: Tensor, choosable: Tensor) -> tuple[Tensor, Tensor]:
        """The ids with some hidden, and what these were."""
        chosen = (torch.rand(ids.shape) < self.mlm_probability) & choosable
        labels = ids.masked_fill(~chosen, IGNORED)
        lot = torch.rand(ids.shape)
        masked = chosen & (lot < self.mask_replace_prob)
        swapped = chosen & ~masked & (lot < self.mask_replace_prob + self.random_replace_prob)
        ids = ids.masked_fill(masked, self.tokenizer.mask_token_id)
        return torch.where(swapped, torch.randint(len(self.tokenizer), ids.shape, dtype=ids.dtype), ids), labels


@dataclass
class DataCollatorForSeq2Seq:
    """Pad source texts and, by themselves, target texts (`labels`, with `label_pad_token_id`)."""

    tokenizer: Any
    model: Any = None
    padding: Any = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    label_pad_token_id: int = IGNORED
    return_tensors: str = "pt"

    def __call__(self, features: Sequence[Any]) -> Batch:
        rows = readable_rows(features)
        labels = [as_list(row.pop("labels")) for row in rows if row.get("labels") is not None]
        collate = DataCollatorWithPadding(self.tokenizer, self.padding, self.max_length, self.pad_to_multiple_of)
        batch = collate(rows)
        if labels:
            width = max(len(row) for row in labels)
            if self.padding == "max_length" and self.max_length is not None:
                width = max(width, self.max_length)
            if self.pad_to_multiple_of:
                width = -(-width // self.pad_to_multiple_of) * self.pad_to_multiple_of
            batch["labels"] = padded(labels, width, self.label_pad_token_id, padding_side(self.tokenizer))
            prepare = getattr(self.model, "prepare_decoder_input_ids_from_labels", None)
            if prepare is not None:
                batch["decoder_input_ids"] = prepare(labels=batch["labels"])
        return batch


def readable_rows(features: Sequence[Any]) -> list[dict[str, Any]]:
    """Examples as dicts without texts and empty cells, their labels under the name `labels`."""
    rows = []
    for feature in features:
        row = dict(feature) if isinstance(feature, Mapping) else dict(vars(feature))
        for name in _OTHER_LABEL_NAMES:
            if name in row:
                row.setdefault("labels", row.pop(name))
        rows.append(row)
    left_out = {name for row in rows for name, value in row.items() if value is None or isinstance(value, (str, bytes))}
    left_out |= {name for row in rows for name, value in row.items() if _is_texts(value)}
    return [{name: value for name, value in row.items() if name not in left_out} for row in rows]


def _is_texts(value: Any) -> bool:
    return isinstance(value, (list, tuple)) and bool(value) and isinstance(value[0], str)


def as_list(value: Any) -> Any:
    """Tensors and arrays as lists."""
    return value.tolist() if hasattr(value, "tolist") else value


def padded(rows: list[list[Any]], width: int, fill: int, side: str) -> Tensor:
    """Lists of numbers as one tensor (rows, width), the rest filled."""
    filler = [[fill] * (width - len(row)) for row in rows]
    pairs = zip(rows, filler, strict=True)
    return torch.tensor([row + rest if side == "right" else rest + row for row, rest in pairs])


def padding_side(tokenizer: Any) -> str:
    """On which side of a text the padding comes."""
    return str(getattr(tokenizer, "padding_side", "right"))


def stacked(values: list[Any], name: str) -> Tensor:
    """Values of equal shape as one tensor; whole numbers as int64, others as float32."""
    if isinstance(values[0], Tensor):
        shapes = {tuple(value.shape) for value in values}
        if len(shapes) > 1:
            raise _ragged(name, sorted({len(value) for value in values}))
        return torch.stack(values)
    lengths = {len(value) for value in values if hasattr(value, "__len__")}
    if len(lengths) > 1:
        raise _ragged(name, sorted(lengths))
    try:
        tensor = torch.tensor([as_list(value) for value in values])
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"column {name!r} cannot become a tensor: {error}") from error
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def _ragged(name: str, lengths: list[int]) -> InputError:
    return InputError(
        f"column {name!r} has rows of different lengths ({', '.join(map(str, lengths[:4]))}), which cannot be stacked. "
        "Give the Trainer a tokenizer (tokenizer=…) so that batches are padded, or pad when tokenizing (padding=True)."
    )
