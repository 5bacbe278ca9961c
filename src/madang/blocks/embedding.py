"""From token ids to vectors, with or without learned positions and types."""

# B batch  T tokens  N packed tokens  E hidden
import torch
from torch import Tensor, nn

from madang.blocks.layers import Dropout, Embedding


class CountFromZero:
    """Positions 0, 1, 2, … along the rectangle."""

    first = 0

    def __call__(self, ids: Tensor | None, batch: int, width: int, seen: int, device: torch.device) -> Tensor:
        """(B, T) positions, continuing after `seen` tokens."""
        return torch.arange(self.first + seen, self.first + seen + width, device=device).expand(batch, width)


class CountAfterPadding(CountFromZero):
    """Positions padding + 1, padding + 2, … over the tokens that are not padding, which gets `padding`. RoBERTa."""

    def __init__(self, padding: int) -> None:
        self.padding, self.first = padding, padding + 1

    def __call__(self, ids: Tensor | None, batch: int, width: int, seen: int, device: torch.device) -> Tensor:
        """(B, T) positions, continuing after `seen` tokens."""
        if ids is None:
            return super().__call__(None, batch, width, seen, device)
        real = (ids != self.padding).long()
        return (real.cumsum(1) + seen) * real + self.padding


class TokenEmbedding(nn.Module):
    """One vector per token. Llama, T5."""

    def __init__(self, vocabulary: int, hidden: int, *, dropout: float = 0.0, padding: int | None = None) -> None:
        super().__init__()
        self.tokens = Embedding(vocabulary, hidden, padding_idx=padding)
        self.dropout = Dropout(dropout)
        self.number = CountFromZero()

    def forward(self, x: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        """Token vectors (…, E) -> (…, E); positions act elsewhere."""
        return self.dropout(x)


class PositionedEmbedding(nn.Module):
    """One vector per token and one per position. GPT-2."""

    def __init__(
        self, vocabulary: int, hidden: int, longest: int, *, dropout: float = 0.0, number: CountFromZero | None = None
    ) -> None:
        super().__init__()
        self.tokens = Embedding(vocabulary, hidden)
        self.positions = Embedding(longest, hidden)
        self.dropout = Dropout(dropout)
        self.number = number or CountFromZero()

    def forward(self, x: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        """Token vectors (…, E), positions (…) -> (…, E)."""
        return self.dropout(x + self.positions(positions))


class TypedEmbedding(nn.Module):
    """One vector per token, position and type (which of two sentences), normed. BERT, RoBERTa."""

    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        longest: int,
        types: int,
        norm: nn.Module,
        *,
        dropout: float = 0.0,
        padding: int | None = None,
        number: CountFromZero | None = None,
        padding_position: int | None = None,
    ) -> None:
        super().__init__()
        self.tokens = Embedding(vocabulary, hidden, padding_idx=padding)
        self.positions = Embedding(longest, hidden, padding_idx=padding_position)
        self.types = Embedding(types, hidden)
        self.norm, self.dropout = norm, Dropout(dropout)
        self.number = number or CountFromZero()

    def forward(self, x: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        """Token vectors (…, E), positions (…), types (…) or None for all 0 -> (…, E)."""
        typed = self.types.weight[0] if types is None else self.types(types)
        return self.dropout(self.norm(x + typed + self.positions(positions)))
