"""The texts of a batch in one row."""

import numpy as np
import pytest
import torch

from madang.errors import InputError
from madang.training.collate import DataCollatorWithFlattening

TEXTS = [{"input_ids": [1, 5, 6, 0]}, {"input_ids": [1, 7]}]


@pytest.mark.parametrize("make", [list, np.array, torch.tensor])
def test_texts_follow_one_another_and_none_foretells_the_next(make):
    batch = DataCollatorWithFlattening()([{"input_ids": make(row["input_ids"])} for row in TEXTS])
    assert {name: value.tolist() for name, value in batch.items()} == {
        "input_ids": [[1, 5, 6, 0, 1, 7]],
        "labels": [[-100, 5, 6, 0, -100, 7]],
        "position_ids": [[0, 1, 2, 3, 0, 1]],
    }
    assert {value.dtype for value in batch.values()} == {torch.int64}


def test_given_labels_types_and_another_separator():
    rows = [{**row, "labels": row["input_ids"][::-1], "token_type_ids": row["input_ids"]} for row in TEXTS]
    collate = DataCollatorWithFlattening(separator_id=-1, position_ids_start=2, return_tensors="np")
    batch = collate(rows)
    assert batch["labels"].tolist() == [[-1, 6, 5, 1, -1, 1]]
    assert batch["token_type_ids"].tolist() == batch["input_ids"].tolist()
    assert batch["position_ids"].tolist() == [[2, 3, 4, 5, 2, 3]]
    assert isinstance(batch["labels"], np.ndarray)
    assert collate(rows, separator_id=-2, return_tensors="pt")["labels"][0, 0] == -2
    assert rows[0]["labels"] == [0, 6, 5, 1]


def test_padding_that_rows_already_have_is_left_out():
    rows = [
        {"input_ids": [5, 6, 0, 0], "attention_mask": [1, 1, 0, 0]},
        {"input_ids": [0, 7], "attention_mask": [0, 1]},
    ]
    assert DataCollatorWithFlattening()(rows)["input_ids"].tolist() == [[5, 6, 7]]


def test_what_makes_no_sense_is_said():
    for name in ("return_flash_attn_kwargs", "return_seq_idx"):
        with pytest.raises(InputError, match=f"{name}=True is of no use"):
            DataCollatorWithFlattening(**{name: True})
    with pytest.raises(InputError, match="without position_ids"):
        DataCollatorWithFlattening(return_position_ids=False)
    with pytest.raises(InputError, match="one value per token; found 1 for a text of 4"):
        DataCollatorWithFlattening()([{**TEXTS[0], "label": 1}])
    with pytest.raises(InputError, match="column 'input_ids'"):
        DataCollatorWithFlattening()([{"pixel_values": [1.0]}])
