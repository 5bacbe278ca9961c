"""Giving a model's vocabulary another size."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from madang.blocks.layers import Embedding, Linear
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.auto.model import Model


def resize_vocabulary(
    model: Model, size: int | None, multiple: int | None = None, *, mean_resizing: bool = True
) -> nn.Embedding:
    """Make the token table (and the output matrix) `size` rows long, rounded up to a `multiple`; returns the table.

    New rows are the mean of the old plus a little noise, so that new tokens start as likely as an average one
    (Hewitt 2021), or drawn as in training with `mean_resizing=False`.
    """
    table = model.get_input_embeddings()
    if not isinstance(table, nn.Embedding):
        raise InputError(f"{type(model).__name__} has no token table to resize.")
    size = table.num_embeddings if size is None else size
    if multiple:
        size = math.ceil(size / multiple) * multiple
    if size <= 0:
        raise InputError(f"a vocabulary of {size} tokens is not possible.")
    if size == table.num_embeddings:
        return table
    std = None if mean_resizing else getattr(model.config, "initializer_range", 0.02)
    new = Embedding(size, table.embedding_dim, padding_idx=table.padding_idx, device="meta")
    new.weight = nn.Parameter(_resized(table.weight.detach(), size, std), requires_grad=table.weight.requires_grad)
    output = model.get_output_embeddings()
    if isinstance(output, nn.Linear):
        _resize_output(model, output, size, std)
    model.set_input_embeddings(new)
    model.config.vocab_size = size
    return new


def _resize_output(model: Model, output: nn.Linear, size: int, std: float | None) -> None:
    resized = Linear(output.in_features, size, bias=output.bias is not None, device="meta")
    resized.weight = nn.Parameter(_resized(output.weight.detach(), size, std))
    if output.bias is not None:
        longer = output.bias.new_zeros(size)
        kept = min(size, len(output.bias))
        longer[:kept] = output.bias.detach()[:kept]
        resized.bias = nn.Parameter(longer)
    model.head.output = resized


def _resized(rows: Tensor, size: int, std: float | None) -> Tensor:
    """The first `size` rows, new ones drawn: around the mean of the old, or around 0 with `std`."""
    if size <= len(rows):
        return rows[:size].clone()
    added = torch.empty(size - len(rows), rows.shape[1], dtype=rows.dtype, device=rows.device)
    if std is not None:
        added.normal_(0.0, std)
    else:
        added.copy_(rows.float().mean(0) + 1e-3 * rows.float().std(0) * torch.randn(added.shape, device=rows.device))
    return torch.cat((rows, added))
