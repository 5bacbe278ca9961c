"""One vector for a whole text."""

from torch import Tensor, nn

from madang.blocks.layers import Linear
from madang.ops.activations import activation


class Pooler(nn.Module):
    """act(dense(first token)). BERT, ViT."""

    def __init__(self, hidden: int, size: int | None = None, act: str = "tanh") -> None:
        super().__init__()
        self.dense = Linear(hidden, size or hidden)
        self.activation = activation(act)

    def forward(self, first: Tensor) -> Tensor:
        """The first token's hidden state, (B, E) -> (B, P)."""
        return self.activation(self.dense(first))
