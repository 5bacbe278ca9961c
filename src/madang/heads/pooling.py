"""Which vector stands for a whole text: (tokens) -> (B, E)."""

import torch
from torch import Tensor, nn

from madang.blocks.context import States
from madang.errors import InputError


class PoolerOutput(nn.Module):
    """What the body's pooler made of the first token. BERT."""

    first_only = True

    def forward(self, states: States) -> Tensor:
        """-> (B, E)."""
        assert states.pooled is not None
        return states.pooled


class FirstToken(nn.Module):
    """The hidden state of the first token. RoBERTa, ViT."""

    first_only = True

    def forward(self, states: States) -> Tensor:
        """-> (B, E)."""
        return states.layout.first(states.tokens)


class LastToken(nn.Module):
    """The hidden state of the last token that is not `padding`. GPT-2, Llama.

    Without a padding id the attention mask tells; without both only a batch of one text has a known end.
    """

    def __init__(self, padding: int | None) -> None:
        super().__init__()
        self.padding = padding

    def forward(self, states: States) -> Tensor:
        """-> (B, E)."""
        return states.layout.at(states.tokens, self._columns(states))

    def _columns(self, states: States) -> Tensor:
        if states.input_ids is not None and self.padding is not None:
            real = states.input_ids != self.padding
        elif states.attention_mask is not None:
            real = states.attention_mask != 0
        elif states.layout.batch == 1 or states.input_ids is None:
            return torch.full((states.layout.batch,), states.layout.width - 1, device=states.tokens.device)
        else:
            raise InputError(
                f"a batch of {states.layout.batch} texts was given, but config.pad_token_id is not set and there is no "
                "attention_mask: where does each text end? Pass the attention_mask, or set model.config.pad_token_id."
            )
        width = real.shape[1]
        # the rightmost real token, whichever side the padding is on
        return (torch.arange(width, device=real.device) * real).argmax(1)


class EndToken(nn.Module):
    """The hidden state of the last end-of-text token; every text must have as many of them. T5, BART."""

    def __init__(self, end: int) -> None:
        super().__init__()
        self.end = end

    def forward(self, states: States) -> Tensor:
        """-> (B, E), from the decoder's states and the ids that both sides read."""
        assert states.encoder is not None
        assert states.encoder.input_ids is not None
        ends = states.encoder.input_ids == self.end
        if not bool(ends.any(1).all()):
            raise InputError(f"every text must hold the end-of-text id {self.end}: the answer is read off there.")
        return states.layout.at(states.tokens, (torch.arange(ends.shape[1], device=ends.device) * ends).argmax(1))
