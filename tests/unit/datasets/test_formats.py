import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch

from madang.datasets import Dataset
from madang.errors import InputError


@pytest.fixture
def data():
    return Dataset.from_dict(
        {
            "n": [1, 2],
            "x": [0.5, 1.5],
            "t": ["a", "b"],
            "ids": [[1, 2], [3, 4]],
            "ragged": [[1], [2, 3]],
            "yes": [True, False],
        }
    )


def test_torch_widens_integers_and_narrows_floats(data):
    batch = data.with_format("torch")[:]
    assert (batch["n"].dtype, batch["x"].dtype, batch["yes"].dtype) == (torch.int64, torch.float32, torch.bool)
    assert batch["ids"].tolist() == [[1, 2], [3, 4]]
    assert [tensor.tolist() for tensor in batch["ragged"]] == [[1], [2, 3]]
    assert batch["t"] == ["a", "b"]
    row = data.with_format("pt")[1]
    assert (row["n"].item(), row["ragged"].tolist(), row["t"]) == (2, [2, 3], "b")


def test_numpy_does_the_same(data):
    batch = data.with_format("numpy")[:]
    assert (batch["n"].dtype, batch["x"].dtype, batch["yes"].dtype) == (np.int64, np.float32, np.bool_)
    assert batch["ids"].shape == (2, 2)
    assert batch["ragged"].dtype == object
    assert batch["t"].tolist() == ["a", "b"]


def test_dtype_is_honoured(data):
    assert data.with_format("torch", dtype=torch.float16)["x"][:].dtype == torch.float16
    assert data.with_format("numpy", dtype=np.float64)["x"][:].dtype == np.float64


def test_slices_and_choices_of_lists_start_where_they_should(data):
    assert data.with_format("torch")[1:]["ids"].tolist() == [[3, 4]]
    assert data.select([1]).with_format("torch")["ids"][:].tolist() == [[3, 4]]
    assert data[1:]["ragged"] == [[2, 3]]


def test_deeper_lists(data):
    deep = Dataset.from_dict(
        {"d": [[[1, 2], [3, 4]], [[5, 6], [7, 8]]], "r": [[[1], [2, 3]], [[4]]], "s": [["a", "b"], ["c"]]}
    )
    batch = deep.with_format("torch")[:]
    assert batch["d"].shape == (2, 2, 2)
    assert [[t.tolist() for t in row] for row in batch["r"]] == [[[1], [2, 3]], [[4]]]
    assert batch["s"] == [["a", "b"], ["c"]]


def test_columns_limits_what_comes_out(data):
    assert list(data.with_format("torch", columns=["n"])[0]) == ["n"]
    mixed = data.with_format("torch", columns=["n"], output_all_columns=True)[0]
    assert (mixed["n"], mixed["x"], list(mixed)) == (torch.tensor(1), 0.5, data.column_names)


def test_the_format_follows_renames_and_new_columns_join(data):
    shown = data.with_format("torch", columns=["n"])
    assert list(shown.rename_column("n", "m")[0]) == ["m"]
    assert list(shown.map(lambda row: {"k": 1})[0]) == ["n", "k"]
    assert list(shown.remove_columns("x")[0]) == ["n"]


def test_set_format_changes_the_dataset_itself(data):
    data.set_format("numpy", columns=["n"])
    assert data.format == {"type": "numpy", "format_kwargs": {}, "columns": ["n"], "output_all_columns": False}
    data.reset_format()
    assert data[0]["t"] == "a"


def test_tables(data):
    assert isinstance(data.with_format("pandas")[:], pd.DataFrame)
    assert isinstance(data.with_format("arrow")[0], pa.Table)
    assert isinstance(data.with_format("pandas")["n"], pd.Series)
    assert [len(frame) for frame in data.with_format("pandas")] == [1, 1]
    assert data.to_pandas()["n"].tolist() == [1, 2]


def test_empty_integer_cells_are_refused_not_rounded():
    data = Dataset.from_dict({"n": [1, None]})
    for kind in ("torch", "numpy"):
        with pytest.raises(InputError, match="column 'n' has 1 empty cells"):
            data.with_format(kind)[:]


def test_an_option_the_format_does_not_know(data):
    with pytest.raises(ValueError, match="Did you mean 'dtype'"):
        data.with_format("torch", dtpye=torch.float16)
