"""Buckets of relative positions: T5's and DeBERTa's."""

import math

import torch
from torch import Tensor


def distances(queries: int, keys: int, device: torch.device) -> Tensor:
    """Position of the key minus position of the query, (T, S); the queries are the last T of the S tokens."""
    return torch.arange(keys, device=device) - torch.arange(keys - queries, keys, device=device)[:, None]


def t5_buckets(distance: Tensor, buckets: int, furthest: int, *, bidirectional: bool) -> Tensor:
    """The bucket of each distance: near ones singly, far ones in logarithmic steps up to `furthest`.

    Raffel et al. 2019, section 2.1.
    """
    bucket = torch.zeros_like(distance)
    if bidirectional:
        buckets //= 2
        bucket = bucket + (distance > 0) * buckets
        distance = distance.abs()
    else:
        distance = (-distance).clamp(min=0)
    exact = buckets // 2
    # float32 logarithm, as the published models were trained: another precision moves borders by one
    steps = torch.log(distance.clamp(min=1).float() / exact) / math.log(furthest / exact) * (buckets - exact)
    far = (exact + steps.long()).clamp(max=buckets - 1)
    return bucket + torch.where(distance < exact, distance, far)


def log_buckets(distance: Tensor, buckets: int, furthest: int) -> Tensor:
    """Signed distances, those beyond half of `buckets` squeezed logarithmically up to `furthest`. He et al. 2021."""
    middle = buckets // 2
    size = torch.where(distance.abs() < middle, torch.full_like(distance, middle - 1), distance.abs()).float()
    squeezed = torch.ceil(torch.log(size / middle) / math.log((furthest - 1) / middle) * (middle - 1)) + middle
    return torch.where(distance.abs() <= middle, distance, (squeezed * distance.sign()).long())
