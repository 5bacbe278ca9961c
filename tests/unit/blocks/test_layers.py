"""Layers that hold nothing until they are filled."""

import torch

from madang.blocks.embedding import CountAfterPadding, CountFromZero
from madang.blocks.layers import Embedding, LayerNorm, Linear, RMSNorm


def test_layers_are_torchs_own_to_whoever_looks_for_them():
    assert isinstance(Linear(3, 4), torch.nn.Linear)
    assert isinstance(Embedding(3, 4), torch.nn.Embedding)
    assert isinstance(LayerNorm(3), torch.nn.LayerNorm)


def test_making_a_layer_draws_nothing():
    torch.manual_seed(3)
    wanted = torch.rand(2)
    torch.manual_seed(3)
    Linear(30, 40), Embedding(30, 40), LayerNorm(30)
    assert torch.equal(torch.rand(2), wanted)


def test_the_root_of_the_mean_square_becomes_one():
    norm = RMSNorm(6, eps=1e-6)
    norm.weight.data = torch.rand(6)
    x = 30 * torch.randn(2, 6)
    wanted = norm.weight * x / (x.pow(2).mean(-1, keepdim=True) + 1e-6).sqrt()
    torch.testing.assert_close(norm(x), wanted)
    half = RMSNorm(6).bfloat16()
    half.weight.data.fill_(1.0)
    assert half(x.bfloat16()).dtype == torch.bfloat16


def test_positions_are_counted():
    device = torch.device("cpu")
    assert CountFromZero()(None, 2, 3, 4, device).tolist() == [[4, 5, 6]] * 2
    ids = torch.tensor([[1, 1, 8, 9], [8, 1, 9, 1]])
    assert CountAfterPadding(1)(ids, 2, 4, 0, device).tolist() == [[1, 1, 2, 3], [2, 1, 3, 1]]
    assert CountAfterPadding(1)(None, 1, 3, 0, device).tolist() == [[2, 3, 4]]
    assert CountAfterPadding(1)(torch.tensor([[8]]), 1, 1, 5, device).tolist() == [[7]]
