"""What columns hold, counted while rows go by."""

import datetime
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from madang.cli.summary import BINS, Histogram, summarise
from madang.cli.tables import width_of
from madang.datasets.dataset import Dataset
from madang.datasets.features import ClassLabel, Features, Value


def told(values: Any, feature: Any = None, batch_size: int = 3) -> dict[str, Any]:
    features = None if feature is None else Features({"x": feature})
    (column,) = summarise(Dataset.from_dict({"x": values}, features=features), batch_size)
    assert all(width_of(line) <= 60 for line in column.lines(60))
    return column.told()


def test_numbers_have_a_range_and_a_mean() -> None:
    found = told([1.5, None, 4.0, float("nan"), 2.0])
    assert (found["min"], found["max"], found["mean"]) == (1.5, 4, 2.5)
    assert (found["rows"], found["empty"]) == (5, 1)
    assert told([1, 2, 3, 4])["distinct"] == 4


def test_texts_have_lengths_and_distinct_values() -> None:
    found = told(["한글", "", None, "한글"])
    assert (found["length_min"], found["length_max"], found["distinct"], found["empty"]) == (0, 2, 2, 1)
    assert "counts" not in found
    assert told(["a", "b"] * 10)["counts"] == {"a": 10, "b": 10}


def test_texts_may_be_stored_as_views() -> None:
    found = told(["한글", "", None, "한글"], Value("string_view"))
    assert (found["length_max"], found["distinct"], found["empty"]) == (2, 2, 1)


def test_classes_are_counted_by_name() -> None:
    label = ClassLabel(names=["no", "yes"])
    assert told([0, 1, 1, None], label)["counts"] == {"no": 1, "yes": 2}
    assert told([0, -1], label)["counts"] == {"no": 1, "yes": 0, "(no class)": 1}
    assert told([True, None, True])["counts"] == {"false": 0, "true": 2}


def test_lists_times_and_structs() -> None:
    assert told([[1], [], None, [1, 2]])["length_mean"] == 1
    day = datetime.datetime(2020, 1, 1)
    found = told([day, None, day.replace(year=2021), day, day])
    assert (found["min"], found["max"]) == ("2020-01-01 00:00:00", "2021-01-01 00:00:00")
    assert told([{"a": 1}, None])["empty"] == 1
    assert told([None, None])["empty"] == 2
    assert told([], Value("int64"))["rows"] == 0


def test_many_distinct_values_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("madang.cli.summary.MOST_DISTINCT", 5)
    (column,) = summarise(Dataset.from_dict({"x": [str(i) for i in range(9)]}), 2)
    assert "distinct" not in column.told()
    assert "  more than 5 distinct values" in column.lines(80)


@given(st.lists(st.lists(st.floats(-1e12, 1e12), max_size=20), min_size=1, max_size=8), st.booleans())
def test_a_histogram_counts_everything_in_one_pass(parts: list[list[float]], whole: bool) -> None:
    parts = [[math.floor(x) for x in part] if whole else part for part in parts]
    histogram = Histogram(whole=whole)
    for part in parts:
        histogram.add(np.array(part, dtype=float))
    numbers = np.array([x for part in parts for x in part], dtype=float)
    assert histogram.counts.sum() == len(numbers)
    if len(numbers):
        assert histogram.start <= numbers.min()
        assert histogram.start + histogram.width * BINS >= numbers.max()


def test_the_picture_shows_where_values_are() -> None:
    histogram = Histogram(whole=True)
    histogram.add(np.array([3.0] * 8 + [4.0] * 4 + [6.0]))
    assert histogram.bars() == "█▄ ▁"
