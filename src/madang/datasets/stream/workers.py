"""Streams among processes: torch DataLoader workers, and the number of the epoch they all see.

torch gives a dataset to its iterating loader if it is an instance of `torch.utils.data.IterableDataset`. That class
takes registrations (its metaclass is ABCMeta), and `isinstance` asks an object for its `__class__`; so a stream needs
neither torch nor a base class of it: it registers its class when it is asked and torch is there.
"""

import logging
import sys
from typing import Any

_registered: set[type] = set()
_acting: list[tuple[int, int]] = []


def known_to_torch(cls: type) -> None:
    """Let torch's loader take instances of `cls` for iterable datasets, if torch is imported by now."""
    if cls in _registered:
        return
    torch_data = sys.modules.get("torch.utils.data")
    found = getattr(torch_data, "IterableDataset", None)  # None while torch is being imported
    if found is not None:
        _registered.add(cls)
        found.register(cls)


def worker() -> tuple[int, int]:
    """The number of the DataLoader worker this process is, and how many there are; (0, 1) outside of one."""
    if _acting:
        return _acting[-1]
    torch_data = sys.modules.get("torch.utils.data")
    info = torch_data.get_worker_info() if torch_data is not None else None
    return (0, 1) if info is None else (info.id, info.num_workers)


def act_as(number: int, workers: int) -> None:
    """Read the share of another worker from here on: a loader that goes on in the middle begins with the next one."""
    _acting[:] = [(number, workers)]


def say_idle(num_shards: int, workers: int) -> None:
    """Tell, once, that there are more workers than shards."""
    # a log line, not a Python warning: this runs in a worker, where a warning made an error would end the training
    logging.getLogger("madang.datasets").warning(
        "Too many dataloader workers: %d, but the dataset has num_shards=%d, and a shard is read by one worker. "
        "%d of them stay idle. Use num_workers=%d, or split the data into more files.",
        workers, num_shards, workers - num_shards, num_shards,
    )  # fmt: skip


class Epoch:
    """A number that processes share: workers that live on see what `set_epoch` said in the main process."""

    def __init__(self, value: int = 0) -> None:
        from multiprocessing.sharedctypes import RawValue

        self._shared = RawValue("q", value)

    @property
    def value(self) -> int:
        """The epoch."""
        return int(self._shared.value)

    @value.setter
    def value(self, epoch: int) -> None:
        self._shared.value = epoch

    def __reduce__(self) -> tuple[Any, ...]:
        from multiprocessing.context import get_spawning_popen

        if get_spawning_popen() is not None:  # a process is being started: share the number itself
            return _shared_epoch, (self._shared,)
        return Epoch, (self.value,)


def _shared_epoch(shared: Any) -> Epoch:
    made = Epoch.__new__(Epoch)
    made._shared = shared
    return made
