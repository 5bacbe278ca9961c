"""A body for text: tokens in, one hidden state per token out. Encoders and decoders alike."""

# B batch  T tokens  S tokens so far  N packed tokens  E hidden
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from madang.blocks.context import Cache, Context, Memory, States
from madang.bodies.stack import Stack
from madang.errors import InputError
from madang.ops.packing import Padded, Row, choose_layout, texts_in_row


class TextBody(Stack):
    """Embedding, blocks, norm; for some families a relative-position part that all blocks share, and a pooler.

    `longest` is the number of tokens that positions were learned for, None when there is no such limit. `types` is the
    number of token types, 0 when the family has none. `causal` bodies can produce text with a cache.
    """

    def __init__(
        self,
        embed: nn.Module,
        blocks: Sequence[nn.Module],
        norm: nn.Module | None = None,
        *,
        relative: nn.Module | None = None,
        pooler: nn.Module | None = None,
        longest: int | None = None,
        types: int = 0,
        causal: bool = False,
    ) -> None:
        super().__init__(embed, blocks, norm)
        self.relative, self.pooler = relative, pooler
        self.longest, self.types, self.causal = longest, types, causal

    @property
    def input_names(self) -> tuple[str, ...]:
        """The inputs this body understands, in the order in which they may be given without names."""
        names = ["input_ids", "attention_mask"]
        names += ["token_type_ids"] * (self.types > 0) + ["position_ids", "inputs_embeds"]
        return (*names, *(["past_key_values", "use_cache"] if self.causal else []))

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
        inputs_embeds: Tensor | None = None,
        past_key_values: Cache | None = None,
        use_cache: bool = False,
        memory: Memory | None = None,
        record: tuple[str, ...] = (),
        plain: bool = False,
        first_only: bool = False,
    ) -> States:
        """Ids (B, T) or vectors (B, T, E), mask (B, S) with 1 = real -> States of the tokens.

        Padding takes no part in the computation. `record` may hold "hidden_states" and "attentions". With `first_only`
        the caller reads nothing but the first token of each text, and the last block may leave out the others.

        A single row may be made of several texts: without a mask and a cache a text begins wherever `position_ids`
        go back to where the row began, and tokens of different texts do not see one another.
        """
        begun = use_cache or any(given is not None for given in (attention_mask, past_key_values, memory))
        row = None if begun else self._texts(position_ids, inputs_embeds if input_ids is None else input_ids)
        if row is not None:
            inputs = {"input_ids": input_ids, "token_type_ids": token_type_ids, "inputs_embeds": inputs_embeds}
            return self._run_apart(row, {**inputs, "position_ids": position_ids}, record, plain)
        batch, width, device = self._check(input_ids, inputs_embeds, attention_mask, token_type_ids)
        cache = past_key_values if past_key_values is not None else (Cache() if use_cache else None)
        seen = cache.length if cache is not None else 0
        plain = plain or "attentions" in record
        if position_ids is None:
            position_ids = self.embed.number(input_ids, batch, width, seen, device)
        elif position_ids.shape[0] != batch:
            position_ids = position_ids.expand(batch, width)
        layout = (
            choose_layout((batch, width), attention_mask, pack=not plain) if cache is None else Padded(batch, width)
        )
        keys = Padded(batch, seen + width, _hidden_keys(attention_mask, seen + width)) if cache is not None else None
        context = Context(layout, layout.pack(position_ids), keys, cache, memory, plain=plain)
        for name in record:
            setattr(context, name, [])
        if self.relative is not None:
            context.relative = self.relative(width, seen + width, device)
        x = self._embed(input_ids, token_type_ids, inputs_embeds, context)
        first_only = first_only and self.can_ask_first(context)
        x = self.run(x, context, first_only=first_only)
        layout = Padded(batch, 1) if first_only else layout
        if cache is not None:
            cache.advance(width)
        return States(
            x,
            layout,
            pooled=None if self.pooler is None else self.pooler(layout.first(x)),
            cache=cache,
            hidden_states=_frozen(context.hidden_states),
            attentions=_frozen(context.attentions),
            cross_attentions=_frozen(context.cross_attentions),
            input_ids=input_ids,
            attention_mask=attention_mask,
        )

    def _texts(self, positions: Tensor | None, given: Tensor | None) -> Row | None:
        """The texts that a single row is made of, when it is made of several."""
        if positions is None or given is None or len(given) != 1 or positions.shape != given.shape[:2]:
            return None
        row, first = texts_in_row(positions), int(self.embed.number.first)
        if row is not None and int(positions[0, 0]) < first:
            raise InputError(
                f"the texts of this row have positions from {int(positions[0, 0])} on, but this model counts from "
                f"{first}: DataCollatorWithFlattening(position_ids_start={first})."
            )
        return row

    def _run_apart(self, row: Row, inputs: dict[str, Tensor | None], record: tuple[str, ...], plain: bool) -> States:
        """The texts of a row as a batch of their own, and their tokens in a row again."""
        parts: dict[str, Any] = {name: None if part is None else row.apart(part) for name, part in inputs.items()}
        states = self.forward(**parts, attention_mask=row.mask, record=record, plain=plain)
        return States(
            row.together(states.padded()),
            Padded(1, len(row.cells)),
            # that of the first token, as of any row
            pooled=None if states.pooled is None else states.pooled[:1],
            hidden_states=_each(row.together, states.hidden_states),
            attentions=_each(row.pairs_together, states.attentions),
            input_ids=inputs["input_ids"],
        )

    def _embed(self, ids: Any, types: Tensor | None, vectors: Tensor | None, context: Context) -> Tensor:
        layout = context.layout
        packed_types = None if types is None else layout.pack(types)
        try:
            x = layout.pack(vectors) if ids is None and vectors is not None else self.embed.tokens(layout.pack(ids))
            return self.embed(x, context.positions, packed_types)
        except IndexError as error:
            raise self._out_of_range(ids, types, context.positions) from error

    def _out_of_range(self, ids: Tensor | None, types: Tensor | None, positions: Tensor) -> InputError:
        """Which of the indices had no row in its table; asked only after the look-up failed."""
        known = self.embed.tokens.num_embeddings
        if ids is not None and (int(ids.max()) >= known or int(ids.min()) < 0):
            found = f"input_ids go from {int(ids.min())} to {int(ids.max())}"
            return InputError(
                f"{found}, but this model knows the ids 0 to {known - 1}. Is this the model's own tokenizer?"
            )
        if types is not None and int(types.max()) >= self.types:
            return InputError(
                f"token_type_ids go up to {int(types.max())}, but this model has {self.types} token type(s), from 0. "
                "Leave token_type_ids out, or use the model's own tokenizer."
            )
        return InputError(self._too_long(int(positions.max()) + 1))

    def _too_long(self, found: int) -> str:
        return (
            f"a text of {found} tokens is longer than the {self.longest} positions this model has. "
            f"Cut it with tokenizer(..., truncation=True, max_length={self.longest})."
        )

    def _check(
        self, ids: Tensor | None, vectors: Tensor | None, mask: Tensor | None, types: Tensor | None
    ) -> tuple[int, int, torch.device]:
        if (ids is None) == (vectors is None):
            raise InputError("give either input_ids (B, T) or inputs_embeds (B, T, hidden), one of the two.")
        given = ids if ids is not None else vectors
        assert given is not None
        if ids is not None and (ids.is_floating_point() or ids.dtype == torch.bool):
            raise InputError(f"input_ids are {ids.dtype}; they must be whole numbers, as the tokenizer gives them.")
        if given.ndim != (2 if ids is not None else 3):
            raise InputError(f"input_ids must have the shape (batch, tokens); found {tuple(given.shape)}.")
        if given.shape[1] == 0:
            raise InputError("the texts have no tokens at all; each needs at least one.")
        if self.longest is not None and given.shape[1] > self.longest and not self._short(mask):
            raise InputError(self._too_long(given.shape[1]))
        if mask is not None and mask.ndim != 2:
            raise InputError(
                f"attention_mask must have the shape (batch, tokens), 1 for real; found {tuple(mask.shape)}."
            )
        if mask is not None and (mask.shape[0] != given.shape[0] or mask.shape[1] < given.shape[1]):
            raise InputError(f"attention_mask {tuple(mask.shape)} does not cover the texts {tuple(given.shape[:2])}.")
        if types is not None and not self.types:
            raise InputError("this model has no token types; leave token_type_ids out.")
        return given.shape[0], given.shape[1], given.device

    def _short(self, mask: Tensor | None) -> bool:
        """Whether every text fits although the rectangle is wider."""
        return mask is not None and int(mask.long().sum(1).max()) <= (self.longest or 0)


def _hidden_keys(mask: Tensor | None, width: int) -> Tensor | None:
    """The mask over all keys so far, or None when it hides nothing."""
    if mask is None or bool((mask != 0).all()):
        return None
    if mask.shape[1] != width:
        raise InputError(f"attention_mask has {mask.shape[1]} columns, but cache and new tokens together are {width}.")
    return mask != 0


def _each(change: Callable[[Tensor], Tensor], recorded: tuple[Tensor, ...] | None) -> tuple[Tensor, ...] | None:
    return None if recorded is None else tuple(map(change, recorded))


def _frozen(recorded: list[Tensor] | None) -> tuple[Tensor, ...] | None:
    return None if recorded is None else tuple(recorded)
