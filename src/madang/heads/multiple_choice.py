"""Which of several texts is right."""

from torch import Tensor, nn

from madang.blocks.context import States
from madang.heads.head import Head


class MultipleChoice(Head):
    """One number per choice; inputs are (B, choices, T), labels the index of the right one (B,)."""

    choices = True

    def __init__(self, pool: nn.Module, output: nn.Linear, transform: nn.Module | None = None) -> None:
        super().__init__()
        self.pool, self.transform, self.output = pool, transform or nn.Identity(), output
        self.first_only = getattr(pool, "first_only", False)

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B * choices, 1); whoever folded the choices into the batch unfolds them."""
        return {"logits": self.output(self.transform(self.pool(states)))}
