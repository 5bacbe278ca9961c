"""From a class for every token to the entities of a text: the aggregation strategies.

T tokens  C classes
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

STRATEGIES = ("none", "simple", "first", "average", "max")


@dataclass(frozen=True)
class Tokens:
    """The tokens of one text without the special ones.

    `spans` are the characters each came from, `numbers` its place among all tokens of the text, `continues` whether it
    goes on with the word of the token before; `scores` (T, C) are probabilities.
    """

    words: list[str]
    spans: list[tuple[int, int]]
    numbers: list[int]
    continues: list[bool]
    scores: NDArray[Any]


@dataclass(frozen=True)
class Piece:
    """A token, or a word, with its class."""

    label: str
    score: float
    words: list[str]
    start: int
    end: int


def find_entities(
    tokens: Tokens,
    strategy: str,
    labels: Mapping[int, str],
    ignored: Collection[str],
    join: Callable[[list[str]], str],
) -> list[dict[str, Any]]:
    """What a pipeline answers for one text; `join` makes a text of tokens.

    "none": every token whose label is not ignored. Otherwise tokens (with "simple") or words (with the others) that
    follow one another with the same label are one entity; B- begins a new one. The label of a word is that of its
    first token ("first"), of its most certain token ("max"), or the best of the mean probabilities ("average").
    """
    if not tokens.words:
        return []
    if strategy == "none":
        return _single_tokens(tokens, labels, ignored)
    pieces = _token_pieces(tokens, labels) if strategy == "simple" else _word_pieces(tokens, strategy, labels)
    entities = [_entity(group, join) for group in _neighbours(pieces)]
    return [entity for entity in entities if entity["entity_group"] not in ignored]


def _single_tokens(tokens: Tokens, labels: Mapping[int, str], ignored: Collection[str]) -> list[dict[str, Any]]:
    best, classes = tokens.scores.max(1).tolist(), tokens.scores.argmax(1).tolist()
    return [
        {
            "entity": labels[classes[i]],
            "score": best[i],
            "index": tokens.numbers[i],
            "word": tokens.words[i],
            "start": tokens.spans[i][0],
            "end": tokens.spans[i][1],
        }
        for i in range(len(classes))
        if labels[classes[i]] not in ignored
    ]


def _token_pieces(tokens: Tokens, labels: Mapping[int, str]) -> list[Piece]:
    best, classes = tokens.scores.max(1).tolist(), tokens.scores.argmax(1).tolist()
    return [Piece(labels[classes[i]], best[i], [tokens.words[i]], *tokens.spans[i]) for i in range(len(classes))]


def _word_pieces(tokens: Tokens, strategy: str, labels: Mapping[int, str]) -> list[Piece]:
    starts = [i for i, continues in enumerate(tokens.continues) if i == 0 or not continues]
    pieces = []
    for start, end in zip(starts, [*starts[1:], len(tokens.words)], strict=True):
        scores = tokens.scores[start:end]
        if strategy == "first":
            chosen = scores[0]
        elif strategy == "max":
            chosen = scores[scores.max(1).argmax()]
        else:
            chosen = scores.mean(0)
        best = int(chosen.argmax())
        words = tokens.words[start:end]
        pieces.append(Piece(labels[best], float(chosen[best]), words, tokens.spans[start][0], tokens.spans[end - 1][1]))
    return pieces


def _neighbours(pieces: list[Piece]) -> list[list[Piece]]:
    """Pieces that follow one another with the same label; B- begins a new group."""
    groups: list[list[Piece]] = []
    for piece in pieces:
        begins, name = _label_parts(piece.label)
        if groups and not begins and _label_parts(groups[-1][-1].label)[1] == name:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    return groups


def _label_parts(label: str) -> tuple[bool, str]:
    """Whether a label says that an entity begins, and the label without B- or I-."""
    return label.startswith("B-"), label[2:] if label.startswith(("B-", "I-")) else label


def _entity(group: list[Piece], join: Callable[[list[str]], str]) -> dict[str, Any]:
    return {
        "entity_group": group[0].label.split("-", 1)[-1],
        "score": sum(piece.score for piece in group) / len(group),
        "word": join([word for piece in group for word in piece.words]),
        "start": group[0].start,
        "end": group[-1].end,
    }
