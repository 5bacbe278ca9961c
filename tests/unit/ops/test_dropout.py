"""Dropout: what is kept, how much of it, and that a seed repeats it."""

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from madang.blocks.layers import Dropout
from madang.ops.dropout import STEPS, dropout, kept


def test_elements_are_zero_or_scaled_so_that_the_mean_stays():
    torch.manual_seed(0)
    x = torch.ones(300, 401)

    dropped = dropout(x, 0.1)

    share = round(0.1 * STEPS) / STEPS
    assert set(dropped.unique().tolist()) == {0.0, torch.tensor(1 / (1 - share)).item()}
    assert (dropped == 0).float().mean().item() == pytest.approx(0.1, abs=0.003)
    assert dropped.mean().item() == pytest.approx(1, abs=0.003)


@pytest.mark.parametrize("probability", [0.001, 0.25, 0.5, 0.9, 0.9999])
def test_the_share_of_zeros_is_the_probability(probability):
    torch.manual_seed(1)
    zeros = (kept(torch.Size((400_003,)), probability, torch.float32) == 0).double().mean().item()
    assert zeros == pytest.approx(probability, abs=0.003)


def test_neighbours_are_dropped_independently():
    torch.manual_seed(2)
    gone = (kept(torch.Size((400_000,)), 0.3, torch.float32) == 0).double()
    for distance in (1, 2, 3, 4):
        both = (gone[distance:] * gone[:-distance]).mean().item()
        assert both == pytest.approx(0.09, abs=0.004)


def test_a_seed_repeats_it_and_the_next_call_differs():
    x = torch.ones(5, 7)
    torch.manual_seed(3)
    first, second = dropout(x, 0.5), dropout(x, 0.5)
    torch.manual_seed(3)
    assert torch.equal(dropout(x, 0.5), first)
    assert not torch.equal(first, second)


def test_gradients_pass_where_elements_were_kept():
    x = torch.ones(50, 3, requires_grad=True)
    dropped = dropout(x, 0.5)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped.detach())


def test_running_again_for_the_gradient_drops_the_same_elements():
    layer, x = Dropout(0.5), torch.ones(40, 3, requires_grad=True)
    dropped = checkpoint(layer, x, use_reentrant=False)
    dropped.sum().backward()
    assert torch.equal(x.grad, dropped.detach())


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_the_kind_of_number_stays(dtype):
    assert dropout(torch.ones(9, dtype=dtype), 0.5).dtype == dtype


def test_nothing_and_all():
    x = torch.ones(2, 3)
    assert dropout(x, 0.0) is x
    assert torch.equal(dropout(x, 1.0), torch.zeros(2, 3))
    assert dropout(torch.ones(0, 3), 0.5).shape == (0, 3)


def test_the_module_drops_only_in_training():
    layer, x = Dropout(0.5), torch.ones(100)
    assert torch.equal(layer.eval()(x), x)
    assert (layer.train()(x) == 0).any()
    assert isinstance(layer, torch.nn.Dropout)


@pytest.mark.parametrize("probability", [1e-7, 1 - 1e-7])
def test_the_smallest_and_the_largest_probability_are_possible(probability):
    kept = (dropout(torch.ones(1000), probability) != 0).sum()
    assert kept > 990 if probability < 0.5 else kept < 10
