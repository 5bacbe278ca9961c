"""What one forward pass knows and every block may need; it travels so that block signatures never grow."""

# B batch  T tokens  S tokens so far  K key/value heads  D head size
from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from madang.ops.packing import Layout, Padded
from madang.ops.rotary import Rotary


class Cache:
    """Keys and values of the tokens seen so far, for each attention of a model; grows as tokens are produced.

    Room is doubled when it runs out, so a text of n tokens is copied log(n) times instead of n times.
    """

    def __init__(self) -> None:
        self.length = 0  # tokens seen in complete forward passes
        self._kept: dict[nn.Module, tuple[Tensor, Tensor]] = {}
        self._memory: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def extend(self, attention: nn.Module, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Append (B, T, K, D) keys and values of `attention`; returns all so far, (B, S, K, D)."""
        end = self.length + key.shape[1]
        if attention not in self._kept:
            self._kept[attention] = (key, value)
            return key, value
        kept = tuple(_grown(room, end) for room in self._kept[attention])
        kept[0][:, self.length : end] = key
        kept[1][:, self.length : end] = value
        self._kept[attention] = (kept[0], kept[1])
        return kept[0][:, :end], kept[1][:, :end]

    def remember(self, attention: nn.Module, key: Tensor, value: Tensor) -> None:
        """Keep the keys and values that a cross attention made of the encoder's tokens: they never change."""
        self._memory[attention] = (key, value)

    def remembered(self, attention: nn.Module) -> tuple[Tensor, Tensor] | None:
        """What `remember` kept for this cross attention, or None."""
        return self._memory.get(attention)

    def advance(self, tokens: int) -> None:
        """Every attention has seen `tokens` more."""
        self.length += tokens

    def reorder(self, rows: Tensor) -> None:
        """Continue row i from what row rows[i] has seen (for strategies that follow several texts)."""
        for kept in (self._kept, self._memory):
            for attention, (key, value) in kept.items():
                kept[attention] = (key.index_select(0, rows), value.index_select(0, rows))

    def get_seq_length(self, layer: int = 0) -> int:
        """Tokens seen so far, under the name that other libraries give it."""
        return self.length


def _grown(room: Tensor, needed: int) -> Tensor:
    """`room` (B, S, K, D) itself when it holds `needed` tokens, else a larger copy."""
    if room.shape[1] >= needed:
        return room
    larger = room.new_empty(room.shape[0], max(2 * room.shape[1], needed, 32), *room.shape[2:])
    larger[:, : room.shape[1]] = room
    return larger


@dataclass
class Memory:
    """What an encoder-decoder's decoder attends to: the encoder's tokens and how they lie."""

    tokens: Tensor
    layout: Layout


@dataclass
class Context:
    """One forward pass: the layout of its tokens, their positions, and what it collects on the way.

    `keys` is the layout of the keys where it differs from that of the queries (with a cache). `relative` holds what a
    body worked out once for all its blocks: the bias of each distance, or a table of distances. Recorders are lists
    when the caller asked for them, else None. `first_only` tells the last block that nobody reads what becomes of any
    but the first token of each text.
    """

    layout: Layout
    positions: Tensor
    keys: Layout | None = None
    cache: Cache | None = None
    memory: Memory | None = None
    relative: Any = None
    plain: bool = False
    first_only: bool = False
    hidden_states: list[Tensor] | None = None
    attentions: list[Tensor] | None = None
    cross_attentions: list[Tensor] | None = None
    _angles: dict[tuple[int, torch.dtype], tuple[Tensor, Tensor]] = field(default_factory=dict, repr=False)

    def angles(self, rotary: Rotary, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Cosines and sines of all positions, worked out once for all layers that share `rotary`."""
        if (id(rotary), dtype) not in self._angles:
            self._angles[id(rotary), dtype] = rotary.angles(self.positions, dtype)
        return self._angles[id(rotary), dtype]

    def asked(self, x: Tensor) -> Tensor:
        """Of all tokens those that a block is to work out: all of them, or the first of each text, (B, 1, E)."""
        return self.layout.first(x).unsqueeze(1) if self.first_only else x

    @property
    def asked_layout(self) -> Layout:
        """How the tokens lie that `asked` gives."""
        return Padded(self.layout.batch, 1) if self.first_only else self.layout

    def record(self, x: Tensor) -> None:
        """Keep the hidden states between two blocks, in the padded shape, when they were asked for."""
        if self.hidden_states is not None:
            self.hidden_states.append(self.layout.unpack(x))


@dataclass
class States:
    """What a body hands to a head: hidden states of the tokens as they lie, and what was recorded on the way."""

    tokens: Tensor
    layout: Layout
    pooled: Tensor | None = None
    cache: Cache | None = None
    hidden_states: tuple[Tensor, ...] | None = None
    attentions: tuple[Tensor, ...] | None = None
    cross_attentions: tuple[Tensor, ...] | None = None
    encoder: States | None = None
    input_ids: Tensor | None = None
    attention_mask: Tensor | None = None

    def padded(self) -> Tensor:
        """The hidden states as a rectangle, (B, T, E); zeros where there is padding."""
        return self.layout.unpack(self.tokens)
