import operator

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from madang.datasets import ClassLabel, Dataset, predicates
from madang.datasets.predicates import Comparison, comparison

SIGNS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
LIMIT = 7


def as_python_says(function, values):
    """The answers of the function itself; None where it raises."""
    try:
        return [bool(function(value)) for value in values]
    except TypeError:
        return None


def written(sign, constant):
    """Both spellings of the same comparison."""
    names = {"constant": constant}
    return eval(f"lambda row: row['a'] {sign} constant", names), eval(f"lambda a: a {sign} constant", names)


whole = st.integers(-(2**63), 2**63 - 1)
texts = st.text(st.characters(codec="utf-8"), max_size=3)
fractions = st.floats()
columns = st.one_of(
    st.tuples(st.lists(st.one_of(st.none(), whole)), st.just(pa.int64())),
    st.tuples(st.lists(st.one_of(st.none(), st.integers(0, 2**64 - 1))), st.just(pa.uint64())),
    st.tuples(st.lists(st.integers(0, 255)), st.just(pa.uint8())),
    st.tuples(st.lists(st.one_of(st.none(), fractions)), st.just(pa.float64())),
    st.tuples(st.lists(st.floats(width=32)), st.just(pa.float32())),
    st.tuples(st.lists(st.one_of(st.none(), st.booleans())), st.just(pa.bool_())),
    st.tuples(st.lists(st.one_of(st.none(), texts)), st.sampled_from([pa.string(), pa.large_string()])),
    st.tuples(st.lists(st.none()), st.just(pa.null())),
    st.tuples(st.lists(st.lists(st.integers(0, 2), max_size=1)), st.just(pa.list_(pa.int64()))),
)
constants = st.one_of(
    st.integers(-(2**70), 2**70), st.integers(-2, 2), fractions, st.text(max_size=2), st.booleans(), st.none()
)


@given(columns, constants, st.sampled_from(sorted(SIGNS)), st.integers(0, 3), st.data())
def test_answers_are_those_of_python_or_none(column, constant, sign, cut, data):
    values, kind = column
    if values and data.draw(st.booleans()):
        constant = data.draw(st.sampled_from(values))  # the interesting ones are those that are there
    for function in written(sign, constant):
        found = comparison(function, ["a"] if function.__code__.co_varnames == ("a",) else None)
        assert found == Comparison("a", sign, constant) or constant != constant
        array = pa.array(values, kind)
        said = found.on(pa.chunked_array([array.slice(0, cut), array.slice(cut)], kind))
        if said is not None:
            assert said.to_pylist() == as_python_says(lambda value: SIGNS[sign](value, constant), array.to_pylist())


@given(columns, constants, st.sampled_from(sorted(SIGNS)), st.data())
def test_filter_keeps_the_rows_that_python_keeps(column, constant, sign, data):
    values, kind = column
    assume(values)
    table = Dataset(pa.table({"a": pa.array(values, kind)}))
    rows = data.draw(st.lists(st.integers(0, len(values) - 1), max_size=5))
    shown = pa.array(values, kind).to_pylist()
    expected = as_python_says(lambda row: SIGNS[sign](shown[row], constant), rows)
    for function, columns_given in zip(written(sign, constant), (None, "a"), strict=True):
        if expected is None:
            with pytest.raises(TypeError):
                table.select(rows).filter(function, input_columns=columns_given)
        else:
            kept = table.add_column("row", list(range(len(values)))).select(rows)
            kept = kept.filter(function, input_columns=columns_given)
            assert kept["row"] == [row for row, keep in zip(rows, expected, strict=True) if keep]


class TestRecognising:
    def test_constants_come_from_the_code_the_module_and_around(self):
        limit = 3
        assert comparison(lambda row: row["a"] == 5, None) == Comparison("a", "==", 5)
        assert comparison(lambda row: row["a"] > LIMIT, None) == Comparison("a", ">", 7)
        assert comparison(lambda row: row["a"] != limit, None) == Comparison("a", "!=", 3)
        assert comparison(lambda title: title == "x", ["a"]) == Comparison("a", "==", "x")

    @pytest.mark.parametrize(
        "function",
        [
            lambda row: row["a"],
            lambda row: row["a"] + 1 == 2,
            lambda row: len(row["a"]) == 2,
            lambda row: row["a"] == row["b"],
            lambda row: row["a"].b == 1,
            lambda row: row["a"] in (1, 2),
            lambda row: row["a"] is None,
            lambda row: not row["a"],
            lambda row: row["a"] == 1 and row["b"] == 2,
            lambda row: 0 < row["a"] < 5,
            lambda row: print(row["a"]) == 1,
            lambda row: row[0] == 1,
            lambda row, i: row["a"] == 1,
            lambda *rows: rows["a"] == 1,
            lambda row, *, x=1: row["a"] == 1,
            lambda row: NOT_THERE == 1,  # noqa: F821
            lambda row: row["a"] == NOT_THERE,  # noqa: F821
            str.lower,
            Comparison("a", "==", 1),
        ],
    )
    def test_anything_else_is_called(self, function):
        assert comparison(function, None) is None

    def test_functions_that_do_more_are_called(self):
        seen = []

        def noted(row):
            seen.append(row["a"])
            return row["a"] == 1

        def given(row):
            yield row["a"] == 1

        async def awaited(row):
            return row["a"] == 1

        assert [comparison(function, None) for function in (noted, given, awaited)] == [None] * 3
        assert Dataset.from_dict({"a": [1, 2]}).filter(noted)["a"] == [1]
        assert seen == [1, 2]
        assert Dataset.from_dict({"a": [1, 2]}).filter(awaited)["a"] == [1]

    def test_a_name_that_has_no_value_yet(self):
        def make():
            function = lambda row: row["a"] == later  # noqa: E731
            found = comparison(function, None)
            later = 1
            return found

        assert make() is None


class TestInFilter:
    def test_no_row_becomes_a_python_object(self, monkeypatch):
        data = Dataset.from_dict({"a": [1, 2, 1], "t": ["x", "y", "z"]})
        monkeypatch.setattr("madang.datasets.dataset.changing.answers", None)
        assert data.filter(lambda row: row["a"] == 1)["t"] == ["x", "z"]
        assert data.filter(lambda t: t != "x", input_columns="t")["a"] == [2, 1]
        assert len(data.select([]).filter(lambda row: row["a"] == 1)) == 0

    def test_only_that_column_is_touched(self, monkeypatch):
        from madang.datasets.frame import StoredColumn

        data = Dataset.from_dict({"a": [1, 2, 1], "t": ["x", "y", "z"]}).shuffle(seed=0)
        touched = []
        whole = StoredColumn.whole
        monkeypatch.setattr(StoredColumn, "whole", lambda self: touched.append(self.values.type) or whole(self))
        data.filter(lambda row: row["a"] == 1)
        assert touched == [pa.int64()]

    def test_what_a_format_or_decoding_shows_is_left_to_the_function(self):
        data = Dataset.from_dict({"a": [1, 2, 3]})
        turned = data.with_transform(lambda b: {"a": [-a for a in b["a"]]}).filter(lambda row: row["a"] == -2)
        assert turned.with_format(None)["a"] == [2]
        assert data.with_format("numpy").filter(lambda row: row["a"] > np.int64(1))["a"][:].tolist() == [2, 3]
        with pytest.raises(KeyError, match="'t'"):
            data.add_column("t", ["x"] * 3).with_format("numpy", columns=["a"]).filter(lambda row: row["t"] == "x")

    def test_classes_are_compared_by_number(self):
        data = Dataset.from_dict({"y": ["b", "a", "b"]}).cast_column("y", ClassLabel(names=["a", "b"]))
        assert data.filter(lambda row: row["y"] == 1).num_rows == 2
        assert data.filter(lambda row: row["y"] == "b").num_rows == 0

    def test_an_unknown_column_is_the_usual_error(self):
        with pytest.raises(KeyError, match="'q' doesn't exist"):
            Dataset.from_dict({"a": [1]}).filter(lambda row: row["q"] == 1)

    def test_an_expression_of_arrow(self):
        import pyarrow.compute as pc

        data = Dataset.from_dict({"a": [1, 2, None, 4], "t": list("wxyz")}).select([3, 2, 1, 0])
        assert data.filter((pc.field("a") > 1) & (pc.field("t") != "x"))["t"] == ["z"]
        assert data.filter(pc.field("a").is_null())["t"] == ["y"]


def test_every_sign_is_known():
    assert set(predicates._OPERATORS) == set(SIGNS)
