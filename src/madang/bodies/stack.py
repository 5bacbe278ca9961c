"""Blocks one after the other."""

from collections.abc import Sequence
from dataclasses import replace
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

    def run(self, x: Tensor, context: Context, *, first_only: bool = False) -> Tensor:
        """(…, E) -> (…, E), through all blocks and the norm; with `first_only` each text's first token, (B, 1, E)."""
        for place, block in enumerate(self.blocks, start=1):
            context.record(x)
            # the blocks before keep their context: gradient checkpointing runs them again with it
            last = first_only and place == len(self.blocks)
            x = self._run_block(block, x, replace(context, first_only=True) if last else context)
        if not self.record_normed:
            context.record(x)
        x = self.norm(x)
        if self.record_normed:
            context.record(x)
        return x

    def can_ask_first(self, context: Context) -> bool:
        """Whether the last block can work out each text's first token alone.

        All else in that block is work for nobody then: a sixth of a model of six blocks, forwards and backwards.
        """
        if context.plain or context.cache is not None or context.relative is not None:
            return False
        if context.hidden_states is not None or context.layout.has_empty():
            return False
        return len(self.blocks) > 0 and getattr(getattr(self.blocks[-1], "attention", None), "can_ask_first", False)

    def _run_block(self, block: nn.Module, x: Tensor, context: Context) -> Tensor:
        if self.checkpointing and self.training:
            from torch.utils.checkpoint import checkpoint

            # activations are not kept for the way back but worked out again
            return checkpoint(block, x, context, use_reentrant=False)
        return block(x, context)
