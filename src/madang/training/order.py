"""In which order rows come: decided by the seed and the epoch alone, so that any batch of any epoch is found again."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch.utils.data import Sampler

from madang.errors import InputError
from madang.training.seed import drawing_from, epoch_seed

Numbers = np.ndarray[Any, Any]


def shuffled(count: int, seed: int) -> Numbers:
    """The numbers 0 to `count` - 1 in an order drawn from `seed`."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(seed)).numpy()


def grouped_by_length(order: Numbers, lengths: Numbers, batch_size: int, seed: int) -> Numbers:
    """The same rows, those of similar length in one batch: little padding, and yet no batch foretells the next.

    Fifty batches' worth of rows at a time are sorted by length and cut into batches; then the batches are shuffled. The
    one with the longest row comes first, so that memory runs out at once or never; a batch that is not full stays last.
    """
    count = len(order)
    pool = batch_size * min(50, max(1, count // (batch_size * 4)))
    whole = count - count % pool
    pools = order[:whole].reshape(-1, pool)
    by_length = np.argsort(-lengths[pools], axis=1, kind="stable")
    rest = order[whole:]
    rows = np.concatenate(
        [np.take_along_axis(pools, by_length, axis=1).reshape(-1), rest[np.argsort(-lengths[rest], kind="stable")]]
    )
    full = count // batch_size
    batches, short = rows[: full * batch_size].reshape(full, batch_size), rows[full * batch_size :]
    if full:
        batches = batches[shuffled(full, seed)]
        longest = int(lengths[batches].max(axis=1).argmax())
        batches[[0, longest]] = batches[[longest, 0]]
    return np.concatenate([batches.reshape(-1), short])


class EpochSampler(Sampler[int]):
    """Every row once per epoch, in an order that only the seed and the number of the epoch decide.

    With `lengths`, rows of similar length come together, `batch_size` at a time.
    """

    def __init__(self, count: int, seed: int, batch_size: int = 1, lengths: Numbers | None = None) -> None:
        self._count, self._seed, self._batch_size, self._lengths = count, seed, batch_size, lengths
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self._count

    def order(self) -> Numbers:
        """The rows of this epoch, in order."""
        # the original Trainer's order for the same seed: runs of both can be compared
        order = shuffled(self._count, self._seed + self.epoch)
        if self._lengths is None:
            return order
        return grouped_by_length(order, self._lengths, self._batch_size, epoch_seed(self._seed, self.epoch))

    def __iter__(self) -> Iterator[int]:
        yield from self.order().tolist()


class Pick(NamedTuple):
    """One batch of one process: its rows, and the seed of whatever is drawn while it is made."""

    rows: list[int]
    seed: int
    spare: bool = False
    """Whether there was no row left for this process, and the one named is only there to keep it in step."""


class Picks(Sampler[Pick]):
    """The batches of an epoch, dealt out among processes: each gets its part of every `batch_size * processes` rows.

    All processes get equally many batches. The parts of the last, incomplete batch are as equal as can be; a process
    for which no row is left gets a spare one, whose loss does not count.
    """

    def __init__(
        self, sampler: Any, batch_size: int, *, seed: int, drop_last: bool = False, rank: int = 0, processes: int = 1
    ) -> None:
        self.sampler, self.batch_size, self.drop_last = sampler, batch_size, drop_last
        self._seed, self._rank, self._processes = seed, rank, processes
        self.epoch = self.start = 0
        self._order: Numbers = np.empty(0, dtype=np.int64)

    def __len__(self) -> int:
        together = self.batch_size * self._processes
        return len(self.sampler) // together if self.drop_last else -(-len(self.sampler) // together)

    def __iter__(self) -> Iterator[Pick]:
        # at once: a sampler that draws from the global generator must do so before training does
        if hasattr(self.sampler, "order"):
            self._order = self.sampler.order()
        elif self._processes == 1:
            self._order = np.asarray(list(self.sampler))
        else:  # whatever it draws from, every process draws the same
            with drawing_from(epoch_seed(self._seed, self.epoch)):
                self._order = np.asarray(list(self.sampler))
        return map(self.pick, range(self.start, len(self)))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next; it begins at its first batch, unless `start` is set."""
        self.epoch, self.start = epoch, 0

    def pick(self, number: int) -> Pick:
        """This process's batch of that number, in the epoch being gone through."""
        together = self.batch_size * self._processes
        rows = self._order[number * together : (number + 1) * together]
        seed = epoch_seed(self._seed, self.epoch, number * self._processes + self._rank)
        if self._processes == 1:
            return Pick(rows.tolist(), seed)
        part = np.array_split(rows, self._processes)[self._rank]
        return Pick((part if len(part) else rows[:1]).tolist(), seed, spare=not len(part))


def text_lengths(dataset: Any, column: str = "length") -> Numbers:
    """How many tokens each row has: from the column that says it, or from `input_ids`."""
    columns = getattr(dataset, "column_names", None)
    if columns is not None and column in columns:
        return np.asarray(dataset[column], dtype=np.int64)
    if columns is not None and "input_ids" not in columns:
        raise InputError(f"group_by_length needs a column 'input_ids' or {column!r}; the dataset has {list(columns)}.")
    if hasattr(dataset, "lengths"):
        return np.asarray(dataset.lengths("input_ids"))
    rows = (len(dataset[place]["input_ids"]) for place in range(len(dataset)))
    return np.fromiter(rows, dtype=np.int64, count=len(dataset))
