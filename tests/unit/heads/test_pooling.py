"""Which vector stands for a whole text."""

import pytest
import torch

from madang.blocks.context import States
from madang.errors import InputError
from madang.heads.pooling import EndToken, FirstToken, LastToken
from madang.ops.packing import choose_layout

X = torch.arange(2 * 4 * 3.0).view(2, 4, 3)
IDS = torch.tensor([[5, 6, 0, 7], [0, 0, 8, 9]])
MASK = torch.tensor([[1, 1, 1, 1], [0, 0, 1, 1]])


def states(mask=MASK, **more):
    layout = choose_layout((2, 4), mask)
    return States(layout.pack(X), layout, **more)


def test_the_first_token_is_the_first_real_one():
    assert torch.equal(FirstToken()(states()), torch.stack((X[0, 0], X[1, 2])))


def test_the_last_token_is_the_rightmost_that_is_not_padding():
    assert torch.equal(LastToken(0)(states(input_ids=IDS)), X[:, 3])
    assert torch.equal(LastToken(7)(states(None, input_ids=IDS)), torch.stack((X[0, 2], X[1, 3])))
    right = torch.tensor([[1, 1, 0, 0], [1, 0, 0, 0]])
    assert torch.equal(
        LastToken(None)(states(right, attention_mask=right, input_ids=IDS)), torch.stack((X[0, 1], X[1, 0]))
    )


def test_without_padding_id_and_mask_the_end_of_several_texts_is_unknown():
    with pytest.raises(InputError, match="pad_token_id"):
        LastToken(None)(states(None, input_ids=IDS))


def test_the_end_token_is_the_last_of_its_kind():
    ids = torch.tensor([[1, 5, 1, 0], [5, 6, 7, 1]])
    encoder = states(None, input_ids=ids)
    assert torch.equal(EndToken(1)(states(None, encoder=encoder)), torch.stack((X[0, 2], X[1, 3])))
    with pytest.raises(InputError, match="end-of-text id 9"):
        EndToken(9)(states(None, encoder=encoder))
