"""How a stream is built and read: stages that say what to do, and runs that do it.

A **stage** is a description: frozen, picklable, with the stages it reads from in `parts`. Verbs put a stage on top.
Before reading, the tree is settled by three questions that every stage passes on to its parts unless it knows better:
`at_epoch` (which pass over the data this is), `part` (only a share of the shards: for a worker or a node) and `mixed`
(the shards in random order).

A **run** is a stage at work. It is pulled: `read(most)` gives the next rows, some at a time. `state()` is where it
stands, as plain numbers, lists and dicts; `stage.start(state)` goes on from there. Blocks have whatever size suits
the reader, so nothing a run gives may depend on where blocks begin or end.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from madang.datasets.features import Features
from madang.datasets.stream.block import Block, joined
from madang.errors import InputError

State = dict[str, Any]


class Run(ABC):
    """A stage at work: gives rows, and says at any time where it stands."""

    @abstractmethod
    def read(self, most: int, least: int = 1) -> Block | None:
        """The next rows, at least one and at most `most`; None at the end.

        `least` is how many the reader cannot go on without. A source whose rows come one at a time fetches no more
        than that, so that nobody waits for a row that nobody asked for.
        """

    @abstractmethod
    def state(self, unread: int = 0) -> State:
        """Where the stream stands, not counting the last `unread` rows of the block that was read last."""

    def skip(self, count: int) -> int:
        """Pass over `count` rows; how many there were."""
        passed = 0
        while passed < count and (block := self.read(min(count - passed, 1000), min(count - passed, 1000))):
            passed += block.count
        return passed


class Stage(ABC):
    """What to do with the rows of `parts`."""

    @property
    @abstractmethod
    def parts(self) -> Sequence["Stage"]:
        """The stages this one reads from."""

    @abstractmethod
    def with_parts(self, parts: Sequence["Stage"]) -> "Stage":
        """The same, reading from others."""

    @abstractmethod
    def start(self, state: State | None) -> Run:
        """Begin to read: at the beginning, or where `state` says."""

    @property
    def known(self) -> Features:
        """What columns hold, as far as it is known."""
        return Features({name: feature for part in self.parts for name, feature in part.known.items()})

    @property
    def num_shards(self) -> int:
        """Into how many parts the rows can be split without reading any of them twice."""
        return min(part.num_shards for part in self.parts)

    def at_epoch(self, epoch: int) -> "Stage":
        """As it is in this pass over the data; what is shuffled is shuffled otherwise in each."""
        return self.with_parts([part.at_epoch(epoch) for part in self.parts])

    def part(self, number: int, of: int, *, contiguous: bool = False) -> "Stage":
        """Share `number` of the shards, out of `of` shares: neighbours, or every `of`-th one."""
        return self.with_parts([part.part(number, of, contiguous=contiguous) for part in self.parts])

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> "Stage":
        """The shards in random order, `at_once` of them read in turn, `piece` rows at a time."""
        return self.with_parts([part.mixed(random, at_once, piece) for part in self.parts])

    def resharded(self) -> "Stage":
        """In as many shards as the sources can be split into."""
        return self.with_parts([part.resharded() for part in self.parts])


@dataclass(frozen=True)
class Step(Stage):
    """A stage that reads from one other."""

    upstream: Stage

    @property
    def parts(self) -> Sequence[Stage]:
        """The stage this one reads from."""
        return (self.upstream,)

    def with_parts(self, parts: Sequence[Stage]) -> Self:
        """The same, reading from another."""
        (upstream,) = parts
        return replace(self, upstream=upstream)

    @property
    def known(self) -> Features:
        """What columns hold, as far as it is known."""
        return self.upstream.known

    @property
    def num_shards(self) -> int:
        """Into how many parts the rows can be split."""
        return self.upstream.num_shards


class Redone(Run):
    """A run that makes blocks from many rows, so that a place within one is found again by making it once more.

    Its state is `mark()`, where everything stood before the block was made, and how many of its rows to `skip`.
    """

    def __init__(self, state: State | None, verb: str) -> None:
        self._owed: int = within(state, "skip", verb) or 0
        self._before: State = {}
        self._made: Block | None = None
        self._used = 0

    @abstractmethod
    def mark(self) -> State:
        """Where everything stands between two blocks."""

    @abstractmethod
    def make(self, most: int, least: int) -> Block | None:
        """The next block, of any size; about `most` rows are wanted, and `least` are needed. None at the end."""

    def read(self, most: int, least: int = 1) -> Block | None:
        """The next rows."""
        while self._made is None or self._used >= self._made.count:
            before = self.mark()
            made = self.make(self._owed + most, self._owed + least)
            if made is None:
                self._made = None
                return None
            if self._owed >= made.count:  # all of it was read before the stop
                self._owed -= made.count
                continue
            self._before, self._made, self._used, self._owed = before, made, self._owed, 0
        start, self._used = self._used, min(self._used + most, self._made.count)
        return self._made.slice(start, self._used)

    def state(self, unread: int = 0) -> State:
        """Where it stands."""
        if self._owed or self._made is None or (self._used == self._made.count and not unread):
            return {**self.mark(), "skip": self._owed}
        return {**self._before, "skip": self._used - unread}


class Feed:
    """A run that is read a row ahead, so that it is known whether there is another."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self.ended = False
        self.given = 0  # rows that were taken
        self._block: Block | None = None
        self._at = 0
        # a row that was left over when more was read: its place in the block, and the state that leads to it
        self._waited: tuple[int, State] | None = None

    @property
    def available(self) -> int:
        """How many rows are at hand."""
        return 0 if self._block is None else self._block.count - self._at

    def fill(self, most: int, least: int = 2) -> None:
        """Have two rows at hand, or all there are; `least` if they come in one block."""
        while not self.ended and self.available < 2:
            rest: Block | None = None
            if self._block is not None and self.available:
                rest = self._block.slice(self._at, self._block.count)
                self._waited = (self._at, self.run.state(1))
            block = self.run.read(max(1, most), max(1, least - self.available))
            if block is None:
                self.ended = True
            elif rest is None:
                self._block, self._at, self._waited = block, 0, None
            else:
                assert self._waited is not None
                self._block, self._at, self._waited = joined([rest, block]), 0, (0, self._waited[1])

    def next(self, count: int) -> Block:
        """The next rows, which are at hand."""
        assert self._block is not None
        self._at += count
        self.given += count
        return self._block.slice(self._at - count, self._at)

    def state(self) -> State:
        """Where it stands, what was read ahead not counted."""
        if self._waited is not None and self._waited[0] == self._at:
            return self._waited[1]
        return self.run.state(self.available)


def pieces(run: Run, count: int) -> list[Block]:
    """The next `count` rows as they come, fewer at the end."""
    blocks: list[Block] = []
    missing = count
    while missing and (block := run.read(missing, missing)) is not None:
        blocks.append(block)
        missing -= block.count
    return blocks


def exactly(run: Run, count: int) -> Block | None:
    """The next `count` rows as one block, fewer at the end, None when there are none left."""
    blocks = pieces(run, count)
    return joined(blocks) if blocks else None


def within(state: State | None, key: str, kind: str) -> Any:
    """An entry of a saved state; an error says that it was saved by another pipeline."""
    if state is None:
        return None
    if not isinstance(state, dict) or key not in state:
        found = sorted(state) if isinstance(state, dict) else type(state).__name__
        raise InputError(
            f"this state does not fit the dataset: its stage {kind!r} needs an entry {key!r}, but there is {found}. "
            "Load it into a dataset made by the same verbs in the same order."
        )
    return state[key]
