"""Where a stream begins: shards that are opened one after the other, or several in turn."""

import atexit
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.features import Features
from madang.datasets.frame import ROWS_AT_ONCE, Frame
from madang.datasets.stream.block import Block
from madang.datasets.stream.stage import Run, Stage, State, within
from madang.errors import InputError, WrongTypeError

_open_lanes: "weakref.WeakSet[_Lane]" = weakref.WeakSet()


class Shards(ABC):
    """Parts of the data that can be opened by number, at any row."""

    one_by_one = False  # rows are made as they are asked for; none is fetched ahead

    @abstractmethod
    def __len__(self) -> int:
        """How many there are."""

    @abstractmethod
    def open(self, number: int, row: int) -> Iterator[Block]:
        """The rows of a shard from `row` on; always the same."""


@dataclass(frozen=True)
class Opened(Shards):
    """Shards that a function opens: `open_shard(shard)` gives Arrow tables."""

    open_shard: Callable[[Any], Iterator[pa.Table]]
    shards: Sequence[Any]

    def __len__(self) -> int:
        return len(self.shards)

    def open(self, number: int, row: int) -> Iterator[Block]:
        """The rows of a shard from `row` on."""
        blocks = (block for table in self.open_shard(self.shards[number]) for block in Block.from_table(table))
        return _after(blocks, row)


@dataclass(frozen=True)
class Generated(Shards):
    """Rows that a generator yields. Lists among its keyword arguments are shards: it is called once for each entry."""

    generator: Callable[..., Iterable[Any]]
    keywords: Mapping[str, Any] = field(default_factory=dict)

    one_by_one = True

    def __post_init__(self) -> None:
        lengths = {name: len(value) for name, value in self.keywords.items() if isinstance(value, list)}
        if len(set(lengths.values())) > 1:
            raise InputError(
                "Sharding is ambiguous for this dataset: lists in gen_kwargs are shards, so they must be of equal "
                f"length, but they have these: {lengths}. Pass a tuple where a list is just a value."
            )

    def __len__(self) -> int:
        return max([1, *(len(value) for value in self.keywords.values() if isinstance(value, list))])

    def open(self, number: int, row: int) -> Iterator[Block]:
        """The rows of a shard from `row` on."""
        # an empty list has no shard 0; then the generator sees the empty list
        keywords = {
            name: value[number : number + 1] if isinstance(value, list) else value
            for name, value in self.keywords.items()
        }
        made = iter(self.generator(**keywords))
        first = next(made, None)
        if first is None:
            return
        rows = _chained(first, made)
        if isinstance(first, (pa.Table, pa.RecordBatch)):
            yield from _after((block for table in rows for block in Block.from_table(table)), row)
            return
        for found in islice(rows, row, None):
            yield Block.from_rows([_row(found)])


@dataclass(frozen=True)
class Held(Shards):
    """The rows of a table in memory or mapped from files, in `count` shards of neighbours."""

    frame: Frame
    count: int

    def __len__(self) -> int:
        return self.count

    def open(self, number: int, row: int) -> Iterator[Block]:
        """The rows of a shard from `row` on."""
        size, longer = divmod(self.frame.num_rows, self.count)
        start = number * size + min(number, longer)
        stop = start + size + (number < longer)
        for at in range(start + row, stop, ROWS_AT_ONCE):
            end = min(at + ROWS_AT_ONCE, stop)
            yield Block(self.frame.slice(at, end), end - at)


def _chained(first: Any, rest: Iterator[Any]) -> Iterator[Any]:
    yield first
    yield from rest


def _row(found: Any) -> dict[str, Any]:
    if not isinstance(found, Mapping):
        raise WrongTypeError(
            f"the generator must yield one dict per row (or Arrow tables), but it yielded {type(found).__name__}: "
            f"{str(found)[:80]!r}."
        )
    return dict(found)


def _after(blocks: Iterator[Block], row: int) -> Iterator[Block]:
    """The blocks without their first `row` rows."""
    for block in blocks:
        if row < block.count:
            yield block.slice(row, block.count)
        row = max(0, row - block.count)


@dataclass(frozen=True)
class Source(Stage):
    """The rows of some shards, in the order of `order`; `at_once` of them are read in turn, `piece` rows at a time."""

    shards: Shards
    order: tuple[int, ...]
    features: Features = field(default_factory=Features)
    at_once: int = 1
    piece: int = 1

    @classmethod
    def of(cls, shards: Shards, features: Features | None = None) -> "Source":
        """All shards, one after the other."""
        return cls(shards, tuple(range(len(shards))), features or Features())

    @property
    def parts(self) -> Sequence[Stage]:
        """None: this is where rows come from."""
        return ()

    def with_parts(self, parts: Sequence[Stage]) -> "Source":
        """The same."""
        return self

    @property
    def known(self) -> Features:
        """What columns hold, as far as it is known."""
        return self.features

    @property
    def num_shards(self) -> int:
        """How many shards there are."""
        return len(self.order)

    def part(self, number: int, of: int, *, contiguous: bool = False) -> "Source":
        """Share `number` of the shards."""
        if not contiguous:
            return replace(self, order=self.order[number::of])
        size, longer = divmod(len(self.order), of)
        start = number * size + min(number, longer)
        return replace(self, order=self.order[start : start + size + (number < longer)])

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> "Source":
        """The shards in random order, `at_once` of them read in turn."""
        order = tuple(self.order[place] for place in random.permutation(len(self.order)))
        return replace(self, order=order, at_once=at_once, piece=piece)

    def resharded(self) -> "Source":
        """The same: what a shard is split into, only its reader could know."""
        return self

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _SourceRun(self, state)


@atexit.register
def _close_lanes() -> None:
    """Readers that were left in the middle end before the modules they need are taken down."""
    for lane in list(_open_lanes):
        lane.close()


class _Lane:
    """One of the shards that are read in turn."""

    def __init__(self, shards: Shards, order: tuple[int, ...], place: int, row: int) -> None:
        self.place, self.row = place, row  # which entry of `order`, how many of its rows were read
        self._one_by_one = shards.one_by_one
        self._blocks = shards.open(order[place], row)
        self._block: Block | None = None
        self._at = 0
        _open_lanes.add(self)

    def close(self) -> None:
        close = getattr(self._blocks, "close", None)  # generators have it
        if close is not None:
            close()

    def read(self, most: int, least: int) -> Block | None:
        if self._block is None or self._at >= self._block.count:
            self._block, self._at = self._fetch(min(most, least)), 0
            if self._block is None:
                return None
        start, self._at = self._at, min(self._at + most, self._block.count)
        self.row += self._at - start
        return self._block.slice(start, self._at)

    def _fetch(self, wanted: int) -> Block | None:
        block = next(self._blocks, None)
        if block is None or block.objects is None or not self._one_by_one or wanted == 1:
            return block
        rows = block.objects
        for more in islice(self._blocks, wanted - 1):
            rows += more.objects or []
        return Block.from_rows(rows)


class _SourceRun(Run):
    """Reads `at_once` lanes in turn; a lane that is through goes on with the next shard."""

    def __init__(self, source: Source, state: State | None) -> None:
        self._source = source
        if state is None:
            lanes = [[place, 0] for place in range(min(source.at_once, len(source.order)))]
            state = {"lanes": lanes, "next": len(lanes), "turn": 0, "taken": 0}
        order = source.order
        places = within(state, "lanes", "source")
        if any(place >= len(order) for place, _ in places):
            raise InputError(
                f"this state was saved when there were more shards to read: it stands in shard "
                f"{max(place for place, _ in places)}, but there are {len(order)} here. Use the same data and the same "
                "number of workers and nodes."
            )
        self._lanes = [_Lane(source.shards, order, place, row) for place, row in places]
        self._next, self._turn, self._taken = state["next"], state["turn"], state["taken"]

    def read(self, most: int, least: int = 1) -> Block | None:
        while self._lanes:
            alone = len(self._lanes) == 1
            if not alone and self._taken >= self._source.piece:
                self._turn, self._taken = (self._turn + 1) % len(self._lanes), 0
            lane = self._lanes[self._turn]
            limit = most if alone else min(most, self._source.piece - self._taken)
            block = lane.read(limit, least)
            if block is not None:
                self._taken += block.count
                return block
            if self._next < len(self._source.order):
                self._lanes[self._turn] = _Lane(self._source.shards, self._source.order, self._next, 0)
                self._next += 1
            else:
                del self._lanes[self._turn]
                self._turn, self._taken = self._turn % max(1, len(self._lanes)), 0
        return None

    def state(self, unread: int = 0) -> State:
        lanes = [[lane.place, lane.row] for lane in self._lanes]
        if unread:
            lanes[self._turn][1] -= unread
        return {"lanes": lanes, "next": self._next, "turn": self._turn, "taken": self._taken - unread}
