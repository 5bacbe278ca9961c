"""Lines of CSV: texts as pandas writes them."""

import csv
import datetime
import io
from decimal import Decimal

import numpy as np
import pandas
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.datasets.csv_lines import Style, float_texts, writers

UTC = datetime.UTC


def written(table: pa.Table, style: Style | None = None) -> str:
    made = writers(table.schema, lambda names: [table.select(names)])
    texts = [write(table[name].combine_chunks()) for name, _, write in made]
    lines = (style or Style()).lines(texts, [numeric for _, numeric, _ in made])
    return bytes(lines).decode()


@given(st.lists(st.tuples(st.text(), st.text()), min_size=1))
def test_any_text_comes_back_through_the_csv_module(rows: list[tuple[str, str]]) -> None:
    # a NUL ends what Python's reader understands
    rows = [tuple(cell.replace("\0", "") for cell in row) for row in rows]  # type: ignore[misc]
    table = pa.table({"a": [a for a, _ in rows], "b": [b for _, b in rows]})
    assert [tuple(row) for row in csv.reader(io.StringIO(written(table), newline=""))] == rows


@given(st.lists(st.floats(allow_nan=False), min_size=1))
def test_fractions_are_written_as_pandas_writes_them(numbers: list[float]) -> None:
    expected = pandas.DataFrame({"a": numbers}).to_csv(header=False, index=False, lineterminator="\n")
    assert written(pa.table({"a": pa.array(numbers, pa.float64())})) == expected


@pytest.mark.parametrize("kind", [np.float16, np.float32])
def test_narrow_fractions_keep_their_own_digits(kind: type) -> None:
    numbers = np.array([0.1, 1234.5, 65504.0, 1 / 3, 1e-5, 0.0, -0.0], dtype=kind)
    if kind is np.float32:
        numbers = np.append(numbers, np.array([1e8, 1e6, 123456.789, 12345678.0], dtype=kind))
    assert float_texts(pa.array(numbers)).to_pylist() == numbers.astype(str).tolist()


def test_empty_cells_and_nan_are_nothing() -> None:
    table = pa.table({"i": [1, None], "f": [None, float("nan")], "b": [None, True], "s": ["", None], "n": [None, None]})
    assert written(table) == "1,,,,\n,,True,,\n"
    assert written(table, Style(na_rep="NA")) == "1,NA,NA,,NA\nNA,NA,True,NA,NA\n"


def test_a_line_with_one_empty_cell_is_still_a_line() -> None:
    assert written(pa.table({"a": ["x", None, ""]})) == 'x\n""\n""\n'


@pytest.mark.parametrize(
    ("quoting", "expected"),
    [
        (csv.QUOTE_MINIMAL, 'x,1\n"a,b",\n'),
        (csv.QUOTE_ALL, '"x","1"\n"a,b",""\n'),
        (csv.QUOTE_NONNUMERIC, '"x",1\n"a,b",""\n'),
    ],
)
def test_quotes_stand_where_they_are_wanted(quoting: int, expected: str) -> None:
    assert written(pa.table({"a": ["x", "a,b"], "n": [1, None]}), Style(quoting=quoting)) == expected


def test_without_quotes_what_needs_them_is_refused() -> None:
    assert written(pa.table({"a": ["x"], "n": [1]}), Style(quoting=csv.QUOTE_NONE)) == "x,1\n"
    with pytest.raises(ValueError, match=r"'a,b' cannot be written; pass escapechar"):
        written(pa.table({"a": ["x", "a,b"]}), Style(quoting=csv.QUOTE_NONE))


def test_other_separators_quotes_and_line_ends() -> None:
    style = Style(sep="\t", quotechar="'", lineterminator="\r\n")
    assert written(pa.table({"a": ["x\ty", "it's"], "b": ["p,q", '"']}), style) == "'x\ty'\tp,q\r\n'it''s'\t\"\r\n"
    assert written(pa.table({"a": ["x"], "n": [-1]}), Style(sep="-")) == 'x-"-1"\n'
    with pytest.raises(ValueError, match="sep= must be one character"):
        Style(sep="::")


def test_times_are_as_fine_as_the_finest_of_their_column() -> None:
    day = datetime.datetime(2020, 1, 1)
    late = datetime.datetime(2020, 1, 2, 3, 4, 5)
    table = pa.table(
        {
            "days": [day, None],
            "seconds": [day, late],
            "thousandths": [day, late.replace(microsecond=7000)],
            "zone": [day.replace(tzinfo=UTC), late.replace(tzinfo=UTC)],
            "date": [day.date(), None],
            "time": [late.time(), None],
        }
    )
    assert written(table).splitlines() == [
        "2020-01-01,2020-01-01 00:00:00,2020-01-01 00:00:00.000,2020-01-01 00:00:00+00:00,2020-01-01,03:04:05",
        ",2020-01-02 03:04:05,2020-01-02 03:04:05.007,2020-01-02 03:04:05+00:00,,",
    ]


def test_moments_are_those_of_their_zone() -> None:
    moments = pa.array([0], pa.timestamp("s", tz="Asia/Seoul"))
    assert written(pa.table({"t": moments})) == "1970-01-01 09:00:00+09:00\n"


def test_durations_are_written_as_pandas_writes_them() -> None:
    spans = [datetime.timedelta(days=1), datetime.timedelta(seconds=-1), datetime.timedelta(microseconds=5)]
    for some in (spans, spans[:1], spans[1:2]):
        expected = pandas.DataFrame({"a": pandas.Series(some)}).to_csv(header=False, index=False, lineterminator="\n")
        assert written(pa.table({"a": some})) == expected


def test_lists_structs_and_rare_values_are_written_as_python_writes_them() -> None:
    table = pa.table({"l": [[1, None]], "s": [{"a": "x"}], "d": [Decimal("1.50")], "b": [b"\xff"]})
    assert written(table) == "\"[1, None]\",{'a': 'x'},1.50,b'\\xff'\n"


def test_categories_are_their_values() -> None:
    assert written(pa.table({"c": pa.array(["x", "y", "x"]).dictionary_encode()})) == "x\ny\nx\n"
