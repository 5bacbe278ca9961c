"""Noise on token vectors while a model trains: NEFTune."""

# B texts  T tokens  N packed tokens  E hidden
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from madang.errors import InputError
from madang.ops.packing import choose_layout


def with_noise(model: nn.Module, alpha: float) -> "Noise":
    """Noise on the token vectors of `model` in training (Jain et al. 2023, arXiv 2310.05914); `.remove()` ends it.

    Every number gets one drawn evenly from ± alpha / sqrt(L * E), where L is the number of real tokens of its own text:
    how a text is batched and padded does not matter. (Where a body of somebody else's gets no attention mask, L is the
    width of the batch.) `alpha` is 5 to 15 in the paper. Vectors given as `inputs_embeds` stay as they are.
    """
    if not alpha > 0:
        raise InputError(f"neftune_noise_alpha is above 0, but {alpha} was given; None is no noise.")
    find = getattr(model, "get_input_embeddings", None)
    table = None if find is None else find()
    if not isinstance(table, nn.Embedding):
        raise InputError(f"{type(model).__name__} looks up no tokens, so there are no vectors to add noise to.")
    return Noise(model, table, alpha)


class Noise:
    """The hooks that add it: one on the table, and one on each body that reads from the table, to see its texts."""

    def __init__(self, model: nn.Module, table: nn.Embedding, alpha: float) -> None:
        self.alpha = alpha
        self._mask: Tensor | None = None
        readers = [m for m in model.modules() if getattr(m._modules.get("embed"), "tokens", None) is table]
        self._handles: list[RemovableHandle] = [table.register_forward_hook(self._add)]
        self._handles += [reader.register_forward_pre_hook(self._look, with_kwargs=True) for reader in readers]

    def remove(self) -> None:
        """No more noise."""
        for handle in self._handles:
            handle.remove()

    def _look(self, reader: nn.Module, inputs: tuple[Any, ...], named: dict[str, Any]) -> None:
        # bodies take the mask second
        self._mask = named.get("attention_mask", inputs[1] if len(inputs) > 1 else None)

    def _add(self, table: nn.Module, inputs: Any, vectors: Tensor) -> Tensor:
        """(B, T, E) or packed (N, E) -> the same with noise."""
        mask, self._mask = self._mask, None
        if not table.training:
            return vectors
        size = (_lengths(vectors, mask) * vectors.shape[-1]).rsqrt() * self.alpha
        noise = torch.empty_like(vectors).uniform_(-1, 1)
        return vectors + noise * size.to(vectors.dtype)


def _lengths(vectors: Tensor, mask: Tensor | None) -> Tensor:
    """How many real tokens the text of each vector has, as floats that broadcast over `vectors`."""
    if mask is None:
        return torch.tensor(float(vectors.shape[-2]), device=vectors.device)
    lengths = (mask != 0).sum(1, keepdim=True).clamp(min=1).float()  # (B, 1)
    if vectors.ndim == 3:
        return lengths.unsqueeze(-1)
    # as the body packed its tokens
    return choose_layout((mask.shape[0], mask.shape[1]), mask).pack(lengths.expand(mask.shape)).unsqueeze(-1)
