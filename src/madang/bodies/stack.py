"""Blocks one after the other."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from madang.blocks.context import Context


class Stack(nn.Module):
    """An embedding, blocks in a row, then a norm (or nothing). Records what was asked for, saves memory when told to.

    `record_normed` says whether the last recorded hidden state is the normed one, as most families publish it.
    """

    embed: Any  # each kind of body has its own

    def __init__(
        self,
        embed: nn.Module,
        blocks: Sequence[nn.Module],
        norm: nn.Module | None = None,
        *,
        record_normed: bool = True,
    ) -> None:
        super().__init__()
        self.embed = embed
        self.blocks = nn.ModuleList(blocks)
        self.norm = norm or nn.Identity()
        self.record_normed = record_normed
        self.checkpointing = False

    def run(self, x: Tensor, context: Context) -> Tensor:
        """(…, E) -> (…, E), through all blocks and the norm."""
        for block in self.blocks:
            context.record(x)
            x = self._run_block(block, x, context)
        if not self.record_normed:
            context.record(x)
        x = self.norm(x)
        if self.record_normed:
            context.record(x)
        return x

    def _run_block(self, block: nn.Module, x: Tensor, context: Context) -> Tensor:
        if self.checkpointing and self.training:
            from torch.utils.checkpoint import checkpoint

            # activations are not kept for the way back but worked out again
            return checkpoint(block, x, context, use_reentrant=False)
        return block(x, context)
