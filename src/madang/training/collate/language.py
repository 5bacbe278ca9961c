"""Texts as their own labels: filling gaps, or continuing."""

# B texts  T tokens of the widest text
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from madang.errors import InputError
from madang.training.collate.padding import padded_texts, padding_side
from madang.training.collate.rows import IGNORED, Batch, Columns, Rectangle, columns_of, finished
from madang.training.collate.whole_words import WordBeginnings


@dataclass
class DataCollatorForLanguageModeling:
    """Texts (rows, or plain lists of ids) as their own labels.

    With `mlm=True` a part `mlm_probability` of the tokens must be guessed: of these 80% become the mask token, 10% a
    random one, 10% stay; special tokens and padding are never chosen. `whole_word_mask=True` chooses whole words
    (see `WordBeginnings`); the three shares are then drawn for each of its tokens. With `mlm=False` (causal models)
    every token is a label and only padding is -100: a text's last token, which ends it, is learned even if the same
    token pads. Padding is told by the attention mask, or by the length of a row where there is none.

    Chance comes from torch's global generator, or with a `seed` from one of the collator's own (seed + the number of
    the worker), which goes on from batch to batch and knows nothing of a training that is resumed.
    """

    tokenizer: Any
    mlm: bool = True
    mlm_probability: float = 0.15
    mask_replace_prob: float = 0.8
    random_replace_prob: float = 0.1
    pad_to_multiple_of: int | None = None
    return_tensors: str = "pt"
    whole_word_mask: bool = False
    seed: int | None = None

    # columns that are used although no model takes them
    asks_for = ("special_tokens_mask", "word_ids", "offset_mapping")

    def __post_init__(self) -> None:
        if self.mlm and getattr(self.tokenizer, "mask_token_id", None) is None:
            raise InputError(
                "mlm=True hides tokens behind the mask token, and this tokenizer has none. Causal models: mlm=False."
            )
        if self.whole_word_mask and not self.mlm:
            raise InputError("whole_word_mask=True hides whole words, and with mlm=False nothing is hidden.")
        if isinstance(self.mlm_probability, bool):
            raise InputError("mlm_probability is a number from 0 to 1; give whole_word_mask by its name.")
        for name in ("mlm_probability", "mask_replace_prob", "random_replace_prob"):
            value = getattr(self, name)
            if self.mlm and (value is None or not 0 <= value <= 1):
                raise InputError(f"{name}={value} must be a number from 0 to 1.")
        if self.mask_replace_prob + self.random_replace_prob > 1:
            raise InputError(
                f"mask_replace_prob={self.mask_replace_prob} and random_replace_prob={self.random_replace_prob} are "
                "parts of the same tokens; together they must not be more than 1."
            )
        self._generator: torch.Generator | None = None
        self._beginnings = WordBeginnings(self.tokenizer)

    def __call__(self, features: Sequence[Any], return_tensors: str | None = None) -> Batch:
        columns = columns_of([row if isinstance(row, Mapping) else {"input_ids": row} for row in features])
        if "input_ids" not in columns:
            raise InputError(f"nothing to learn: expected a column 'input_ids', found {sorted(columns)}.")
        columns.pop("labels", None)
        words = self._words(columns)
        batch = finished(padded_texts(self.tokenizer, columns, multiple=self.pad_to_multiple_of), "pt")
        ids, special = batch["input_ids"], batch.pop("special_tokens_mask", None)
        rectangle = Rectangle([len(text) for text in columns["input_ids"]], ids.shape[1], padding_side(self.tokenizer))
        real = batch["attention_mask"].bool() if "attention_mask" in columns else torch.from_numpy(rectangle.real)
        if self.mlm:
            own = real & ~self._special(ids, special)
            batch["input_ids"], batch["labels"] = self._hide(ids, own, self._first_tokens(ids, own, rectangle, words))
        else:
            batch["labels"] = ids.masked_fill(~real, IGNORED)
        return finished(batch, return_tensors or self.return_tensors)

    def _words(self, columns: Columns) -> Columns:
        """What the rows say of words, taken out of the columns."""
        words = {name: columns.pop(name) for name in ("word_ids", "offset_mapping") if name in columns}
        if "word_ids" in words:
            # no word: a special token
            words["word_ids"] = [[-1 if word is None else word for word in row] for row in words["word_ids"]]
        return {name: [np.asarray(row) for row in values] for name, values in words.items()}

    def _special(self, ids: Tensor, given: Tensor | None) -> Tensor:
        if given is not None:
            return given.bool()
        return torch.isin(ids, torch.tensor(sorted(self.tokenizer.all_special_ids), dtype=ids.dtype))

    def _first_tokens(self, ids: Tensor, own: Tensor, rectangle: Rectangle, words: Columns) -> Tensor | None:
        """Which tokens begin a word, (B, T), when whole words are hidden."""
        if not self.whole_word_mask:
            return None
        told = {name: torch.from_numpy(rectangle.fill(values, name, -1)) for name, values in words.items()}
        return self._beginnings(ids, own, told.get("word_ids"), told.get("offset_mapping"))

    def _hide(self, ids: Tensor, own: Tensor, begins: Tensor | None) -> tuple[Tensor, Tensor]:
        """The ids with some of the texts' `own` tokens hidden, and what these were.

        Drawn in the order in which others draw, so that a seed chooses the same tokens.
        """
        generator = self._own_chance()
        chosen = self._draw(self.mlm_probability * (own if begins is None else begins), generator)
        if begins is not None:
            # a token goes with the latest one that began a word
            places = torch.arange(ids.shape[1]) * begins
            chosen = chosen.gather(1, places.cummax(1).values) & own
        labels = ids.masked_fill(~chosen, IGNORED)
        masked = self._draw(torch.full(ids.shape, float(self.mask_replace_prob)), generator) & chosen
        hidden = ids.masked_fill(masked, self.tokenizer.mask_token_id)
        if self.mask_replace_prob == 1 or self.random_replace_prob == 0:
            return hidden, labels
        share = self.random_replace_prob / (1 - self.mask_replace_prob)
        swapped = self._draw(torch.full(ids.shape, min(share, 1.0)), generator) & chosen & ~masked
        words = torch.randint(len(self.tokenizer), ids.shape, dtype=ids.dtype, generator=generator)
        return torch.where(swapped, words, hidden), labels

    def _draw(self, chances: Tensor, generator: torch.Generator | None) -> Tensor:
        return torch.bernoulli(chances, generator=generator).bool()

    def _own_chance(self) -> torch.Generator | None:
        if self.seed is not None and self._generator is None:
            worker = torch.utils.data.get_worker_info()
            self._generator = torch.Generator().manual_seed(self.seed + (worker.id if worker is not None else 0))
        return self._generator


@dataclass
class DataCollatorForWholeWordMask(DataCollatorForLanguageModeling):
    """Masked language modelling by whole words: the older name of `whole_word_mask=True`."""

    whole_word_mask: bool = True
