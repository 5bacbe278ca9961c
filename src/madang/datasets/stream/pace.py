"""How many rows a stream reads at once."""

from time import perf_counter

from madang.datasets.frame import ROWS_AT_ONCE
from madang.datasets.stream.block import Block

# a block is worth the overhead of making it long before this; above it, the reader waits too long for its first row
LONG_ENOUGH = 0.005
TOO_LONG = 0.02
BYTES = 16_000_000  # images and sounds: a thousand at once would fill the memory


class Pace:
    """Begins with one row, so that the first comes at once, and reads more at a time while that goes quickly."""

    def __init__(self) -> None:
        self.rows = 1
        self._since = perf_counter()

    def begin(self) -> None:
        """A block is about to be read."""
        self._since = perf_counter()

    def end(self, block: Block) -> None:
        """It has been read."""
        took = perf_counter() - self._since
        if took > TOO_LONG:
            self.rows = max(1, self.rows // 2)
        elif took < LONG_ENOUGH:
            self.rows = min(ROWS_AT_ONCE, self.rows * 2)
        if block.count > 8 and (size := block.bytes) > BYTES:
            self.rows = max(1, min(self.rows, BYTES * block.count // size))
