"""Rows read as columns, and stacked."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from madang.errors import InputError, UnknownNameError
from madang.training.collate import DefaultDataCollator, default_data_collator
from madang.training.collate.rows import Rectangle, columns_of


def test_rows_are_stacked_labels_renamed_and_texts_left_out():
    batch = default_data_collator(
        [{"input_ids": [1, 2], "label": 1, "text": "a"}, {"input_ids": [3, 4], "label": 0, "text": "b"}]
    )
    assert {name: tensor.tolist() for name, tensor in batch.items()} == {
        "input_ids": [[1, 2], [3, 4]],
        "labels": [1, 0],
    }
    assert batch["labels"].dtype == torch.int64


def test_floats_tensors_and_arrays():
    rows = [{"label_ids": 0.5, "t": torch.ones(2), "n": np.arange(2)} for _ in range(3)]
    batch = default_data_collator(rows)
    assert (batch["labels"].dtype, batch["t"].shape, batch["n"].shape) == (torch.float32, (3, 2), (3, 2))


@pytest.mark.parametrize(
    ("label", "dtype"),
    [
        (1, torch.int64),
        (True, torch.int64),
        (np.int32(1), torch.int64),
        (torch.tensor(1, dtype=torch.int32), torch.int64),
        (0.5, torch.float32),
        (np.float64(0.5), torch.float32),
        (torch.tensor(0.5, dtype=torch.float64), torch.float32),
        ([0, 1], torch.int64),
        ([0.0, 1.0], torch.float32),
    ],
)
def test_labels_are_of_the_types_that_losses_take(label, dtype):
    assert default_data_collator([{"label": label}] * 2)["labels"].dtype == dtype


def test_other_columns_keep_the_type_of_their_array_but_for_float64():
    row = {"a": np.zeros(2, np.uint8), "b": np.zeros(2), "c": torch.zeros(2, dtype=torch.bfloat16), "d": [0.5]}
    found = {name: value.dtype for name, value in default_data_collator([row, row]).items()}
    assert found == {"a": torch.uint8, "b": torch.float32, "c": torch.bfloat16, "d": torch.float32}


def test_arrays_on_request():
    rows = [{"a": [1, 2], "b": torch.ones(2), "label": 0.5}] * 3
    for batch in (default_data_collator(rows, return_tensors="np"), DefaultDataCollator("np")(rows)):
        assert {name: (type(value), value.dtype) for name, value in batch.items()} == {
            "a": (np.ndarray, np.int64),
            "b": (np.ndarray, np.float32),
            "labels": (np.ndarray, np.float32),
        }
    assert isinstance(DefaultDataCollator("np")(rows, return_tensors="pt")["a"], torch.Tensor)
    with pytest.raises(UnknownNameError, match=r"'tf'.*np, pt"):
        DefaultDataCollator("tf")(rows)


def test_no_rows_are_no_batch():
    assert default_data_collator([]) == {}


def test_objects_with_attributes_are_rows_too():
    assert default_data_collator([SimpleNamespace(a=1, label=2)])["labels"].tolist() == [2]
    with pytest.raises(InputError, match="type list"):
        default_data_collator([[1, 2]])


def test_the_clearest_name_of_the_labels_counts():
    row = {"label_ids": [3], "label": 2, "labels": 1}
    assert columns_of([row]) == {"labels": [1]}
    assert columns_of([{"label_ids": [3], "label": 2}]) == {"labels": [2]}
    assert columns_of([{"label_ids": [3], "label": None}]) == {"labels": [[3]]}


def test_texts_are_left_out_however_deep_they_lie():
    row = {"a": "a", "b": ["b"], "c": [["c"], ["d"]], "d": b"d", "e": None, "n": 1}
    assert columns_of([row, row]) == {"n": [1, 1]}
    assert columns_of([{"a": [], "b": None}, {"a": ["a"], "b": "b"}]) == {}


def test_an_empty_cell_among_full_ones_is_an_error():
    with pytest.raises(InputError, match=r"'label' has empty cells in 1 of the 2 rows"):
        default_data_collator([{"label": 1}, {"label": None}])


def test_a_row_without_a_column_is_an_error():
    with pytest.raises(InputError, match="not every row of this batch has the column 'label'"):
        default_data_collator([{"a": 1, "label": 1}, {"a": 2}])


def test_different_lengths_are_explained():
    for make in (list, np.array, torch.tensor):
        with pytest.raises(InputError, match=r"'input_ids' has rows of different lengths \(2, 4\).*tokenizer="):
            default_data_collator([{"input_ids": make([1, 5, 6, 0])}, {"input_ids": make([1, 7])}])


def test_what_is_no_number_is_named():
    with pytest.raises(InputError, match="'answers' cannot become a tensor: it holds dict values"):
        default_data_collator([{"answers": {"text": ["a"]}}])


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_a_rectangle_is_filled_from_lists_arrays_and_tensors(make):
    right, left = Rectangle([1, 3], 4, "right"), Rectangle([1, 3], 4, "left")
    values = [make([1]), make([2, 3, 4])]
    assert right.fill(values, "ids", 9).tolist() == [[1, 9, 9, 9], [2, 3, 4, 9]]
    assert left.fill(values, "ids", 9).tolist() == [[9, 9, 9, 1], [9, 2, 3, 4]]
    pairs = [make([[1, 2]]), make([[3, 4]] * 3)]
    assert right.fill(pairs, "boxes", 0).tolist()[0] == [[1, 2], [0, 0], [0, 0], [0, 0]]
    with pytest.raises(InputError, match="'mask' has 2 values in row 1 of this batch, but its text has 3 tokens"):
        right.fill([make([1]), make([2, 3])], "mask", 0)
