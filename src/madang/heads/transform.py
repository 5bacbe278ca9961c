"""What happens to a vector before the last projection."""

from torch import Tensor, nn

from madang.blocks.layers import Dropout, Linear
from madang.ops.activations import activation


class DenseTransform(nn.Module):
    """norm(act(dense(x))), with dropout before and after where it is asked for. RoBERTa's, BERT's, DeBERTa's heads."""

    def __init__(
        self,
        hidden: int,
        act: str,
        *,
        size: int | None = None,
        norm: nn.Module | None = None,
        dropout_before: float = 0.0,
        dropout_after: float = 0.0,
    ) -> None:
        super().__init__()
        self.dropout_before, self.dropout_after = Dropout(dropout_before), Dropout(dropout_after)
        self.dense = Linear(hidden, size or hidden)
        self.activation = activation(act)
        self.norm = norm or nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(…, E) -> (…, size)."""
        return self.dropout_after(self.norm(self.activation(self.dense(self.dropout_before(x)))))


class Dropped(Dropout):
    """Nothing but dropout. BERT's classification heads."""
