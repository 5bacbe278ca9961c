"""Streams on several processes: who reads which rows, and how all make equally many steps."""

import copy
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import torch
from torch.utils.data import IterableDataset

from madang.errors import InputError
from madang.training.loaders import Spare, tell_epoch

if TYPE_CHECKING:
    from madang.training.distributed.processes import Processes


def share(dataset: Any, rank: int, count: int) -> Any:
    """What one process reads of a dataset that can only be read from its beginning."""
    from madang.datasets import IterableDataset as Stream
    from madang.datasets.distributed import split_dataset_by_node

    if isinstance(dataset, Stream):
        return split_dataset_by_node(dataset, rank, count)
    return _EveryNth(dataset, rank, count)


class _EveryNth(IterableDataset[Any]):
    """Every process reads all of a stream and keeps the rows whose turn is its own."""

    def __init__(self, source: Any, rank: int, count: int) -> None:
        self._source, self._rank, self._count = source, rank, count

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        tell_epoch(self._source, epoch)

    def __iter__(self) -> Iterator[Any]:
        return islice(iter(self._source), self._rank, None, self._count)


def in_step(batches: Iterator[Any], processes: "Processes") -> Iterator[Any]:
    """Batches until every process has run out; one that has none left meanwhile repeats its last, as a spare."""
    last = None
    while True:
        batch = next(batches, None)
        with_one, with_nothing = processes.total(
            torch.tensor([int(batch is not None), int(batch is None and last is None)])
        ).tolist()
        if not with_one:
            return
        if with_nothing:  # a process that never had a row borrows a batch
            lent = next(each for each in processes.gathered(batch) if each is not None)
            last = lent if last is None else last
        if batch is None:
            batch = _spare(last)
        last = batch
        yield batch


def _spare(batch: Any) -> Spare:
    if not hasattr(batch, "keys"):
        raise InputError(
            f"one process has no rows left and others have: it needs a batch that is a dict, and the collator gives "
            f"{type(batch).__name__}."
        )
    return Spare(copy.copy(dict(batch)))
