"""A bar that counts rows while long work goes on, and the switch for it."""

from collections.abc import Iterable, Iterator
from typing import TypeVar

from madang import settings

_Block = TypeVar("_Block", bound=tuple[int, int, object])
_switched: bool | None = None  # what this program said; else the environment decides


def enable_progress_bars() -> None:
    """Show progress from now on, whatever the environment says."""
    global _switched
    _switched = True


def disable_progress_bars() -> None:
    """Show no progress from now on."""
    global _switched
    _switched = False


def is_progress_bar_enabled() -> bool:
    """Whether long work shows its progress."""
    return settings.progress_bars() if _switched is None else _switched


enable_progress_bar, disable_progress_bar = enable_progress_bars, disable_progress_bars  # the older names


def progress(blocks: Iterable[_Block], total: int, label: str) -> Iterator[_Block]:
    """The same blocks of rows (start, stop, …), with a bar that appears once the work has taken a second."""
    if not is_progress_bar_enabled():
        yield from blocks
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=" rows", delay=1.0, leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(block[1] - block[0])
