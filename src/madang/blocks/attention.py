"""Attention: projections, heads and positions around the one attention function."""

# B batch  T tokens  N packed tokens  H query heads  K key/value heads  D head size  E hidden
from dataclasses import dataclass

from torch import Tensor, nn

from madang.blocks.context import Context
from madang.blocks.layers import Linear
from madang.errors import ConfigError
from madang.ops.attention import Bidirectional, Sees, attend
from madang.ops.rotary import Rotary, rotate


@dataclass(frozen=True)
class Heads:
    """How many query heads, how many key/value heads they share, and the size of one head."""

    query: int
    key_value: int
    size: int

    @classmethod
    def of(cls, hidden: int, query: int, key_value: int | None = None, size: int | None = None) -> "Heads":
        """Heads that divide `hidden` evenly, unless a `size` is given."""
        if size is None and hidden % query:
            raise ConfigError(f"hidden_size {hidden} is not a multiple of num_attention_heads {query}.")
        if query % (key_value or query):
            raise ConfigError(f"num_attention_heads {query} is not a multiple of num_key_value_heads {key_value}.")
        return cls(query, key_value or query, size or hidden // query)


class SelfAttention(nn.Module):
    """Tokens of a text look at one another. Every family but those with a formula of their own.

    `scale` multiplies the scores (default 1/sqrt(D)); `rotary` turns queries and keys by their positions. A relative
    bias is taken from the context, where the body puts it once for all blocks.
    """

    def __init__(
        self,
        hidden: int,
        heads: Heads,
        sees: Sees,
        *,
        rotary: Rotary | None = None,
        bias: bool = True,
        output_bias: bool | None = None,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.query = Linear(hidden, heads.query * heads.size, bias=bias)
        self.key = Linear(hidden, heads.key_value * heads.size, bias=bias)
        self.value = Linear(hidden, heads.key_value * heads.size, bias=bias)
        self.output = Linear(heads.query * heads.size, hidden, bias=bias if output_bias is None else output_bias)
        self.heads, self.sees, self.rotary, self.scale, self.dropout = heads, sees, rotary, scale, dropout

    @property
    def can_ask_first(self) -> bool:
        """Whether first tokens can ask alone: they see the whole text, and nothing turns them by their position."""
        return isinstance(self.sees, Bidirectional) and self.rotary is None

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, E) -> (N, E), or (B, T, E) -> (B, T, E): the context's layout says which tokens belong together.

        Only (B, 1, E) come out when the context asks for first tokens only.
        """
        query = self.query(context.asked(x)).unflatten(-1, (-1, self.heads.size))
        key = self.key(x).unflatten(-1, (-1, self.heads.size))
        value = self.value(x).unflatten(-1, (-1, self.heads.size))
        if self.rotary is not None:
            cosine, sine = context.angles(self.rotary, x.dtype)
            query, key = rotate(query, cosine, sine), rotate(key, cosine, sine)
        if context.cache is not None:
            key, value = context.cache.extend(self, key, value)
        mixed, weights = attend(
            query,
            key,
            value,
            context.asked_layout,
            context.keys or context.layout,
            self.sees,
            bias=context.relative,
            scale=self.scale,
            dropout=self.dropout if self.training else 0.0,
            plain=context.plain,
        )
        if weights is not None and context.attentions is not None:
            context.attentions.append(weights)
        return self.output(mixed.flatten(-2))


class CrossAttention(nn.Module):
    """Tokens of a decoder look at the encoder's tokens. T5, BART."""

    def __init__(
        self, hidden: int, heads: Heads, *, bias: bool = True, scale: float | None = None, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.query = Linear(hidden, heads.query * heads.size, bias=bias)
        self.key = Linear(hidden, heads.key_value * heads.size, bias=bias)
        self.value = Linear(hidden, heads.key_value * heads.size, bias=bias)
        self.output = Linear(heads.query * heads.size, hidden, bias=bias)
        self.heads, self.scale, self.dropout = heads, scale, dropout

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """(N, E) -> (N, E); needs `context.memory`."""
        assert context.memory is not None
        query = self.query(x).unflatten(-1, (-1, self.heads.size))
        key, value = self._memory(context)
        mixed, weights = attend(
            query,
            key,
            value,
            context.layout,
            context.memory.layout,
            Bidirectional(),
            scale=self.scale,
            dropout=self.dropout if self.training else 0.0,
            plain=context.plain,
        )
        if weights is not None and context.cross_attentions is not None:
            context.cross_attentions.append(weights)
        return self.output(mixed.flatten(-2))

    def _memory(self, context: Context) -> tuple[Tensor, Tensor]:
        """Keys and values of the encoder's tokens; with a cache they are made once for all produced tokens."""
        assert context.memory is not None
        if context.cache is not None and (kept := context.cache.remembered(self)) is not None:
            return kept
        key = self.key(context.memory.tokens).unflatten(-1, (-1, self.heads.size))
        value = self.value(context.memory.tokens).unflatten(-1, (-1, self.heads.size))
        if context.cache is not None:
            context.cache.remember(self, key, value)
        return key, value
