"""Scores for names in texts: an entity counts as found when its kind and both its ends are right (CoNLL 2003)."""

from collections.abc import Iterable, Sequence


def entities(tags: Sequence[str]) -> set[tuple[str, int, int]]:
    """(kind, first, last + 1) of the entities in tags such as B-PER I-PER O; an I- that continues none begins one."""
    found, kind, start = set(), "", 0
    for place, tag in enumerate([*tags, "O"]):
        prefix, _, named = tag.partition("-")
        if kind and (prefix in ("O", "B", "S", "U") or named != kind):
            found.add((kind, start, place))
            kind = ""
        if prefix != "O" and not kind:
            kind, start = named, place
    return found


def entity_scores(true: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]]) -> dict[str, float]:
    """entity_precision, entity_recall and entity_f1 over all texts, of their `true` and `predicted` tags.

    0 where there is nothing to divide by.
    """
    right = expected = found = 0
    for one, other in zip(map(entities, true), map(entities, predicted), strict=True):
        right, expected, found = right + len(one & other), expected + len(one), found + len(other)
    return {
        "entity_precision": right / found if found else 0.0,
        "entity_recall": right / expected if expected else 0.0,
        "entity_f1": 2 * right / (found + expected) if found + expected else 0.0,
    }
