"""Sharing a dataset among machines, under the address people know: `madang.datasets.distributed`."""

from madang.datasets.stream import split_dataset_by_node

__all__ = ["split_dataset_by_node"]
