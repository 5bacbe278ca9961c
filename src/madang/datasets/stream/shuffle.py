"""Rows in random order, as far as a buffer reaches.

The buffer holds `size` rows: a third are left over from before, two thirds are fresh. In each cycle as many rows as are
fresh leave it in random order: all that were left over, and a random half of the fresh ones. So every row leaves in
the cycle it came in or in the next, and what the buffer holds can be found again from where the last fresh rows began
and the number of the cycle: that, not rows, is what a saved state contains.
"""

from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from madang.datasets.stream.block import Block, joined
from madang.datasets.stream.stage import Redone, Run, Stage, State, Step, exactly, pieces, within

Rows = np.ndarray[Any, Any]  # numbers of rows


@dataclass(frozen=True)
class Shuffle(Step):
    """The shards in random order, `at_once` of them read in turn, and the rows mixed in a buffer of `size`."""

    seed: int
    size: int = 1000
    at_once: int = 10
    # the user gave no seed: this one was drawn, and a saved state has to tell it
    drawn: bool = False
    share: tuple[int, ...] = ()  # of which worker or node this is: each has an order of its own

    def at_epoch(self, epoch: int) -> Stage:
        """As it is in this pass over the data."""
        seed = epoch_seed(self.seed, epoch)
        at_once = max(1, min(self.at_once, self.size))
        below = self.upstream.at_epoch(epoch)
        below = below.mixed(np.random.default_rng(seed), at_once, max(1, self.size // at_once))
        return replace(self, upstream=below, seed=seed)

    def part(self, number: int, of: int, *, contiguous: bool = False) -> Self:
        """A share of the shards, mixed in an order of its own."""
        share = (*self.share, number) if of > 1 else self.share
        return replace(self, upstream=self.upstream.part(number, of, contiguous=contiguous), share=share)

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _ShuffleRun(self, state)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of a pass over the data: the first one's is the user's own."""
    return seed if not epoch else abs(int(np.random.default_rng(seed).integers(0, 1 << 63)) - epoch)


class _ShuffleRun(Redone):
    def __init__(self, stage: Shuffle, state: State | None) -> None:
        super().__init__(state, "shuffle")
        self._bits = np.random.PCG64([stage.seed, *(number + 1 for number in stage.share)])
        self._first_bits = self._bits.state
        self._left_size = stage.size // 3
        self._fresh_size = stage.size - self._left_size
        self._upstream = stage.upstream.start(within(state, "upstream", "shuffle"))
        self._cycle: int = within(state, "cycle", "shuffle") or 0
        self._start = self._upstream.state()  # where the rows begin from which the buffer can be filled again
        self._left: Block | None = None
        self._filled = False

    def mark(self) -> State:
        return {"upstream": self._start, "cycle": self._cycle}

    def make(self, most: int, least: int) -> Block | None:
        if not self._filled:
            self._left, self._filled = self._first(), True
        start = self._upstream.state()
        fresh = pieces(self._upstream, self._fresh_size)
        parts = fresh if self._left is None else [self._left, *fresh]
        if not parts:
            self._start = start
            return None
        random, buffer = self._random(self._cycle), joined(parts)
        before = 0 if self._left is None else self._left.count
        if buffer.count - before < self._fresh_size:  # the end: all of it leaves
            going, self._left = np.arange(buffer.count), None
        else:
            leaving, staying = self._parted(random)
            going = np.concatenate([np.arange(before), leaving + before])
            self._left = buffer.take(staying + before) if len(staying) else None
        self._start, self._cycle = start, self._cycle + 1
        random.shuffle(going)
        return buffer.take(going)

    def _first(self) -> Block | None:
        """What the buffer holds before the fresh rows of this cycle come."""
        if self._cycle == 0:
            return exactly(self._upstream, self._left_size) if self._left_size else None
        fresh = exactly(self._upstream, self._fresh_size)
        if fresh is None or fresh.count < self._fresh_size:
            return None
        staying = self._parted(self._random(self._cycle - 1))[1]
        return fresh.take(staying) if len(staying) else None

    def _parted(self, random: np.random.Generator) -> tuple[Rows, Rows]:
        """Which of the fresh rows leave at once, and which stay for the next cycle."""
        order = random.permutation(self._fresh_size)
        return order[self._left_size :], order[: self._left_size]

    def _random(self, cycle: int) -> np.random.Generator:
        """Random numbers of this cycle alone: far apart in one sequence, so that any of them is reached at once."""
        self._bits.state = self._first_bits
        self._bits.advance(cycle << 64)
        return np.random.Generator(self._bits)
