"""Activations by the names that configs use."""

import math

import pytest
import torch

from madang.errors import UnknownNameError
from madang.ops.activations import ACTIVATIONS, activation

X = torch.linspace(-4, 4, 33)


def test_exact_and_approximate_gelu_are_told_apart():
    exact = torch.tensor([x * 0.5 * (1 + math.erf(x / math.sqrt(2))) for x in X.tolist()])
    curve = torch.tensor(
        [0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) for x in X.tolist()]
    )
    for name in ("gelu", "gelu_python"):
        torch.testing.assert_close(activation(name)(X), exact)
    for name in ("gelu_new", "gelu_pytorch_tanh", "gelu_fast"):
        torch.testing.assert_close(activation(name)(X), curve)
    assert (exact - curve).abs().max() > 1e-4


def test_the_others_are_what_their_names_say():
    torch.testing.assert_close(activation("quick_gelu")(X), X / (1 + torch.exp(-1.702 * X)))
    torch.testing.assert_close(activation("silu")(X), X / (1 + torch.exp(-X)))
    torch.testing.assert_close(activation("swish")(X), activation("silu")(X))
    torch.testing.assert_close(activation("relu2")(X), torch.where(X > 0, X * X, 0.0))
    assert torch.equal(activation("linear")(X), X)


@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_every_one_keeps_shape_and_dtype(name):
    for dtype in (torch.float32, torch.bfloat16):
        found = activation(name)(X.to(dtype).view(3, 11))
        assert found.shape == (3, 11)
        assert found.dtype == dtype


def test_an_unknown_one_is_an_error_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'gelu_new'"):
        activation("gelu_knew")
