"""A body for images: pixels in, one hidden state per patch out."""

# B images  P patches  E hidden
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from madang.blocks.context import Context, States
from madang.bodies.stack import Stack
from madang.errors import InputError
from madang.ops.packing import Padded


class ImageBody(Stack):
    """Patch embedding, blocks, norm, and a pooler for some heads. ViT."""

    longest = None
    causal = False
    input_names = ("pixel_values", "interpolate_pos_encoding")

    def __init__(
        self,
        embed: nn.Module,
        blocks: Sequence[nn.Module],
        norm: nn.Module | None = None,
        *,
        pooler: nn.Module | None = None,
    ) -> None:
        super().__init__(embed, blocks, norm, record_normed=False)
        self.pooler = pooler

    def forward(
        self,
        pixel_values: Tensor,
        interpolate_pos_encoding: bool = False,
        record: tuple[str, ...] = (),
        plain: bool = False,
        first_only: bool = False,
    ) -> States:
        """Pixels (B, channels, height, width) -> States of the patches, (B, P, E).

        With `first_only` the caller reads nothing but the first patch, and the last block may leave out the others.
        """
        if pixel_values.ndim != 4:
            found = tuple(pixel_values.shape)
            raise InputError(f"pixel_values must have the shape (images, channels, height, width); found {found}.")
        x = self.embed(pixel_values, interpolate=interpolate_pos_encoding)
        layout = Padded(x.shape[0], x.shape[1])
        context = Context(layout, torch.arange(x.shape[1], device=x.device), plain=plain or "attentions" in record)
        for name in record:
            setattr(context, name, [])
        first_only = first_only and self.can_ask_first(context)
        x = self.run(x, context, first_only=first_only)
        return States(
            x,
            Padded(x.shape[0], x.shape[1]),
            pooled=None if self.pooler is None else self.pooler(x[:, 0]),
            hidden_states=None if context.hidden_states is None else tuple(context.hidden_states),
            attentions=None if context.attentions is None else tuple(context.attentions),
        )
