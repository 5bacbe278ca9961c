"""Feed-forwards: what each token does by itself."""

from torch import Tensor, nn

from madang.blocks.layers import Dropout, Linear
from madang.ops.activations import activation


class FeedForward(nn.Module):
    """down(act(up(x))). BERT, GPT-2, ViT, T5 1.0."""

    def __init__(self, hidden: int, inner: int, act: str, *, bias: bool = True, dropout: float = 0.0) -> None:
        super().__init__()
        self.up = Linear(hidden, inner, bias=bias)
        self.down = Linear(inner, hidden, bias=bias)
        self.activation, self.dropout = activation(act), Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, E)."""
        return self.down(self.dropout(self.activation(self.up(x))))


class GatedFeedForward(nn.Module):
    """down(act(gate(x)) * up(x)) (Shazeer 2020). Llama, T5 1.1."""

    def __init__(self, hidden: int, inner: int, act: str, *, bias: bool = False, dropout: float = 0.0) -> None:
        super().__init__()
        self.gate = Linear(hidden, inner, bias=bias)
        self.up = Linear(hidden, inner, bias=bias)
        self.down = Linear(inner, hidden, bias=bias)
        self.activation, self.dropout = activation(act), Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, E)."""
        return self.down(self.dropout(self.activation(self.gate(x)) * self.up(x)))
