"""What people pass as texts, brought into the two shapes the Rust tokenizer takes, or refused with the place named."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError


@dataclass(frozen=True)
class Texts:
    """Texts ready for the Rust tokenizer: each item a str, a list of words, or a tuple of two of these."""

    items: list[Any]
    single: bool
    pairs: bool


def read_texts(text: Any, text_pair: Any, *, words: bool) -> Texts:
    """Sort out `text` and `text_pair`: one text or many, pairs or not, whole or already split into `words`.

    Raises InputError that names the position and the type of what is not a text.
    """
    first, single = (_words if words else _whole)(text, "text")
    if text_pair is None:
        if not words and not single and first and not isinstance(first[0], str):
            return Texts(_pairs(first), single=False, pairs=True)
        return Texts(_checked(first, words=words, single=single, name="text"), single=single, pairs=False)
    first = _checked(first, words=words, single=single, name="text")
    second, second_single = (_words if words else _whole)(text_pair, "text_pair")
    if single != second_single:
        found = ("one text", "several texts")
        raise InputError(
            f"`text` is {found[not single]} but `text_pair` is {found[not second_single]}; "
            "give both as one text, or both as lists of the same length."
        )
    second = _checked(second, words=words, single=single, name="text_pair")
    if len(first) != len(second):
        raise InputError(
            f"`text` has {len(first)} items and `text_pair` has {len(second)}; every text needs its partner."
        )
    return Texts(list(zip(first, second, strict=True)), single=single, pairs=True)


def _whole(value: Any, name: str) -> tuple[list[Any], bool]:
    """`value` as a list of items and whether it was a single text."""
    if isinstance(value, str):
        return [value], True
    return as_list(value, name), False


def _words(value: Any, name: str) -> tuple[list[Any], bool]:
    """The same for texts already split: a list of words is one text, a list of such lists several."""
    if isinstance(value, str):
        raise InputError(
            f"`{name}` is one str, but is_split_into_words=True expects a list of words (or a list of such lists)."
        )
    items = as_list(value, name)
    if not items or isinstance(items[0], str):
        return [items], True
    return items, False


def as_list(value: Any, name: str = "text") -> list[Any]:
    """The items of a list, tuple, numpy array, pandas Series, pyarrow array, dataset column or generator, as a list."""
    if type(value) is list:
        return value
    if hasattr(value, "to_pylist"):
        return list(value.to_pylist())
    if hasattr(value, "tolist") and not isinstance(value, (bytes, Mapping)):
        listed = value.tolist()
        if isinstance(listed, list):
            return listed
    elif isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, Mapping)):
        return list(value)
    raise InputError(
        f"`{name}` is {_described(value)}; expected a text (str), a list of texts, or a list of pairs of texts."
    )


def _checked(items: list[Any], *, words: bool, single: bool, name: str) -> list[Any]:
    if not words:
        if not set(map(type, items)) <= {str}:
            return [_text(item, name, index) for index, item in enumerate(items)]
        return list(items)
    checked = []
    for index, item in enumerate(items):
        place = name if single else f"{name}[{index}]"
        if isinstance(item, str):
            raise InputError(f"`{place}` is a str, but is_split_into_words=True expects a list of words there.")
        listed = as_list(item, place)
        checked.append([_text(word, place, position) for position, word in enumerate(listed)])
    return checked


def _pairs(items: list[Any]) -> list[tuple[str, str]]:
    pairs = []
    for index, item in enumerate(items):
        if isinstance(item, (str, bytes, Mapping)) or not hasattr(item, "__len__"):
            raise InputError(
                f"`text[{index}]` is {_described(item)} where a text, or a pair like the items before, is expected."
            )
        if len(item) != 2:
            raise InputError(
                f"`text[{index}]` has {len(item)} items; a pair has 2. "
                "For texts already split into words pass is_split_into_words=True."
            )
        pairs.append((_text(item[0], f"text[{index}]", 0), _text(item[1], f"text[{index}]", 1)))
    return pairs


def _text(value: Any, name: str, index: int) -> str:
    if isinstance(value, str):
        return str(value)
    raise InputError(
        f"`{name}[{index}]` is {_described(value)}; expected a text (str). Replace or drop missing values first."
    )


def _described(value: Any) -> str:
    if value is None:
        return "None"
    shown = repr(value)
    return f"of type {type(value).__name__} ({shown if len(shown) <= 40 else shown[:37] + '...'})"


def bad_unicode(items: list[Any]) -> InputError | None:
    """The error for the first text that holds half a surrogate pair and so cannot be UTF-8; None when all can."""
    for index, item in enumerate(items):
        for part in [item] if isinstance(item, str) else item:
            for text in [part] if isinstance(part, str) else part:
                try:
                    text.encode("utf-8")
                except UnicodeEncodeError as error:
                    return InputError(
                        f"`text[{index}]` cannot be written as UTF-8 ({error.reason} at character {error.start}). "
                        "Clean it with text.encode('utf-8', 'replace').decode()."
                    )
    return None
