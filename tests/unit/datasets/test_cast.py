import pyarrow as pa
import pytest

from madang.datasets import cast as cast_file
from madang.datasets.cast import cast, marked
from madang.datasets.features import (
    Array2D,
    ClassLabel,
    Image,
    Json,
    LargeList,
    List,
    Translation,
    TranslationVariableLanguages,
    Value,
    arrow_type,
)

LABEL = ClassLabel(names=["a", "b"])


def made(values, feature, **options):
    """Python values of a column after the cast; its type is that of the feature."""
    array = values if isinstance(values, pa.Array) else pa.array(values)
    column = cast(pa.chunked_array([array]), feature, "x", **options)
    assert column.type == arrow_type(feature)
    column.validate(full=True)
    return column.to_pylist()


@pytest.mark.parametrize(
    ("values", "feature", "wanted"),
    [
        (["1", None], Value("int64"), [1, None]),
        ([1.0, 2.0], Value("int8"), [1, 2]),
        ([True, None], Value("int64"), [1, None]),
        ([1, 0], Value("bool"), [True, False]),
        ([1, None], Value("string"), ["1", None]),
        (["2020-01-02"], Value("date32"), [__import__("datetime").date(2020, 1, 2)]),
        (["a", "b", "a"], LABEL, [0, 1, 0]),
        ([1, None, -1], LABEL, [1, None, -1]),
        ([None, [0]], List(Value("int32")), [None, [0]]),
        ([[None, [0]]], List(List(Value("int32"))), [[None, [0]]]),
        ([[1, 2], None], List(Value("int8"), length=2), [[1, 2], None]),
        ([["b"], [], None], LargeList(LABEL), [[1], [], None]),
        ([{"a": 1, "b": "x"}, None], {"b": Value("string"), "a": Value("int8")}, [{"b": "x", "a": 1}, None]),
        ([{"a": 1}, {}], {"a": Value("int8"), "b": [Value("string")]}, [{"a": 1, "b": None}, {"a": None, "b": None}]),
        ([{"fr": "x", "en": "y"}], Translation(["en", "fr"]), [{"en": "y", "fr": "x"}]),
        (
            [{"translation": ["x"], "language": ["en"]}],
            TranslationVariableLanguages(),
            [{"language": ["en"], "translation": ["x"]}],
        ),
        (["a.png", None], Image(), [{"bytes": None, "path": "a.png"}, None]),
        ([{"n": [1]}, None], Json(), ['{"n":[1]}', None]),
        ([[[1, 2]], None], Array2D((1, 2), "float32"), [[[1, 2]], None]),
        ([[[[1, 2]]], None], List(Array2D((1, 2), "int8")), [[[[1, 2]]], None]),
        ([1, None], [Value("int8")][0], [1, None]),
        ([[1]], [Value("int8")], [[1]]),
    ],
)
def test_values_become_those_of_the_feature(values, feature, wanted):
    assert made(values, feature) == wanted


@pytest.mark.parametrize(
    "feature", [Value("string"), LABEL, List(Image()), {"a": Value("int8")}, Array2D((1, 2), "int8"), Json(), Image()]
)
def test_an_empty_column_becomes_anything(feature):
    assert made([None, None], feature) == [None, None]


@pytest.mark.parametrize("part", [slice(1, None), slice(0, 2), slice(2, 2)])
def test_slices_are_cast_without_what_lies_outside(part):
    rows = [[["x"]], [["1", None], None], None, [["2"]]]
    wanted = [[["x"]], [[1, None], None], None, [[2]]]
    if part.start == 0:
        rows[0], wanted[0] = [["3"]], [[3]]
    array = pa.array(rows, pa.list_(pa.list_(pa.string())))[part]
    assert made(array, List(List(Value("int8")))) == wanted[part]


def test_dictionaries_and_extensions_are_cast_as_what_they_hold():
    assert made(pa.array(["b", "a"]).dictionary_encode(), LABEL) == [1, 0]
    assert made(pa.array(["b", "a"]).dictionary_encode(), Value("string")) == ["b", "a"]
    array = Array2D((1, 2), "int8").encode_column([[[1, 2]]])
    assert made(array, List(List(Value("int16")))) == [[[1, 2]]]
    assert made(pa.array(["[1]"], pa.json_()), Value("string")) == ["[1]"]


def test_class_numbers_become_names_where_the_old_feature_is_known():
    assert made([1, None, -1, 0], Value("string")) == ["1", None, "-1", "0"]
    assert made([1, None, -1, 0], Value("string"), old=LABEL) == ["b", None, None, "a"]
    assert made([[1]], List(Value("large_string")), old=List(LABEL)) == [["b"]]
    assert made([{"l": 1}], {"l": Value("string")}, old={"l": LABEL}) == [{"l": "b"}]
    assert made([1], Value("int8"), old=LABEL) == [1]


def test_a_column_that_fits_is_not_copied():
    column = pa.chunked_array([["a"], ["b"]])
    assert cast(column, Value("string"), "x").chunk(1) is not None
    assert cast(column, Value("string"), "x").chunk(1).buffers()[2].address == column.chunk(1).buffers()[2].address


def test_no_chunk_at_all_keeps_the_type():
    assert cast(pa.chunked_array([], pa.null()), List(Image()), "x").type == arrow_type(List(Image()))


def test_chunks_too_large_for_narrow_offsets_are_divided(monkeypatch):
    monkeypatch.setattr(cast_file, "_MOST_BYTES", 40)
    column = pa.chunked_array([pa.array(["12345678"] * 9, pa.large_string())])
    narrow = cast(column, Value("string"), "x")
    assert narrow.num_chunks > 1
    assert narrow.to_pylist() == column.to_pylist()


@pytest.mark.parametrize(
    ("values", "feature", "said"),
    [
        (["1", "x"], Value("int64"), r"'y' holds string, which cannot become Value\('int64'\): .*'x'"),
        ([1.5], Value("int64"), "1.5"),
        ([300], Value("int8"), "300"),
        ([1], Value("null"), "null"),
        (["c"], LABEL, r"'y'.*Invalid string class label.*'c'"),
        ([2], LABEL, "Class label 2 is outside 0 to 1"),
        ([[2]], List(LABEL), "Class label 2"),
        ([1], List(Value("int8")), "int64 is no list"),
        ([[1]], Value("int8"), "is no single value"),
        ([[1, 2]], List(Value("int8"), length=3), "a list of 2 values is not of length 3"),
        ([1], {"a": Value("int8")}, "int64 is no struct"),
        ([{"a": 1, "c": 1}], {"a": Value("int8")}, r"members \['c'\] have no place among \['a'\]"),
        ([1], Image(), "neither a path, bytes nor a struct"),
        ([[[1, 2], [3]]], Array2D((2, 2), "int8"), r"expected arrays of shape \(2, 2\)"),
        ([[{"a": 1}]], {"a": List(Value("int8"))}, "is no struct"),
    ],
)
def test_what_does_not_fit_is_told_with_its_column(values, feature, said):
    for kind in (ValueError, TypeError):
        with pytest.raises(kind, match=said):
            cast(pa.chunked_array([pa.array(values)]), feature, "y")


def test_what_lies_under_empty_structs_is_no_data():
    array = pa.StructArray.from_arrays([pa.array([9, 1])], names=["l"], mask=pa.array([True, False]))
    assert made(array, {"l": LABEL}) == [None, {"l": 1}]


@pytest.mark.parametrize(
    ("feature", "row"),
    [
        (Array2D((1, 2), "int8"), [[1, 2]]),
        (List(Array2D((1, 2), "int8")), [[[1, 2]]]),
        ({"n": LABEL, "a": Array2D((None, 2), "int8")}, {"n": 7, "a": [[1, 2]]}),
    ],
)
def test_arrays_read_from_a_file_as_lists_are_marked_as_arrays(feature, row):
    sink = pa.BufferOutputStream()
    array = pa.array([row, None], _as_lists(arrow_type(feature))).cast(arrow_type(feature))
    with pa.ipc.new_stream(sink, pa.schema({"x": array.type})) as writer:
        writer.write_table(pa.table({"x": array}))
    column = pa.ipc.open_stream(sink.getvalue()).read_all().column("x")
    assert column.type != arrow_type(feature)
    assert marked(column, feature).type == arrow_type(feature)
    assert marked(column.chunk(0), feature).to_pylist() == [row, None]


def test_other_columns_are_left_alone():
    column = pa.chunked_array([["x"]])
    assert marked(column, LABEL) is column


def _as_lists(kind):
    """The type without the mark."""
    if isinstance(kind, pa.BaseExtensionType):
        return kind.storage_type
    if pa.types.is_list(kind):
        return pa.list_(_as_lists(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(member.name, _as_lists(member.type)) for member in kind])
    return kind
