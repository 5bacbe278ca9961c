"""Where words begin among the tokens of a text."""

# B texts  T tokens
from typing import Any

import torch
from torch import Tensor

from madang.errors import InputError

_CONTINUES, _BEGINS = "##", ("▁", "Ġ")


class WordBeginnings:
    """Says which tokens begin a word, from whatever there is, the surest first.

    1. A column `word_ids`: the number of each token's word, as `tokenizer(...).word_ids()` gives it.
    2. The tokenizer's pieces: those that go on are marked ("##"), or those that begin ("▁", "Ġ").
    3. A column `offset_mapping`: a word begins where a token does not touch the one before. This comes last, because
       many tokenizers count the blank before a word as part of it, so that all words touch.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._table: Tensor | None = None  # (vocabulary,) whether a piece begins a word
        self._asked = False

    def __call__(self, ids: Tensor, real: Tensor, word_ids: Tensor | None, offsets: Tensor | None) -> Tensor:
        """(B, T) ids, (B, T) whether a token is part of a text -> (B, T). A word never reaches over others' tokens."""
        after_other = torch.ones_like(real)
        after_other[:, 1:] = ~real[:, :-1]
        return real & (after_other | self._differs(ids, word_ids, offsets))

    def _differs(self, ids: Tensor, word_ids: Tensor | None, offsets: Tensor | None) -> Tensor:
        differs = torch.ones(ids.shape, dtype=torch.bool)
        if word_ids is not None:
            differs[:, 1:] = (word_ids[:, 1:] != word_ids[:, :-1]) | (word_ids[:, 1:] < 0)
            return differs
        table = self._pieces(ids)
        if table is not None:
            return table[ids]
        if offsets is not None:
            differs[:, 1:] = offsets[:, 1:, 0] != offsets[:, :-1, 1]
            return differs
        raise InputError(
            "whole_word_mask=True must know where words begin, and this tokenizer's pieces carry no mark of it "
            "('##', '▁' or 'Ġ'). Keep the numbers of the words when tokenizing, as a column 'word_ids' "
            "([tokens.word_ids(i) for i in range(len(texts))]), or return_offsets_mapping=True."
        )

    def _pieces(self, ids: Tensor) -> Tensor | None:
        """The table of pieces, made anew when tokens were added; None when nothing marks words."""
        known = getattr(self._tokenizer, "get_vocab", None)
        if known is None:
            return None
        if not self._asked or (self._table is not None and int(ids.max()) >= len(self._table)):
            self._asked, self._table = True, _table(known())
        return self._table


def _table(vocabulary: dict[str, int]) -> Tensor | None:
    counts = {
        mark: sum(piece.startswith(mark) and len(piece) > len(mark) for piece in vocabulary)
        for mark in (_CONTINUES, *_BEGINS)
    }
    mark = max(counts, key=counts.__getitem__)
    # any large vocabulary has a few pieces that look like a mark
    if counts[mark] * 100 < len(vocabulary):
        return None
    begins = torch.ones(max(vocabulary.values()) + 1, dtype=torch.bool)
    marked = torch.tensor([number for piece, number in vocabulary.items() if piece.startswith(mark)])
    if mark == _CONTINUES:
        begins[marked] = False
    else:
        begins[:] = False
        begins[marked] = True
    return begins
