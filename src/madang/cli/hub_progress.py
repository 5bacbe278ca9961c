"""How far long work on a hub is."""

import sys
from collections.abc import Callable

from madang import settings


def progress() -> Callable[[str, int, int], None]:
    """Draws what is done of how much on one line, where somebody looks at a terminal."""
    if not sys.stderr.isatty() or not settings.progress_bars():
        return lambda what, done, total: None
    from tqdm import tqdm

    bar = tqdm(leave=False)

    def draw(what: str, done: int, total: int) -> None:
        bar.total, bar.n = total, done
        bar.set_description(what)

    return draw
