"""Batches for training and evaluating, made here or in worker processes, that can begin anywhere.

torch's DataLoader starts the workers and hands batches over. What is added: whatever is drawn at random while a batch
is made (masks, augmentation) depends on the seed, the epoch and the batch alone, so the same batches come with any
number of workers; and an epoch can begin at its batch 1000 without making the 1000 before it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.utils.data import DataLoader, Dataset, IterableDataset, get_worker_info

from madang.errors import InputError
from madang.training.order import Pick, Picks
from madang.training.seed import drawing_from, epoch_seed

Collate = Callable[[list[Any]], Any]


class Spare(dict[str, Any]):
    """A batch that only keeps this process in step with the others; its loss does not count."""


class RowLoader(DataLoader[Any]):
    """Batches of a dataset whose rows can be asked for by number."""

    def __init__(self, dataset: Any, collate: Collate, picks: Picks, **options: Any) -> None:
        self.picks = picks
        super().__init__(_Rows(dataset, collate), sampler=picks, batch_size=None, **_for_workers(options))

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self.picks.set_epoch(epoch)
        tell_epoch(self.picks.sampler, epoch)
        tell_epoch(self.rows, epoch)

    def start_at(self, batch: int) -> None:
        """Begin this epoch with that batch; `set_epoch` comes first."""
        self.picks.start = batch

    @property
    def rows(self) -> Any:
        """The dataset that the batches are made of."""
        return self.dataset.source  # type: ignore[attr-defined]


class _Rows(Dataset[Any]):
    """Batches by what a `Pick` says; this is what lives in worker processes."""

    def __init__(self, source: Any, collate: Collate) -> None:
        self.source, self._collate = source, collate
        self._several = getattr(source, "__getitems__", None)

    def __getitem__(self, pick: Pick) -> Any:
        with drawing_from(pick.seed):
            several = self._several
            rows = several(pick.rows) if several is not None else [self.source[row] for row in pick.rows]
            batch = self._collate(rows)
        return Spare(batch) if pick.spare else batch


class StreamLoader(DataLoader[Any]):
    """Batches of a dataset that can only be read from its beginning.

    A dataset with `state_dict` and `load_state_dict` (ours, or the datasets package's) can be gone on with anywhere; of
    others, the batches before are read again and thrown away.
    """

    def __init__(
        self, dataset: Any, collate: Collate, batch_size: int, *, seed: int, drop_last: bool = False, **options: Any
    ) -> None:
        self._batches = _Stream(dataset, collate, batch_size, seed, drop_last)
        self._states: dict[int, Any] = {}
        self._last = -1
        super().__init__(self._batches, batch_size=None, **_for_workers(options))

    def __iter__(self) -> Iterator[Any]:  # type: ignore[override]  # torch declares its own iterator class
        self._states, self._last = dict(self._batches.states), self._batches.first - 1
        made = super().__iter__()
        if self.num_workers:  # the workers have been told
            self._batches.go_on({}, 0)
        for batch, worker, state in made:
            self._states[worker], self._last = state, worker
            yield batch

    def __len__(self) -> int:
        raise TypeError("nobody knows how many batches a stream has")

    @property
    def rows(self) -> Any:
        """The dataset that the batches are made of."""
        return self._batches.source

    @property
    def can_go_on(self) -> bool:
        """Whether the dataset can be asked where it is."""
        return self._batches.has_state

    def set_epoch(self, epoch: int) -> None:
        """Say which epoch comes next."""
        self._batches.epoch.value = epoch
        tell_epoch(self._batches.source, epoch)

    def state_dict(self) -> dict[str, Any]:
        """Where each worker was when it made the last of its batches that were taken, and which one is next."""
        return {"workers": max(1, self.num_workers), "last": self._last, "states": self._states}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on there in the next pass; it needs as many workers as there were."""
        workers = max(1, self.num_workers)
        if state["workers"] != workers:
            raise InputError(
                f"the checkpoint was made with {state['workers']} dataloader worker(s), each at its own place of the "
                f"stream, and there are {workers} now. Set dataloader_num_workers to what it was."
            )
        self._batches.go_on(state["states"], state["last"] + 1)


class _Stream(IterableDataset[Any]):
    """(batch, number of the worker, where it is) of one worker's share; this is what lives in worker processes."""

    def __init__(self, source: Any, collate: Collate, batch_size: int, seed: int, drop_last: bool) -> None:
        self.source, self._collate, self._batch_size = source, collate, batch_size
        self._seed, self._drop_last = seed, drop_last
        self.has_state = hasattr(source, "state_dict") and hasattr(source, "load_state_dict")
        from madang.datasets.stream.workers import Epoch  # here: with streams comes pyarrow, which others do without

        self.states: dict[int, Any] = {}
        self.first = 0
        self.epoch = Epoch()  # workers that live on see what the main process says

    def go_on(self, states: dict[int, Any], first: int) -> None:
        """Begin the next pass where these workers were, with the one called `first`."""
        self.states, self.first = states, first

    def __iter__(self) -> Iterator[tuple[Any, int, Any]]:
        info = get_worker_info()
        physical, workers = (0, 1) if info is None else (info.id, info.num_workers)
        worker = (physical + self.first) % workers
        if info is not None:  # torch asks worker 0 first, whoever's turn it was when the checkpoint was made
            from madang.datasets.stream.workers import act_as

            act_as(worker, workers)
        number, seen = self.states.get(worker, (0, None))
        if seen is not None:
            self.source.load_state_dict(seen)
        self.states, self.first = {}, 0
        rows = iter(self.source)
        while True:
            with drawing_from(epoch_seed(self._seed, self.epoch.value * workers + worker, number)):
                taken = [row for _, row in zip(range(self._batch_size), rows, strict=False)]
                if not taken or (self._drop_last and len(taken) < self._batch_size):
                    break
                batch = self._collate(taken)
            number += 1
            yield batch, worker, (number, self.source.state_dict() if self.has_state else None)


def _for_workers(options: dict[str, Any]) -> dict[str, Any]:
    """torch refuses options about workers when there are none."""
    if not options.get("num_workers"):
        options = {
            name: value for name, value in options.items() if name not in ("prefetch_factor", "persistent_workers")
        }
    # without one of its own, every pass would draw from torch's global generator and change what follows
    return {**options, "generator": torch.Generator().manual_seed(0), "collate_fn": _as_it_is}


def _as_it_is(batch: Any) -> Any:
    return batch


def tell_epoch(part: Any, epoch: int) -> None:
    """Let a loader, sampler or dataset that orders rows by epoch know which one comes."""
    for each in (part, getattr(part, "sampler", None), getattr(part, "dataset", None)):
        tell = getattr(each, "set_epoch", None)
        if tell is not None:
            tell(epoch)


def length_of(batches: Any) -> int | None:
    """How many batches there are, None when nobody knows."""
    try:
        return len(batches)
    except (TypeError, NotImplementedError):  # a DataLoader over an iterable dataset has the method, but no answer
        return None
