"""Blocks: in which order attention, feed-forward, norms and residuals follow one another."""

from collections.abc import Callable

from torch import Tensor, nn

from madang.blocks.context import Context
from madang.blocks.layers import Dropout

NewNorm = Callable[[], nn.Module]

# Where a block adds its input to what became of it, it takes `context.asked(x)`: for first tokens only, when it is the
# last block and nobody reads the others.


class PreNormBlock(nn.Module):
    """x + attention(norm(x)), then the same with the feed-forward. GPT-2, Llama, ViT, T5's encoder."""

    def __init__(self, attention: nn.Module, feed_forward: nn.Module, norm: NewNorm, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(), attention
        self.feed_forward_norm, self.feed_forward = norm(), feed_forward
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(…, E) -> (…, E)."""
        x = context.asked(x) + self.dropout(self.attention(self.attention_norm(x), context))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))


class PostNormBlock(nn.Module):
    """norm(x + attention(x)), then the same with the feed-forward. BERT, RoBERTa, DeBERTa."""

    def __init__(self, attention: nn.Module, feed_forward: nn.Module, norm: NewNorm, dropout: float = 0.0) -> None:
        super().__init__()
        self.attention, self.attention_norm = attention, norm()
        self.feed_forward, self.feed_forward_norm = feed_forward, norm()
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(…, E) -> (…, E)."""
        x = self.attention_norm(context.asked(x) + self.dropout(self.attention(x, context)))
        return self.feed_forward_norm(x + self.dropout(self.feed_forward(x)))


class PreNormCrossBlock(nn.Module):
    """A pre-norm block that also looks at the encoder's tokens, after its own. T5's decoder."""

    def __init__(
        self, attention: nn.Module, cross: nn.Module, feed_forward: nn.Module, norm: NewNorm, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.attention_norm, self.attention = norm(), attention
        self.cross_norm, self.cross = norm(), cross
        self.feed_forward_norm, self.feed_forward = norm(), feed_forward
        self.dropout = Dropout(dropout)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(…, E) -> (…, E)."""
        x = x + self.dropout(self.attention(self.attention_norm(x), context))
        x = x + self.dropout(self.cross(self.cross_norm(x), context))
        return x + self.dropout(self.feed_forward(self.feed_forward_norm(x)))
