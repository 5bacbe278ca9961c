import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from madang.datasets.features import Array2D
from madang.datasets.features.pandas_arrays import PandasArray, PandasArrayDtype

ROWS = np.arange(12, dtype=np.int32).reshape(2, 2, 3)


def frame(rows, shape=(2, 3)):
    """Rows of arrays as pandas gets them from Arrow."""
    return pa.table({"a": Array2D(shape, "int32").encode_column(rows)}).to_pandas()


def test_a_column_of_arrays_stays_one_array():
    column = frame(ROWS)["a"]
    assert isinstance(column.dtype, PandasArrayDtype)
    assert str(column.dtype) == "array[int32]"
    np.testing.assert_array_equal(column.to_numpy(), ROWS)
    np.testing.assert_array_equal(column[1], ROWS[1])
    assert column[1:].to_numpy().shape == (1, 2, 3)
    assert not column.isna().any()
    assert "a" in repr(frame(ROWS))


def test_rows_of_different_shapes_are_an_array_of_arrays():
    column = frame([ROWS[0], ROWS[1][:1], None], (None, 3))["a"]
    assert column.to_numpy().dtype == object
    assert [np.shape(row) for row in column] == [(2, 3), (1, 3), ()]
    assert column.isna().tolist() == [False, False, True]


def test_frames_can_be_joined_sorted_and_filtered():
    one = frame(ROWS)
    both = pd.concat([one, one], ignore_index=True)
    np.testing.assert_array_equal(both["a"].to_numpy(), np.concatenate([ROWS, ROWS]))
    np.testing.assert_array_equal(one.iloc[[1, 0]]["a"].to_numpy(), ROWS[::-1])
    np.testing.assert_array_equal(one[np.array([False, True])]["a"].to_numpy(), ROWS[1:])
    assert (one["a"] == one["a"].copy()).all()
    assert one["a"].array.take(np.array([0, -1]), allow_fill=True).isna().tolist() == [False, True]


@pytest.mark.parametrize("rows", [list(ROWS), [ROWS[0], None], [ROWS[0], ROWS[1][:1]]])
def test_arrays_come_back_into_arrow(rows):
    shape = (None, 3) if len({len(row) for row in rows if row is not None}) > 1 else (2, 3)
    column = pa.Table.from_pandas(frame(rows, shape)).column("a")
    assert column.type.shape == shape
    assert column.to_pylist() == [None if row is None else row.tolist() for row in rows]


def test_arrays_can_be_made_by_pandas():
    made = pd.array(list(ROWS), dtype=PandasArrayDtype("int32"))
    assert isinstance(made, PandasArray)
    assert made.nbytes == ROWS.nbytes
