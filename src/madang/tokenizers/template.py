"""Where special tokens go around texts, read from the Rust post-processor so that ids can be joined without text."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tokenizers import Tokenizer, processors

FIRST, SECOND = "A", "B"


@dataclass(frozen=True)
class Piece:
    """One stretch of a template: the first text, the second text, or some special tokens; and its token type."""

    text: str | None
    ids: tuple[int, ...]
    type_id: int


@dataclass(frozen=True)
class Joined:
    """Ids of one or two texts with the special tokens in place."""

    ids: list[int]
    type_ids: list[int]
    special_mask: list[int]


@dataclass(frozen=True)
class Template:
    """What stands before, between and after one text and two texts."""

    single: tuple[Piece, ...] = (Piece(FIRST, (), 0),)
    pair: tuple[Piece, ...] = (Piece(FIRST, (), 0), Piece(SECOND, (), 1))

    def count(self, *, pair: bool) -> int:
        """How many special tokens are added to one text, or to a pair."""
        return sum(len(piece.ids) for piece in (self.pair if pair else self.single))

    def single_types_are_zero(self) -> bool:
        """Whether every token of a text that comes alone has type 0."""
        return all(piece.type_id == 0 for piece in self.single)

    def join(self, first: Sequence[int], second: Sequence[int] | None = None, *, special: bool = True) -> Joined:
        """Put the ids of one text, or of two, together, with or without the special tokens."""
        joined = Joined([], [], [])
        for piece in self.single if second is None else self.pair:
            if piece.text is None and not special:
                continue
            ids = piece.ids if piece.text is None else first if piece.text == FIRST else second or ()
            joined.ids.extend(ids)
            joined.type_ids.extend([piece.type_id] * len(ids))
            joined.special_mask.extend([int(piece.text is None)] * len(ids))
        return joined

    def ends(self) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
        """The special ids before and after a text that comes alone; None when they stand elsewhere, too."""
        texts = [index for index, piece in enumerate(self.single) if piece.text is not None]
        if len(texts) != 1:
            return None
        before, after = self.single[: texts[0]], self.single[texts[0] + 1 :]
        return _ids(before), _ids(after)


def _ids(pieces: Sequence[Piece]) -> tuple[int, ...]:
    return tuple(number for piece in pieces for number in piece.ids)


def template_between(backend: Tokenizer, first: str | None, last: str | None) -> processors.TemplateProcessing:
    """The post-processor that puts `first` before and `last` after every text; the second of a pair has type 1."""
    one = [f"{first}:0"] * (first is not None) + ["$A:0"] + [f"{last}:0"] * (last is not None)
    two = [f"{first}:1"] * (first is not None) + ["$B:1"] + [f"{last}:1"] * (last is not None)
    named = {token: backend.token_to_id(token) for token in (first, last) if token is not None}
    return processors.TemplateProcessing(single=one, pair=one + two, special_tokens=list(named.items()))


def template_of(backend: Tokenizer) -> Template:
    """The template of a Rust tokenizer's post-processor; nothing added where it has none."""
    if backend.post_processor is None:
        return Template()
    return _read(json.loads(backend.post_processor.__getstate__()))


def _read(processor: dict[str, Any]) -> Template:
    kind = processor["type"]
    if kind == "Sequence":
        for part in processor["processors"]:
            if part["type"] != "ByteLevel":
                return _read(part)
        return Template()
    if kind == "TemplateProcessing":
        known = processor["special_tokens"]
        return Template(_pieces(processor["single"], known), _pieces(processor["pair"], known))
    if kind in ("BertProcessing", "RobertaProcessing"):
        start, end = (processor["cls"][1],), (processor["sep"][1],)
        single = (Piece(None, start, 0), Piece(FIRST, (), 0), Piece(None, end, 0))
        if kind == "BertProcessing":
            return Template(single, (*single, Piece(SECOND, (), 1), Piece(None, end, 1)))
        return Template(single, (*single, Piece(None, end, 0), Piece(SECOND, (), 0), Piece(None, end, 0)))
    return Template()


def _pieces(template: list[dict[str, Any]], known: dict[str, Any]) -> tuple[Piece, ...]:
    pieces = []
    for item in template:
        if "Sequence" in item:
            pieces.append(Piece(item["Sequence"]["id"], (), item["Sequence"]["type_id"]))
        else:
            special = item["SpecialToken"]
            pieces.append(Piece(None, tuple(known[special["id"]]["ids"]), special["type_id"]))
    return tuple(pieces)
