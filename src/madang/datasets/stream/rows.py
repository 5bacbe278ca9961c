"""Stages that choose rows by their number: the first ones, all but these, every n-th; and all of them again."""

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from madang.datasets.stream.block import Block
from madang.datasets.stream.stage import Run, Stage, State, Step, within


@dataclass(frozen=True)
class Counted(Step):
    """A stage that counts rows from the beginning: the order below it is the same in every epoch."""

    count: int

    def at_epoch(self, epoch: int) -> Stage:
        """As in the first epoch, so that the rows that are taken stay the same ones."""
        return self.with_parts([self.upstream.at_epoch(0)])

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> Self:
        """The same: other shards first would mean other rows."""
        return self

    def part(self, number: int, of: int, *, contiguous: bool = False) -> Self:
        """A share of the shards, and of the rows that are counted."""
        shares = min(of, self.num_shards)
        share, longer = divmod(self.count, shares)
        count = share + (number < longer) if number < shares else 0
        return replace(self, upstream=self.upstream.part(number, of, contiguous=contiguous), count=count)


@dataclass(frozen=True)
class Take(Counted):
    """The first `count` rows."""

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _TakeRun(
            self.upstream.start(within(state, "upstream", "take")), within(state, "left", "take"), self.count
        )


class _TakeRun(Run):
    def __init__(self, upstream: Run, left: int | None, count: int) -> None:
        self._upstream = upstream
        self._left = count if left is None else left

    def read(self, most: int, least: int = 1) -> Block | None:
        if self._left <= 0:
            return None
        block = self._upstream.read(min(most, self._left), min(least, self._left))
        if block is not None:
            self._left -= block.count
        return block

    def state(self, unread: int = 0) -> State:
        return {"upstream": self._upstream.state(unread), "left": self._left + unread}


@dataclass(frozen=True)
class Skip(Counted):
    """All but the first `count` rows."""

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _SkipRun(
            self.upstream.start(within(state, "upstream", "skip")), within(state, "left", "skip"), self.count
        )


class _SkipRun(Run):
    def __init__(self, upstream: Run, left: int | None, count: int) -> None:
        self._upstream = upstream
        self._left = count if left is None else left

    def read(self, most: int, least: int = 1) -> Block | None:
        if self._left:
            self._upstream.skip(self._left)
            self._left = 0
        return self._upstream.read(most, least)

    def state(self, unread: int = 0) -> State:
        return {"upstream": self._upstream.state(unread), "left": self._left}


@dataclass(frozen=True)
class Every(Step):
    """Every `step`-th row, beginning with row `offset`: how rows are dealt out when shards do not suffice."""

    step: int
    offset: int

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _EveryRun(self, state)


class Picking(Run):
    """A run that lets some rows of each block through."""

    def __init__(self, upstream: Run) -> None:
        self._upstream = upstream
        self._read = 0  # rows of the block that was read last
        self._places = np.empty(0, dtype=np.int64)  # which of them were chosen
        self._chosen: Block | None = None
        self._used = 0  # how many of the chosen ones were handed out

    @abstractmethod
    def chosen(self, block: Block) -> np.ndarray[Any, Any]:
        """The places of the rows to let through."""

    def read(self, most: int, least: int = 1) -> Block | None:
        """The next rows that are let through."""
        wanted, needed = self.asked(most, least)
        while self._chosen is None or self._used >= self._chosen.count:
            block = self._upstream.read(wanted, needed)
            if block is None:
                self._chosen, self._read, self._places, self._used = None, 0, self._places[:0], 0
                return None
            self._read, self._places, self._used = block.count, self.chosen(block), 0
            self._chosen = block if len(self._places) == block.count else block.take(self._places)
            wanted = min(wanted * 2, max(most, 1000))  # few come through: look at more of them at once
        start, self._used = self._used, min(self._used + most, self._chosen.count)
        return self._chosen.slice(start, self._used)

    def asked(self, most: int, least: int) -> tuple[int, int]:
        """How many rows to read in order to give `most`, of which `least` are needed."""
        return most, least

    def back(self, unread: int) -> int:
        """How many rows of the block read last come after those that count as read."""
        given = self._used - unread
        if given == len(self._places):
            return 0
        return self._read - (int(self._places[given - 1]) + 1 if given else 0)


class _EveryRun(Picking):
    def __init__(self, stage: Every, state: State | None) -> None:
        super().__init__(stage.upstream.start(within(state, "upstream", "every")))
        self._step, self._offset = stage.step, stage.offset
        self._seen: int = within(state, "seen", "every") or 0

    def chosen(self, block: Block) -> np.ndarray[Any, Any]:
        first = (self._offset - self._seen) % self._step
        self._seen += block.count
        return np.arange(first, block.count, self._step)

    def state(self, unread: int = 0) -> State:
        back = self.back(unread)
        return {"upstream": self._upstream.state(back), "seen": self._seen - back}


@dataclass(frozen=True)
class Repeat(Step):
    """All rows, `times` times over; without end when that is None."""

    times: int | None

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _RepeatRun(self, state)


class _RepeatRun(Run):
    def __init__(self, stage: Repeat, state: State | None) -> None:
        self._stage = stage
        self._round: int = within(state, "round", "repeat") or 0
        self._run = stage.upstream.start(within(state, "upstream", "repeat"))
        self._empty_rounds, self._given = 0, state is not None

    def read(self, most: int, least: int = 1) -> Block | None:
        times = self._stage.times
        while times is None or self._round < times:
            block = self._run.read(most, least)
            if block is not None:
                self._empty_rounds, self._given = 0, True
                return block
            self._empty_rounds += not self._given
            if times is None and self._empty_rounds >= 2:
                return None  # nothing came twice: nothing ever will
            self._round += 1
            self._run, self._given = self._stage.upstream.start(None), False
        return None

    def state(self, unread: int = 0) -> State:
        return {"round": self._round, "upstream": self._run.state(unread)}


@dataclass(frozen=True)
class Node(Step):
    """What one of `world_size` machines gets: its share of the shards, or every n-th row where these are uneven.

    `strategy` says which: "shards", "examples", or "auto" (shards where they can be shared out evenly).
    """

    rank: int
    world_size: int
    strategy: str = "auto"

    @property
    def by_shards(self) -> bool:
        """Whether each machine gets shards of its own."""
        even = self.upstream.num_shards % self.world_size == 0
        return self.strategy == "shards" or (self.strategy == "auto" and even)

    @property
    def num_shards(self) -> int:
        """How many shards this machine reads."""
        if not self.by_shards:
            return self.upstream.num_shards
        return len(range(self.rank, self.upstream.num_shards, self.world_size))

    def at_epoch(self, epoch: int) -> Stage:
        """The share: shards are shared out after they were shuffled, so that machines get others in each epoch."""
        upstream = self.upstream.at_epoch(epoch)
        if self.by_shards:
            return upstream.part(self.rank, self.world_size)
        return Every(upstream, self.world_size, self.rank)

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return self.at_epoch(0).start(state)


def nodes(stage: Stage) -> set[tuple[int, int, str]]:
    """Between which machines the rows of a stage are already shared out."""
    own = {(stage.rank, stage.world_size, stage.strategy)} if isinstance(stage, Node) else set()
    return own.union(*(nodes(part) for part in stage.parts))
