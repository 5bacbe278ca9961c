"""A distribution over the vocabulary for every token: filling gaps, continuing a text, answering with one."""

from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import pad

from madang.blocks.context import States
from madang.heads.head import Head, moved_right, without_padding
from madang.ops.losses import IGNORED, count_labels


class MaskedLanguage(Head):
    """output(transform(token)); labels (B, T), -100 where nothing was hidden. BERT, RoBERTa, DeBERTa."""

    def __init__(self, transform: nn.Module, output: nn.Linear) -> None:
        super().__init__()
        self.transform, self.output = transform, output

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B, T, vocabulary)."""
        return {"logits": states.layout.unpack(self.output(self.transform(states.tokens)))}

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Padding is never a target."""
        return {"labels": without_padding(labels["labels"], inputs.get("attention_mask"))}


class CausalLanguage(Head):
    """The next token. Labels (B, T) are the tokens themselves: those from the second on are targets. GPT-2, Llama."""

    def __init__(self, output: nn.Linear, transform: nn.Module | None = None) -> None:
        super().__init__()
        self.transform, self.output = transform or nn.Identity(), output

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B, T, vocabulary)."""
        return {"logits": states.layout.unpack(self.output(self.transform(states.tokens)))}

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Those that are real and follow a real token: with padding on the left nothing foretells the first."""
        mask = inputs.get("attention_mask")
        kept = without_padding(labels["labels"], mask)
        if mask is None or mask.shape != kept.shape:
            return {"labels": kept}
        before = pad(mask[:, :-1], (1, 0), value=1)
        return {"labels": kept.masked_fill(before == 0, IGNORED)}

    def loss(self, answers: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
        """The token at t is foretold by the logits at t - 1."""
        return self.cross_entropy(answers["logits"][:, :-1], labels["labels"][:, 1:])

    def count(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Targets after the shift: the first token is never one."""
        return count_labels(labels["labels"][:, 1:])


class SequenceToSequenceLanguage(Head):
    """The next token of the answer; the decoder reads the labels moved right by one, after `start`. T5.

    `scale` multiplies the hidden states first.
    """

    def __init__(self, output: nn.Linear, *, start: int, padding: int, scale: float = 1.0) -> None:
        super().__init__()
        self.output, self.start, self.padding, self.scale = output, start, padding, scale

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B, T, vocabulary)."""
        return {"logits": states.layout.unpack(self.output(states.tokens * self.scale))}

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Padding of the answer is never a target."""
        return {"labels": without_padding(labels["labels"], inputs.get("decoder_attention_mask"))}

    def decoder_inputs(self, labels: Mapping[str, Tensor | None], source: Tensor | None) -> Tensor | None:
        """The labels moved right by one."""
        answer = labels["labels"]
        return None if answer is None else moved_right(answer, self.start, self.padding)
