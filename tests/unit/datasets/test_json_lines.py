"""Rows as JSON."""

import datetime
import json
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets.json_lines import Style, json_lines, whole_json

UTC = datetime.UTC


def column(values: Any, kind: pa.DataType | None = None, **options: Any) -> list[str]:
    return Style(**options).column(pa.array(values, kind))


@given(st.lists(st.none() | st.text()), st.booleans())
def test_any_text_comes_back(texts: list[str | None], force_ascii: bool) -> None:
    written = column(texts, pa.string(), force_ascii=force_ascii)
    assert [json.loads(text) for text in written] == texts
    assert not force_ascii or "".join(written).isascii()


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_fractions_keep_all_their_digits(numbers: list[float]) -> None:
    assert [json.loads(text) for text in column(numbers, pa.float64())] == numbers


def test_values_look_as_pandas_writes_them() -> None:
    assert column(["가/é", 'q"\n', None]) == ['"\\uac00\\/\\u00e9"', '"q\\"\\n"', "null"]
    assert column(["가/é"], force_ascii=False) == ['"가\\/é"']
    assert column([1.0, None, float("nan"), float("inf"), 0.1]) == ["1.0", "null", "null", "null", "0.1"]
    assert column([True, None]) == ["true", "null"]
    assert column([1, None]) == ["1", "null"]
    assert column([None], pa.null()) == ["null"]
    assert column([{"a": [1, float("nan")], "b": None}]) == ['{"a":[1.0,null],"b":null}']
    assert column([Decimal("1.50")]) == ['"1.50"']
    assert column([datetime.time(1, 2, 3)]) == ['"01:02:03"']
    assert column([datetime.timedelta(days=1)]) == ["86400000"]
    assert column([b"ab"]) == ['"ab"']


def test_fewer_digits_when_asked() -> None:
    assert column([1 / 3, None], double_precision=3) == ["0.333", "null"]
    assert column([[1 / 3]], double_precision=3) == ["[0.333]"]


def test_moments_are_thousandths_since_1970_or_texts() -> None:
    moment = datetime.datetime(2020, 1, 2, 3, 4, 5, 678912)
    assert column([moment, None, moment.date()][:2]) == ["1577934245678", "null"]
    assert column([datetime.datetime(1969, 12, 31, 23, 59, 59, 999900)]) == ["-1"]
    assert column([moment], date_unit="s") == ["1577934245"]
    assert column([moment], date_unit="ns") == ["1577934245678912000"]
    assert column([moment], date_format="iso") == ['"2020-01-02T03:04:05.678"']
    assert column([moment.replace(tzinfo=UTC)], date_format="iso", date_unit="us") == ['"2020-01-02T03:04:05.678912Z"']
    assert column([moment.date()]) == ["1577923200000"]
    assert column([{"t": moment}]) == ['{"t":1577934245678}']


def test_wrong_options_are_refused() -> None:
    with pytest.raises(ValueError, match="date_format='rfc'"):
        Style(date_format="rfc")
    with pytest.raises(ValueError, match="date_unit='h'"):
        Style(date_unit="h")


BLOCKS = [([["1", "2"], ['"x"', '"y"']], 2), ([["3"], ['"z"']], 1)]


def test_every_layout_holds_every_row() -> None:
    names = ["a", "b%"]
    assert "".join(json_lines(names, BLOCKS, Style())) == ('{"a":1,"b%":"x"}\n{"a":2,"b%":"y"}\n{"a":3,"b%":"z"}\n')
    rows = [{"a": 1, "b%": "x"}, {"a": 2, "b%": "y"}, {"a": 3, "b%": "z"}]
    expected: dict[str, Any] = {
        "records": rows,
        "values": [[1, "x"], [2, "y"], [3, "z"]],
        "split": {"columns": names, "data": [[1, "x"], [2, "y"], [3, "z"]]},
        "index": {str(number): row for number, row in enumerate(rows)},
        "columns": {"a": {"0": 1, "1": 2, "2": 3}, "b%": {"0": "x", "1": "y", "2": "z"}},
    }
    for orient, value in expected.items():
        text = "".join(whole_json(names, BLOCKS, Style(), orient))
        assert json.loads(text) == value
        assert text.endswith("\n")
    with_index = json.loads("".join(whole_json(names, BLOCKS, Style(), "split", index=True)))
    assert with_index["index"] == [0, 1, 2]


def test_no_rows_are_still_json() -> None:
    assert "".join(whole_json(["a"], [], Style(), "records")) == "[]\n"
    assert "".join(json_lines(["a"], [], Style())) == ""
    assert "".join(json_lines([], [([], 2)], Style())) == "{}\n{}\n"
