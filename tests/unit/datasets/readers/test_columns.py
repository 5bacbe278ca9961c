import pyarrow as pa
import pytest

from madang.datasets.readers.columns import Columns, widened
from madang.datasets.readers.files import DataFile, StartOver
from madang.errors import DatasetGenerationError

ONE, TWO = DataFile("one"), DataFile("two")


def nowhere(*_):
    return None


@pytest.mark.parametrize(
    ("one", "other", "wider"),
    [
        (pa.int64(), pa.float64(), pa.float64()),
        (pa.null(), pa.string(), pa.string()),
        (pa.string(), pa.null(), pa.string()),
        (pa.list_(pa.null()), pa.list_(pa.int64()), pa.list_(pa.int64())),
        (pa.struct({"a": pa.int64()}), pa.struct({"b": pa.int64()}), pa.struct({"a": pa.int64(), "b": pa.int64()})),
        (pa.int64(), pa.string(), None),
        (pa.bool_(), pa.int64(), None),
        (pa.list_(pa.int64()), pa.list_(pa.string()), None),
        (pa.struct({"a": pa.int64()}), pa.struct({"a": pa.string()}), None),
        (pa.list_(pa.int64()), pa.int64(), None),
    ],
)
def test_types_widen_as_far_as_values_stay_what_they_are(one, other, wider):
    assert widened(one, other) == wider


def test_a_change_within_a_file_of_guessed_types_makes_text():
    columns = Columns(guessed=True)
    columns.settle(pa.schema({"a": pa.int64()}), ONE, nowhere)
    with pytest.raises(StartOver) as again:
        columns.settle(pa.schema({"a": pa.string()}), ONE, nowhere)
    assert again.value.texts == {"a"}


def test_a_change_between_files_names_the_place():
    columns = Columns(guessed=True)
    columns.settle(pa.schema({"a": pa.int64()}), ONE, nowhere)
    with pytest.raises(
        DatasetGenerationError, match=r"two, line 7 \(row 5\): column 'a' is string .*'x', but int64 in one"
    ):
        columns.settle(pa.schema({"a": pa.string()}), TWO, lambda *_: (7, 5, "'x'"))


def test_texts_of_which_some_look_like_a_date_are_texts():
    columns = Columns()
    columns.settle(pa.schema({"a": pa.timestamp("s")}), ONE, nowhere)
    with pytest.raises(StartOver):
        columns.settle(pa.schema({"a": pa.string()}), TWO, nowhere)


def test_a_missing_column_is_told_once():
    columns = Columns()
    columns.compare(["a", "b"], ONE)
    with pytest.warns(UserWarning, match="column 'b' of one is missing in two"):
        columns.compare(["a"], TWO)
    columns.compare(["a"], DataFile("three"))  # a second warning would be an error here
