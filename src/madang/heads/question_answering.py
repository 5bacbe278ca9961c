"""The answer to a question as a span of the text."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from madang.blocks.context import States
from madang.heads.head import Head, moved_right
from madang.ops.losses import IGNORED, count_labels, cross_entropy


class QuestionAnswering(Head):
    """Two numbers per token: how likely the answer starts and ends there.

    A start or end beyond the text (a window without the answer) is no target. Starts and ends are targets of their own,
    so the loss of a batch is the mean over both. Padding is never an answer. Labels are not smoothed: the classes are
    the tokens of a text, so how much of a label each other one gets would depend on how long the text is.
    """

    label_names = ("start_positions", "end_positions")
    reads_source = True
    can_smooth = False

    def __init__(self, output: nn.Linear, dropout: float = 0.0, *, start: int = 0) -> None:
        super().__init__()
        self.dropout, self.output, self.start = nn.Dropout(dropout), output, start

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> start_logits and end_logits, each (B, T); the smallest number there is where there is padding."""
        logits = states.layout.unpack(self.output(self.dropout(states.tokens)))
        if states.attention_mask is not None and states.attention_mask.shape == logits.shape[:2]:
            logits = logits.masked_fill((states.attention_mask == 0).unsqueeze(-1), torch.finfo(logits.dtype).min)
        start, end = logits.unbind(-1)
        return {"start_logits": start, "end_logits": end}

    def decoder_inputs(self, labels: Mapping[str, Tensor | None], source: Tensor | None) -> Tensor | None:
        """The text itself, moved right by one after `start`."""
        return None if source is None else moved_right(source, self.start, self.start)

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Positions (B,), IGNORED where they are not those of a real token."""
        text = inputs.get("input_ids", inputs.get("inputs_embeds"))
        mask = inputs.get("attention_mask")
        if mask is None and text is not None:
            mask = torch.ones(text.shape[:2], dtype=torch.long, device=text.device)
        return {name: _within(labels[name], mask) for name in self.label_names}

    def loss(self, answers: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
        """The summed cross entropies of starts and ends."""
        start, end = self.label_names
        return cross_entropy(answers["start_logits"], labels[start]) + cross_entropy(answers["end_logits"], labels[end])

    def count(self, labels: Mapping[str, Tensor]) -> Tensor:
        """The number of starts and ends that are targets."""
        start, end = self.label_names
        return count_labels(labels[start]) + count_labels(labels[end])


def _within(positions: Tensor, mask: Tensor | None) -> Tensor:
    """(B,) or (B, 1) -> (B,), IGNORED where there is no such token."""
    flat = positions.flatten().long()
    outside = flat < 0
    if mask is not None:
        inside = flat.clamp(0, mask.shape[1] - 1)
        outside = outside | (flat >= mask.shape[1]) | (mask.gather(1, inside[:, None]).squeeze(1) == 0)
    return flat.masked_fill(outside, IGNORED)
