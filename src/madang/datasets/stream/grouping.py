"""`batch`: neighbouring rows as one row, whose columns are lists."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.features import Features, List
from madang.datasets.formats import Format
from madang.datasets.stream.block import Block, joined
from madang.datasets.stream.each import replaced
from madang.datasets.stream.look import Look, values_of
from madang.datasets.stream.stage import Redone, Run, Stage, State, Step, within

READ_AT_ONCE = 10_000  # rows that are read to make several batches at a time


@dataclass(frozen=True)
class Listing(Step):
    """A stage that makes rows of several, whose columns are lists."""

    size: int

    @property
    def known(self) -> Features:
        """Lists of what the columns held."""
        return Features({name: List(feature) for name, feature in self.upstream.known.items()})


@dataclass(frozen=True)
class Batched(Listing):
    """Every `size` rows as one; the last may be shorter, unless `drop_last`."""

    drop_last: bool = False

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _BatchedRun(self, state)


class _BatchedRun(Redone):
    def __init__(self, stage: Batched, state: State | None) -> None:
        super().__init__(state, "batch")
        self._stage = stage
        self._upstream = stage.upstream.start(within(state, "upstream", "batch"))
        self._look = Look(Format(), stage.upstream.known)

    def mark(self) -> State:
        return {"upstream": self._upstream.state()}

    def make(self, most: int, least: int) -> Block | None:
        size = self._stage.size
        limit = size * max(least, min(most, READ_AT_ONCE // size))
        blocks: list[Block] = []
        count, needed = 0, size * least
        while count < needed and (block := self._upstream.read(limit - count, needed - count)) is not None:
            blocks.append(block)
            count += block.count
            needed = max(needed, -(-count // size) * size)  # whole batches
        if self._stage.drop_last:
            count -= count % size
        if not count:
            return None
        return listed(joined(blocks).slice(0, count), [*range(0, count, size), count], self._look)


@dataclass(frozen=True)
class Grouped(Listing):
    """Neighbouring rows that agree in the columns `by` as one."""

    by: tuple[str, ...]

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> Stage:
        """The shards in random order, but one after the other: rows in turn from several would tear groups apart."""
        return self.with_parts([self.upstream.mixed(random, 1, piece)])

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _GroupedRun(self, state)


class _GroupedRun(Redone):
    def __init__(self, stage: Grouped, state: State | None) -> None:
        super().__init__(state, "batch")
        self._stage = stage
        self._upstream = stage.upstream.start(within(state, "upstream", "batch"))
        self._look = Look(Format(), stage.upstream.known)
        self._open: list[Block] = []  # the group that may go on
        self._key: Any = None
        self._start = self._upstream.state()  # where that group begins

    def mark(self) -> State:
        return {"upstream": self._start}

    def make(self, most: int, least: int) -> Block | None:
        while (block := self._upstream.read(max(most, self._stage.size))) is not None:
            values = self._look.columns(block.only(self._stage.by))
            keys = list(zip(*values.values(), strict=True))
            changes = [at for at in range(1, block.count) if keys[at] != keys[at - 1]]
            if self._open and keys[0] != self._key:
                changes.insert(0, 0)
            self._key = keys[-1]
            if not changes:
                self._open.append(block)
                continue
            last, before = changes[-1], sum(part.count for part in self._open)
            done = joined([*self._open, *([block.slice(0, last)] if last else [])])
            self._open, self._start = [block.slice(last, block.count)], self._upstream.state(block.count - last)
            return listed(done, [0, *(before + at for at in changes)], self._look)
        if not self._open:
            return None
        done, self._open, self._start = joined(self._open), [], self._upstream.state()
        return listed(done, [0, done.count], self._look)


def listed(block: Block, ends: Sequence[int], look: Look) -> Block:
    """Neighbouring rows as one, whose columns are lists: from each of `ends` up to the next."""
    offsets, count = pa.array(ends, pa.int32()), len(ends) - 1
    written = set(block.written)
    arrays: dict[str, pa.Array] = {}
    values: dict[str, list[Any]] = {}
    for name in block.names:
        array = block.arrays.get(name)
        if name not in written and array is not None and not isinstance(array.type, pa.BaseExtensionType):
            arrays[name] = pa.ListArray.from_arrays(offsets, array)
        elif name in written:
            values[name] = values_of(block, name, look)
        else:
            values[name] = look.column(block, name)
        if name in values:
            arrays[name] = pa.nulls(count)
    if not values:
        return Block(arrays, count)
    rows = [{name: found[ends[at] : ends[at + 1]] for name, found in values.items()} for at in range(count)]
    return replaced(Block(arrays, count), rows)
