"""Encoded texts in batches: of similar length, of a good size, on the model's device.

B texts of a batch  T tokens of its longest text
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from madang.tokenizers.padding import pad_array

# Tokens of a batch where its size is not given. A processor is busy with few, and small activations stay in its cache;
# a GPU wants many. Measured with MiniLM and headlines: see benchmarks/pipelines.py.
TOKENS = {"cpu": 1024}
TOKENS_ELSEWHERE = 16384
MOST_TEXTS = 512


@dataclass(frozen=True)
class Filling:
    """What padding is made of: the id and type of padding, and the side it goes to."""

    ids: int
    types: int = 0
    side: str = "right"


@dataclass(frozen=True)
class Batch:
    """`rows` are the numbers of the encoded texts, in the order of the tensors in `inputs` (each (B, T))."""

    rows: list[int]
    inputs: dict[str, Tensor]


def batches(
    columns: dict[str, list[list[int]]], filling: Filling, device: torch.device, size: int | None = None
) -> Iterator[Batch]:
    """All rows of `columns` ("input_ids", perhaps "token_type_ids") in batches, longest first, with attention masks.

    `size` texts go into a batch; by default as many as have TOKENS tokens together. Longest first: the memory that the
    first batch needs is enough for all.
    """
    ids = columns["input_ids"]
    lengths = list(map(len, ids))
    for rows in cut(lengths, size, TOKENS.get(device.type, TOKENS_ELSEWHERE)):
        width = lengths[rows[0]]
        fills = {"input_ids": filling.ids, "token_type_ids": filling.types}
        inputs = {
            name: _tensor([values[row] for row in rows], width, fills[name], filling.side)
            for name, values in columns.items()
        }
        inputs["attention_mask"] = _tensor([[1] * lengths[row] for row in rows], width, 0, filling.side)
        yield Batch(rows, {name: tensor.to(device) for name, tensor in inputs.items()})


def cut(lengths: Sequence[int], size: int | None, budget: int) -> Iterator[list[int]]:
    """The numbers of the texts of each batch: sorted by length, longest first, `size` of them or `budget` tokens."""
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    start = 0
    while start < len(order):
        count = size or min(MOST_TEXTS, max(1, budget // max(1, lengths[order[start]])))
        yield order[start : start + count]
        start += count


def _tensor(rows: list[list[int]], width: int, fill: int, side: str) -> Tensor:
    made: Any = pad_array(rows, width, fill, side)
    return torch.from_numpy(made)
