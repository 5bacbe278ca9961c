"""Padding and truncation as people write them."""

from enum import StrEnum
from typing import Any

import pytest

from madang.errors import UnknownNameError
from madang.tokenizers.options import NO_LIMIT, Padding, Truncation, padding_strategy, resolve, truncation_strategy


class Strategy(StrEnum):
    """Like the enums of other libraries."""

    LONGEST = "longest"
    ONLY_FIRST = "only_first"


@pytest.mark.parametrize(
    ("asked", "meant"), [(True, "longest"), (False, "do_not_pad"), (None, "do_not_pad"), (Strategy.LONGEST, "longest")]
)
def test_padding_spellings(asked: Any, meant: str) -> None:
    assert padding_strategy(asked) == meant


@pytest.mark.parametrize(
    ("asked", "meant"), [(True, "longest_first"), (None, "do_not_truncate"), (Strategy.ONLY_FIRST, "only_first")]
)
def test_truncation_spellings(asked: Any, meant: str) -> None:
    assert truncation_strategy(asked) == meant


def test_unknown_spellings_name_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'max_length'"):
        padding_strategy("max_lenght")
    with pytest.raises(UnknownNameError, match="Did you mean 'only_first'"):
        truncation_strategy("first_only_first")


def meant(limit: int = 512, **given: Any) -> tuple[Padding | None, Truncation | None]:
    options = {"padding": False, "truncation": None, "max_length": None, "stride": 0, "multiple": None}
    sides = {"padding_side": "right", "truncation_side": "right"}
    return resolve(**{**options, **sides, **given}, limit=limit, verbose=False)  # type: ignore[arg-type]


def test_lengths_come_from_the_argument_then_from_the_model() -> None:
    assert meant(truncation=True) == (None, Truncation(512))
    assert meant(truncation=True, max_length=9, stride=2) == (None, Truncation(9, stride=2))
    assert meant(padding="max_length") == (Padding(512), None)
    assert meant(padding="max_length", max_length=9) == (Padding(9), None)
    assert meant(padding=True, max_length=9) == (Padding(), None)
    assert meant(padding="max_length", truncation=True, limit=NO_LIMIT) == (None, None)


def test_max_length_alone_truncates_unless_told_not_to() -> None:
    assert meant(max_length=9) == (None, Truncation(9))
    assert meant(max_length=9, truncation=False) == (None, None)


def test_targets_are_rounded_up() -> None:
    assert Padding(multiple=8).target(9) == 16
    assert Padding(multiple=8).target(16) == 16
    assert Padding(length=10).target(3) == 10
