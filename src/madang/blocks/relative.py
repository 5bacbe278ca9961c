"""Positions as a bias on attention scores, by distance."""

import torch
from torch import Tensor, nn

from madang.blocks.layers import Embedding
from madang.ops.relative import distances, t5_buckets


class BucketedBias(nn.Module):
    """One learned number per head and bucket of distances, added to the scores of every block. T5."""

    def __init__(self, heads: int, buckets: int, furthest: int, *, bidirectional: bool) -> None:
        super().__init__()
        self.table = Embedding(buckets, heads)
        self.furthest, self.bidirectional = furthest, bidirectional

    def forward(self, queries: int, keys: int, device: torch.device) -> Tensor:
        """-> (H, T, S); the queries are the last T of the S tokens."""
        between = distances(queries, keys, device)
        buckets = t5_buckets(between, self.table.num_embeddings, self.furthest, bidirectional=self.bidirectional)
        bias: Tensor = self.table(buckets)
        return bias.permute(2, 0, 1)
