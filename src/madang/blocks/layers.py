"""Linear, Embedding and the norms, made without drawing numbers: a model is built empty, then filled or drawn.

They are torch's own classes otherwise, so whatever looks for `nn.Linear` (LoRA, quantising) finds them.
"""

import torch
from torch import Tensor, nn

from madang.ops.dropout import dropout


class Linear(nn.Linear):
    """nn.Linear whose parameters hold nothing yet. `weight` is (out, in)."""

    def reset_parameters(self) -> None:
        """Left to whoever fills or draws the model."""


class Embedding(nn.Embedding):
    """nn.Embedding whose table holds nothing yet."""

    def reset_parameters(self) -> None:
        """Left to whoever fills or draws the model."""


class Dropout(nn.Dropout):
    """nn.Dropout that takes a sixth of the time on the CPU."""

    def forward(self, x: Tensor) -> Tensor:
        """(…) -> (…)."""
        return dropout(x, self.p) if self.training else x


class LayerNorm(nn.LayerNorm):
    """Mean 0 and variance 1 over the last axis, then a learned scale and shift (Ba et al. 2016)."""

    def reset_parameters(self) -> None:
        """Left to whoever fills or draws the model."""


class RMSNorm(nn.Module):
    """Root mean square 1 over the last axis, then a learned scale (Zhang & Sennrich 2019). Llama, T5."""

    def __init__(self, size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, E)."""
        # float32: squares of bfloat16 activations lose what the mean is made of
        wide = x.float()
        return self.weight * (wide * torch.rsqrt(wide.square().mean(-1, keepdim=True) + self.eps)).to(self.weight.dtype)

    def extra_repr(self) -> str:
        """For printing: the size and eps."""
        return f"{len(self.weight)}, eps={self.eps}"


class Conv2d(nn.Conv2d):
    """nn.Conv2d whose parameters hold nothing yet."""

    def reset_parameters(self) -> None:
        """Left to whoever fills or draws the model."""


class Conv1d(nn.Conv1d):
    """nn.Conv1d whose parameters hold nothing yet."""

    def reset_parameters(self) -> None:
        """Left to whoever fills or draws the model."""
