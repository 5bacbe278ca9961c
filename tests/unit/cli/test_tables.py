"""Tables of text that fit a terminal."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.cli.tables import bars, cut, padded, printable, shared, table, width_of


def test_hangul_takes_two_places_and_accents_none() -> None:
    assert width_of("abc") == 3
    assert width_of("한글 ab") == 7
    assert width_of("e\u0301") == 1
    assert width_of("ㅋｱ") == 3  # a full letter and a narrow one
    assert width_of("") == 0


@given(st.text(), st.integers(1, 20))
def test_a_cut_text_fits(text: str, width: int) -> None:
    assert width_of(cut(printable(text), width)) <= width


@given(st.text())
def test_nothing_printed_can_command_a_terminal(text: str) -> None:
    shown = printable(text)
    assert "\n" not in shown
    assert all(unicodedata.category(letter) not in ("Cc", "Cs", "Co") for letter in shown)


def test_what_cannot_be_printed_is_spelled_out() -> None:
    assert printable("a\r\nb\x1b[31m\tc") == "a↵b\\x1b[31m\\tc"


def test_padding_counts_places() -> None:
    assert padded("한", 4) == "한  "
    assert padded("1", 3, right=True) == "  1"


def test_columns_line_up() -> None:
    lines = table(["제목", "n"], [["가나다", "1"], ["x", "1000"]], [False, True], 40)
    assert lines == ["제목       n", "──────  ────", "가나다     1", "x       1000"]


def test_wide_columns_share_what_narrow_ones_leave() -> None:
    assert shared([3, 50, 60], 43) == [3, 20, 20]
    assert shared([3, 4], 100) == [3, 4]
    lines = table(["a", "b"], [["x" * 50, "y"]], [False, False], 20)
    assert lines[2] == "x" * 16 + "…  y"


@pytest.mark.parametrize("width", [20, 40, 80])
def test_every_line_fits_and_hidden_columns_are_named(width: int) -> None:
    header = [f"column{i}" for i in range(12)]
    lines = table(header, [["한글 값 " * 3] * 12], [False] * 12, width)
    assert all(width_of(line) <= width for line in lines)
    assert "more: colu" in lines[-1]


def test_bars() -> None:
    assert bars([0, 1, 4, 8]) == " ▁▄█"
    assert bars([0, 0]) == "  "
