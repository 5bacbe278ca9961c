"""One class for every token: names, parts of speech."""

from collections.abc import Mapping

from torch import Tensor, nn

from madang.blocks.context import States
from madang.heads.head import Head, without_padding


class TokenClassification(Head):
    """output(dropout(token)). Labels (B, T), -100 where a token is no target."""

    def __init__(self, output: nn.Linear, dropout: float = 0.0) -> None:
        super().__init__()
        self.dropout, self.output = nn.Dropout(dropout), output

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B, T, classes); zeros where there is padding."""
        return {"logits": states.layout.unpack(self.output(self.dropout(states.tokens)))}

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Padding is never a target."""
        return {"labels": without_padding(labels["labels"], inputs.get("attention_mask"))}
