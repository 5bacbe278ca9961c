"""A bar that counts rows while long work goes on, and the switch for it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
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


def are_progress_bars_disabled() -> bool:
    """Whether long work goes on without showing its progress."""
    return not is_progress_bar_enabled()


enable_progress_bar, disable_progress_bar = enable_progress_bars, disable_progress_bars  # the older names


@contextlib.contextmanager
def bar(
    total: int | None, label: str, unit: str = "rows", *, scaled: bool = False
) -> Iterator[Callable[[int], object]]:
    """A bar that appears once the work inside `with` has taken a second, and goes on as the function it gives is told.

    `total` is None where nobody knows it; `scaled` counts in thousands and millions. Switched off, nothing is shown.
    """
    if not is_progress_bar_enabled():
        yield lambda count: None
        return
    from tqdm import tqdm

    named = unit if scaled else f" {unit}"
    with tqdm(total=total, desc=label, unit=named, unit_scale=scaled, delay=1.0, leave=False) as shown:
        yield shown.update


def progress(blocks: Iterable[_Block], total: int, label: str) -> Iterator[_Block]:
    """The same blocks of rows (start, stop, …), with a bar that counts the rows."""
    with bar(total, label) as advance:
        for block in blocks:
            yield block
            advance(block[1] - block[0])
