"""Padding and truncation as people ask for them, turned into two plain values."""

import warnings
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError, unknown_name

# model_max_length when no file says one; the number itself is what people compare with
NO_LIMIT = int(1e30)
# above this a limit is not meant
LARGE = int(1e20)

SIDES = ("right", "left")


@dataclass(frozen=True)
class Truncation:
    """Cut texts to at most `max_length` tokens, special ones included."""

    max_length: int
    strategy: str = "longest_first"
    stride: int = 0
    side: str = "right"


@dataclass(frozen=True)
class Padding:
    """Fill texts up: to the longest (`length` None) or to `length` tokens, rounded up to a multiple."""

    length: int | None = None
    multiple: int | None = None
    side: str = "right"

    def target(self, longest: int) -> int:
        """Tokens that every text shorter than this gets, `longest` being the longest text's own length."""
        length = longest if self.length is None else self.length
        if self.multiple:
            length = -(-length // self.multiple) * self.multiple
        return length


def padding_strategy(padding: Any) -> str:
    """`longest`, `max_length` or `do_not_pad` for anything people write as `padding=`."""
    if padding is True:
        return "longest"
    if padding is False or padding is None:
        return "do_not_pad"
    name = str(getattr(padding, "value", padding))
    if name not in ("longest", "max_length", "do_not_pad"):
        raise unknown_name("padding", name, ("longest", "max_length", "do_not_pad", "True", "False"))
    return name


def truncation_strategy(truncation: Any) -> str:
    """`longest_first`, `only_first`, `only_second` or `do_not_truncate` for anything people write as `truncation=`."""
    if truncation is True:
        return "longest_first"
    if truncation is False or truncation is None:
        return "do_not_truncate"
    name = str(getattr(truncation, "value", truncation))
    known = ("longest_first", "only_first", "only_second", "do_not_truncate")
    if name not in known:
        raise unknown_name("truncation", name, (*known, "True", "False"))
    return name


def resolve(
    *,
    padding: Any,
    truncation: Any,
    max_length: int | None,
    stride: int,
    multiple: int | None,
    padding_side: str,
    truncation_side: str,
    limit: int,
    verbose: bool,
) -> tuple[Padding | None, Truncation | None]:
    """The padding and truncation that these arguments mean for a model that takes `limit` tokens.

    `max_length` alone truncates, as it always did. A `max_length` that is asked for but known neither from the
    argument nor from the tokenizer means none, with a warning.
    """
    pad, cut = padding_strategy(padding), truncation_strategy(truncation)
    if max_length is not None and (not isinstance(max_length, int) or max_length < 1):
        raise InputError(f"max_length={max_length!r}: expected a positive number of tokens.")
    if max_length is not None and pad == "do_not_pad" and truncation is None:
        cut = "longest_first"
    known_limit = limit if limit < LARGE else None
    length = max_length if max_length is not None else known_limit
    if length is None and verbose and (pad == "max_length" or cut != "do_not_truncate"):
        asked = "padding='max_length'" if pad == "max_length" else "truncation=True"
        warnings.warn(
            f"{asked} has no effect: this tokenizer has no model_max_length. Pass max_length=.",
            stacklevel=4,
        )
    _check_side(padding_side)
    to_pad = None
    if pad == "longest" or (pad == "max_length" and length is not None):
        to_pad = Padding(length if pad == "max_length" else None, multiple, padding_side)
    if cut == "do_not_truncate" or length is None:
        return to_pad, None
    if multiple and to_pad is not None and length % multiple:
        raise InputError(f"max_length={length} is not a multiple of pad_to_multiple_of={multiple}; choose one that is.")
    return to_pad, Truncation(length, cut, stride, _check_side(truncation_side))


def _check_side(side: str) -> str:
    if side not in SIDES:
        raise unknown_name("side", str(side), SIDES)
    return side
