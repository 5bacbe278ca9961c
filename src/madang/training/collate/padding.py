"""Texts of different lengths into one rectangle."""

# B rows  T tokens of the widest text
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from madang.tokenizers.tokenizer import PreTrainedTokenizerFast
from madang.training.collate.rows import (
    IGNORED,
    Batch,
    Columns,
    Rectangle,
    as_lists,
    columns_of,
    finished,
    stacked,
)

_TEXT_COLUMNS = ("input_ids", "attention_mask", "token_type_ids", "special_tokens_mask")


@dataclass
class DataCollatorWithPadding:
    """Pad the texts of a batch to its longest one (or to `max_length`, with padding="max_length").

    Labels that come one per token are padded with -100, which no loss counts; other columns with one value per token
    with 0. The padding is on the tokenizer's `padding_side`.
    """

    tokenizer: Any
    padding: Any = True
    max_length: int | None = None
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    label_pad_token_id = IGNORED

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        batch = padded_texts(
            self.tokenizer,
            columns_of(features),
            self.padding,
            self.max_length,
            self.pad_to_multiple_of,
            self.label_pad_token_id,
        )
        return finished(batch, return_tensors or self.return_tensors)


def padded_texts(
    tokenizer: Any,
    columns: Columns,
    padding: Any = True,
    max_length: int | None = None,
    multiple: int | None = None,
    label_fill: int = IGNORED,
) -> Batch:
    """Columns as arrays and tensors (B, T, …): texts and what has one value per token padded, the rest stacked."""
    main = main_column(tokenizer)
    if main not in columns or not hasattr(tokenizer, "pad"):
        return {name: stacked(values, name) for name, values in columns.items()}
    lengths = [len(text) for text in columns[main]]
    side = padding_side(tokenizer)
    width = _width(tokenizer, padding, max_length, multiple, lengths)
    if width is None:
        batch = _by_the_tokenizer(tokenizer, columns, padding, max_length, multiple)
        rectangle = Rectangle(lengths, batch[main].shape[1], side)
    else:
        rectangle = Rectangle(lengths, width, side)
        batch = _by_ourselves(tokenizer, columns, rectangle)
    for name, values in columns.items():
        if name not in batch:
            fill = label_fill if name == "labels" else 0
            by_token = rectangle.fits(values) and not (name == "labels" and _are_fractions(values))
            batch[name] = rectangle.fill(values, name, fill) if by_token else stacked(values, name)
    return batch


def _are_fractions(values: list[Any]) -> bool:
    """Whether labels are one number per class: a class per token would be whole numbers."""
    return len(values[0]) > 0 and isinstance(as_lists([values[0][0]])[0], float)


def main_column(tokenizer: Any) -> str:
    """The column that texts are in; for sound it is another one."""
    return str((getattr(tokenizer, "model_input_names", None) or ["input_ids"])[0])


def padding_side(tokenizer: Any) -> str:
    """On which side of a text the padding comes."""
    return str(getattr(tokenizer, "padding_side", "right"))


def _width(
    tokenizer: Any, padding: Any, max_length: int | None, multiple: int | None, lengths: list[int]
) -> int | None:
    """How wide the batch gets, or None where the tokenizer must do the padding or say what is wrong."""
    # tokenizer.pad looks at many more cases, which takes longer than the padding itself
    untouched = getattr(tokenizer.pad, "__func__", None) is PreTrainedTokenizerFast.pad
    longest = max(lengths)
    if untouched and main_column(tokenizer) == "input_ids":
        if padding is True or padding == "longest":
            width = longest
        elif padding == "max_length" and max_length is not None and longest <= max_length:
            width = max_length
        else:
            return None
        width = -(-width // multiple) * multiple if multiple else width
        if tokenizer.pad_token_id is not None or min(lengths) == width:
            return width
    return None


def _by_ourselves(tokenizer: PreTrainedTokenizerFast, columns: Columns, rectangle: Rectangle) -> Batch:
    """What `tokenizer.pad` gives."""
    fills = {
        "input_ids": tokenizer.pad_token_id or 0,
        "attention_mask": 0,
        "token_type_ids": tokenizer.pad_token_type_id,
        "special_tokens_mask": 1,
    }
    batch: Batch = {
        name: rectangle.fill(values, name, fills[name]) for name, values in columns.items() if name in fills
    }
    if "attention_mask" not in batch and "attention_mask" in tokenizer.model_input_names:
        batch["attention_mask"] = rectangle.real.astype("int64")
    return batch


def _by_the_tokenizer(
    tokenizer: Any, columns: Columns, padding: Any, max_length: int | None, multiple: int | None
) -> Batch:
    """The columns it knows, padded by its own method."""
    known = {*_TEXT_COLUMNS, *getattr(tokenizer, "model_input_names", ())}
    texts = {name: as_lists(values) for name, values in columns.items() if name in known}
    options = {"padding": padding, "max_length": max_length, "pad_to_multiple_of": multiple}
    return dict(tokenizer.pad(texts, **options, return_tensors="pt"))
