"""Several streams as one: one after the other, side by side, or in turns."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
import pyarrow as pa

from madang.datasets.stream.block import Block, joined
from madang.datasets.stream.rows import Take
from madang.datasets.stream.stage import Feed, Redone, Run, Stage, State, within

PICKS_AT_ONCE = 1000  # how many turns are drawn together


@dataclass(frozen=True)
class Joint(Stage):
    """A stage that reads from several others."""

    streams: tuple[Stage, ...]

    @property
    def parts(self) -> Sequence[Stage]:
        """The streams."""
        return self.streams

    def with_parts(self, parts: Sequence[Stage]) -> Self:
        """The same of other streams."""
        return replace(self, streams=tuple(parts))


@dataclass(frozen=True)
class After(Joint):
    """The rows of all streams, one after the other."""

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> Self:
        """The streams in random order, and the shards of each."""
        order = random.permutation(len(self.streams))
        return self.with_parts([self.streams[place].mixed(random, at_once, piece) for place in order])

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _AfterRun(self, state)


class _AfterRun(Run):
    def __init__(self, stage: After, state: State | None) -> None:
        self._streams = stage.streams
        self._number: int = within(state, "number", "concatenate") or 0
        self._run = self._streams[self._number].start(within(state, "upstream", "concatenate"))

    def read(self, most: int, least: int = 1) -> Block | None:
        while (block := self._run.read(most, least)) is None:
            if self._number + 1 >= len(self._streams):
                return None
            self._number += 1
            self._run = self._streams[self._number].start(None)
        return block

    def state(self, unread: int = 0) -> State:
        return {"number": self._number, "upstream": self._run.state(unread)}


@dataclass(frozen=True)
class Beside(Joint):
    """The columns of all streams side by side; what a shorter one lacks at the end is empty."""

    names: tuple[tuple[str, ...], ...]
    kinds: tuple[tuple[pa.DataType, ...], ...]

    @property
    def num_shards(self) -> int:
        """One: rows belong together by their number."""
        return 1

    def part(self, number: int, of: int, *, contiguous: bool = False) -> Stage:
        """All rows for the first share, none for the others."""
        return self if of == 1 or number == 0 else Take(self, 0)

    def at_epoch(self, epoch: int) -> Stage:
        """As in the first epoch."""
        return self.with_parts([stream.at_epoch(0) for stream in self.streams])

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> Self:
        """The same."""
        return self

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _BesideRun(self, state)


class _BesideRun(Redone):
    def __init__(self, stage: Beside, state: State | None) -> None:
        super().__init__(state, "concatenate")
        self._stage = stage
        self._feeds = _feeds(stage.streams, within(state, "streams", "concatenate"))

    def mark(self) -> State:
        return {"streams": [feed.state() for feed in self._feeds]}

    def make(self, most: int, least: int) -> Block | None:
        for feed in self._feeds:
            feed.fill(most, max(2, least))
        counts = [feed.available for feed in self._feeds if feed.available]
        if not counts:
            return None
        count = min(counts)
        arrays: dict[str, pa.Array] = {}
        objects: list[dict[str, Any]] = [{} for _ in range(count)]
        for feed, names, kinds in zip(self._feeds, self._stage.names, self._stage.kinds, strict=True):
            if not feed.available:
                arrays.update((name, pa.nulls(count, kind)) for name, kind in zip(names, kinds, strict=True))
                continue
            block = feed.next(count)
            arrays.update(block.arrays)
            for row, more in zip(objects, block.objects or (), strict=False):
                row.update(more)
        return Block(arrays, count, objects if any(objects) else None)


@dataclass(frozen=True)
class InTurns(Joint):
    """A row of one stream, then of another: in turn, or drawn with `probabilities`.

    `stopping`: "first_exhausted" ends with the last row of the first stream that has no more; "all_exhausted" begins
    such a stream again until all have ended once; "all_exhausted_without_replacement" goes on without it.
    """

    probabilities: tuple[float, ...] | None
    seed: int
    stopping: str = "first_exhausted"
    drawn: bool = False  # the user gave no seed
    share: tuple[int, ...] = ()

    def part(self, number: int, of: int, *, contiguous: bool = False) -> Self:
        """A share of each stream's shards, drawn from in an order of its own."""
        streams = tuple(stream.part(number, of, contiguous=contiguous) for stream in self.streams)
        return replace(self, streams=streams, share=(*self.share, number) if of > 1 else self.share)

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _TurnsRun(self, state)


class _TurnsRun(Redone):
    def __init__(self, stage: InTurns, state: State | None) -> None:
        super().__init__(state, "interleave")
        self._stage = stage
        self._feeds = _feeds(stage.streams, within(state, "streams", "interleave"))
        self._turn: int = within(state, "turn", "interleave") or 0
        self._through: list[bool] = within(state, "through", "interleave") or [False] * len(self._feeds)
        self._through = list(self._through)
        goes_on = stage.stopping != "all_exhausted_without_replacement"
        self._gone = [through and not goes_on for through in self._through]
        self._over = bool(state and state["over"])
        self._drawn: tuple[int, Any] = (-1, None)

    def mark(self) -> State:
        streams = [feed.state() for feed in self._feeds]
        return {"streams": streams, "turn": self._turn, "through": list(self._through), "over": self._over}

    def make(self, most: int, least: int) -> Block | None:
        while not self._over:
            drawn = self._picks(self._turn, max(1, min(most, PICKS_AT_ONCE)))
            turns = np.flatnonzero(~np.array(self._gone)[drawn])  # a turn of a stream that is gone is passed over
            picks = drawn[turns]
            needed = np.bincount(picks[:least], minlength=len(self._feeds))
            wanted = np.bincount(picks, minlength=len(self._feeds))
            for number in np.flatnonzero(wanted):
                self._feeds[number].fill(int(wanted[number]) + 1, int(needed[number]) + 1)
            count, ends = self._run_length(picks)
            block = self._gathered(picks[:count])
            self._turn += len(drawn) if count == len(picks) else int(turns[count])
            for number in {*picks[:count].tolist(), *ends}:
                if self._feeds[number].ended and not self._feeds[number].available:
                    self._end(number)
            if block is not None:
                return block
        return None

    def _picks(self, turn: int, count: int) -> Any:
        """Whose turns these are."""
        if self._stage.probabilities is None:
            return np.arange(turn, turn + count) % len(self._feeds)
        number, start = divmod(turn, PICKS_AT_ONCE)
        if self._drawn[0] != number:
            shares = [share + 1 for share in self._stage.share]
            # the first thousand are those that the seed alone gives, as they are known from other programs
            seeds = [self._stage.seed, *shares, number] if number or shares else self._stage.seed
            random = np.random.default_rng(seeds)
            drawn = random.choice(len(self._feeds), size=PICKS_AT_ONCE, p=self._stage.probabilities)
            self._drawn = (number, drawn)
        return self._drawn[1][start : start + count]

    def _run_length(self, picks: Any) -> tuple[int, list[int]]:
        """How many turns can be taken before more must be read or a stream ends; and who has no row for the next."""
        stop = len(picks)
        for number, feed in enumerate(self._feeds):
            # one row is kept until it is known whether another follows
            usable = feed.available if feed.ended else feed.available - 1
            places = np.flatnonzero(picks == number)
            if len(places) > max(0, usable):
                stop = min(stop, int(places[usable]))
        for number, feed in enumerate(self._feeds):  # the end of a stream comes before the next turn
            places = np.flatnonzero(picks[:stop] == number)
            if feed.ended and len(places) and len(places) == feed.available:
                stop = int(places[-1]) + 1
        following = [int(picks[stop])] if stop < len(picks) else []
        return stop, [number for number in following if self._feeds[number].ended]

    def _gathered(self, picks: Any) -> Block | None:
        """The next rows of the streams, in the order of their turns."""
        if not len(picks):
            return None
        counts = np.bincount(picks, minlength=len(self._feeds))
        blocks = [self._feeds[number].next(int(count)) for number, count in enumerate(counts) if count]
        if len(blocks) == 1:
            return blocks[0]
        order = np.empty(len(picks), dtype=np.int64)
        order[np.argsort(picks, kind="stable")] = np.arange(len(picks))
        return joined(blocks).take(order)

    def _end(self, number: int) -> None:
        """A stream is through."""
        began_anew = self._through[number]
        self._through[number] = True
        if self._stage.stopping == "first_exhausted" or all(self._through):
            self._over = True
        elif self._stage.stopping == "all_exhausted":
            # nothing came although it began anew: nothing ever will
            self._gone[number] = began_anew and self._feeds[number].given == 0
            self._feeds[number] = Feed(self._stage.streams[number].start(None))
        else:
            self._gone[number] = True


def _feeds(streams: Sequence[Stage], states: Sequence[State] | None) -> list[Feed]:
    given: Sequence[State | None] = [None] * len(streams) if states is None else states
    return [Feed(stream.start(state)) for stream, state in zip(streams, given, strict=True)]
