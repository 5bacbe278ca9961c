"""The activation functions that configs name."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from madang.errors import unknown_name

Activation = Callable[[Tensor], Tensor]


def gelu_tanh(x: Tensor) -> Tensor:
    """GELU by its tanh approximation (Hendrycks & Gimpel 2016); up to 5e-4 away from the exact one."""
    return functional.gelu(x, approximate="tanh")


def quick_gelu(x: Tensor) -> Tensor:
    """x * sigmoid(1.702 x), the rougher approximation of GELU; CLIP."""
    return x * torch.sigmoid(1.702 * x)


def squared_relu(x: Tensor) -> Tensor:
    """relu(x)² (So et al. 2021, Primer)."""
    return functional.relu(x).square()


ACTIVATIONS: dict[str, Activation] = {
    "gelu": functional.gelu,
    "gelu_python": functional.gelu,
    "gelu_new": gelu_tanh,
    "gelu_fast": gelu_tanh,
    "gelu_pytorch_tanh": gelu_tanh,
    "gelu_python_tanh": gelu_tanh,
    "quick_gelu": quick_gelu,
    "relu": functional.relu,
    "relu2": squared_relu,
    "relu6": functional.relu6,
    "leaky_relu": functional.leaky_relu,
    "silu": functional.silu,
    "swish": functional.silu,
    "mish": functional.mish,
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "linear": lambda x: x,
}


def activation(name: str) -> Activation:
    """The function a config calls `name`; an unknown one is an error that lists the known."""
    if name not in ACTIVATIONS:
        raise unknown_name("activation", name, ACTIVATIONS)
    return ACTIVATIONS[name]
