"""Stages that change columns and leave the rows as they are: chosen, renamed, added, stored as other types."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from madang.datasets.cast import cast
from madang.datasets.features import Features, arrow_type, encoder
from madang.datasets.formats import Format
from madang.datasets.stream.block import Block, Row
from madang.datasets.stream.look import Look, values_of
from madang.datasets.stream.rows import Take
from madang.datasets.stream.stage import Run, State, Step, within
from madang.datasets.values import to_arrow
from madang.errors import InputError, MadangError, RowIndexError


@dataclass(frozen=True)
class Changed(Step):
    """A stage that changes each block, row for row."""

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _ChangedRun(self, self.upstream.start(within(state, "upstream", type(self).__name__)))

    @abstractmethod
    def change(self, block: Block) -> Block:
        """The rows of a block with other columns."""


class _ChangedRun(Run):
    def __init__(self, stage: Changed, upstream: Run) -> None:
        self._stage, self._upstream = stage, upstream

    def read(self, most: int, least: int = 1) -> Block | None:
        block = self._upstream.read(most, least)
        return None if block is None else self._stage.change(block)

    def state(self, unread: int = 0) -> State:
        return {"upstream": self._upstream.state(unread)}

    def skip(self, count: int) -> int:
        return self._upstream.skip(count)


@dataclass(frozen=True)
class Only(Changed):
    """These columns, in this order."""

    names: tuple[str, ...]

    @property
    def known(self) -> Features:
        """What is known of these columns."""
        known = self.upstream.known
        return Features({name: known[name] for name in self.names if name in known})

    def change(self, block: Block) -> Block:
        """Only these columns."""
        return block.only(self.names)


@dataclass(frozen=True)
class Without(Changed):
    """All columns but these."""

    names: frozenset[str]

    @property
    def known(self) -> Features:
        """What is known of the others."""
        return Features({name: feature for name, feature in self.upstream.known.items() if name not in self.names})

    def change(self, block: Block) -> Block:
        """Without these columns."""
        return block.without(self.names)


@dataclass(frozen=True)
class Renamed(Changed):
    """Columns called otherwise."""

    new_names: Mapping[str, str]

    @property
    def known(self) -> Features:
        """The same under the new names."""
        return Features({self.new_names.get(name, name): feature for name, feature in self.upstream.known.items()})

    def change(self, block: Block) -> Block:
        """Under the new names."""
        return block.renamed(self.new_names)


@dataclass(frozen=True)
class Cast(Changed):
    """Some columns stored as other features."""

    features: Features

    @property
    def known(self) -> Features:
        """What is known, with the new features."""
        return Features({**self.upstream.known, **self.features})

    def change(self, block: Block) -> Block:
        """The columns cast."""
        return as_features(block, self.features, self.upstream.known)


@dataclass(frozen=True)
class Typed(Changed):
    """All columns of `features`, in their order and types, and no others; a column that is missing is empty.

    Where the features were `guessed` from the first rows, values that do not fit are kept as they are.
    """

    features: Features
    guessed: bool = False

    @property
    def known(self) -> Features:
        """The features."""
        return self.features

    @cached_property
    def _kinds(self) -> dict[str, pa.DataType]:
        """What each column is stored as."""
        return {name: arrow_type(feature) for name, feature in self.features.items()}

    @cached_property
    def _plain(self) -> frozenset[str]:
        """The columns whose values Arrow takes as they are."""
        return frozenset(
            name
            for name, feature in self.features.items()
            if encoder(feature) is None and not isinstance(self._kinds[name], pa.BaseExtensionType)
        )

    @cached_property
    def _is_known(self) -> bool:
        return self.upstream.known == self.features

    def change(self, block: Block) -> Block:
        """The block with these columns."""
        if block.objects is None:
            if self._is_known and {name: array.type for name, array in block.arrays.items()} == self._kinds:
                return block if list(block.arrays) == list(self._kinds) else block.only(list(self._kinds))
        elif not block.arrays and not self.guessed:
            return Block({name: self._column(name, block.objects) for name in self.features}, block.count)
        names, known = list(self.features), self.upstream.known
        written = set(block.written)
        missing = [name for name in names if name not in block.arrays and name not in written]
        empty = {name: pa.nulls(block.count, arrow_type(self.features[name])) for name in missing}
        whole = Block({**block.arrays, **empty}, block.count, block.objects)
        return as_features(whole.without(set(whole.names) - set(names)), self.features, known, self.guessed)

    def _column(self, name: str, rows: list[Row]) -> pa.Array:
        """A column of rows that are Python objects; one that a row lacks is empty there."""
        values = [row.get(name) for row in rows]
        if name in self._plain:
            try:
                return pa.array(values, self._kinds[name])
            except (pa.ArrowException, TypeError, ValueError, OverflowError):
                pass  # text for a number, say: this is cast
        return to_arrow(values, name, self.features[name])


def as_features(block: Block, features: Features, known: Features, lenient: bool = False) -> Block:
    """The block with the columns of `features` stored as these say; those first, in their order.

    With `lenient`, values that do not fit are kept as they are.
    """
    arrays: dict[str, pa.Array] = {}
    look = Look(Format(), known)
    kept: set[str] = set()
    for name, feature in features.items():
        is_object = block.objects is not None and any(name in row for row in block.objects)
        if not is_object and name not in block.arrays:
            raise InputError(f"there is no column {name!r} to cast; the columns are {block.names}.")
        try:
            if is_object:
                arrays[name] = to_arrow(values_of(block, name, look), name, feature)
            elif block.arrays[name].type == arrow_type(feature) and known.get(name, feature) == feature:
                arrays[name] = block.arrays[name]
            else:
                column = cast(pa.chunked_array([block.arrays[name]]), feature, name, known.get(name))
                arrays[name] = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
        except (MadangError, pa.ArrowException, TypeError, ValueError):
            if not lenient:
                raise
            kept.add(name)
            arrays[name] = block.arrays.get(name, pa.nulls(block.count))
    order = list(features) if set(block.names) <= set(features) else [*block.names]
    settled = {name: arrays[name] if name in arrays else block.arrays.get(name) for name in order}
    found = {name: array for name, array in settled.items() if array is not None}
    if block.objects is None:
        return Block(found, block.count)
    gone = set(arrays) - kept
    objects = [{name: value for name, value in row.items() if name not in gone} for row in block.objects]
    return Block(found, block.count, objects if any(objects) else None)


@dataclass(frozen=True)
class Added(Step):
    """One more column, whose values are given: row `i` of the stream gets value `i`.

    So the rows cannot be split among workers, nor their shards shuffled, after that.
    """

    name: str
    values: pa.Array
    feature: Any = None

    @property
    def known(self) -> Features:
        """What is known, with the new column."""
        told = {} if self.feature is None else {self.name: self.feature}
        return Features({**self.upstream.known, **told})

    @property
    def num_shards(self) -> int:
        """One."""
        return 1

    def at_epoch(self, epoch: int) -> Self:
        """As in the first epoch."""
        return self.with_parts([self.upstream.at_epoch(0)])

    def part(self, number: int, of: int, *, contiguous: bool = False) -> Step:
        """All rows for the first share, none for the others."""
        return self if of == 1 or number == 0 else Take(self, 0)

    def mixed(self, random: np.random.Generator, at_once: int, piece: int) -> Self:
        """The same."""
        return self

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _AddedRun(self, state)


class _AddedRun(Run):
    def __init__(self, stage: Added, state: State | None) -> None:
        self._stage = stage
        self._upstream = stage.upstream.start(within(state, "upstream", "add_column"))
        self._index: int = within(state, "index", "add_column") or 0

    def read(self, most: int, least: int = 1) -> Block | None:
        block = self._upstream.read(most, least)
        if block is None:
            return None
        start, self._index = self._index, self._index + block.count
        values = self._stage.values.slice(start, block.count)
        if len(values) < block.count:
            raise RowIndexError(
                f"the column {self._stage.name!r} that was added has {len(self._stage.values)} values, but the stream "
                "has more rows."
            )
        return Block({**block.arrays, self._stage.name: values}, block.count, block.objects)

    def state(self, unread: int = 0) -> State:
        return {"upstream": self._upstream.state(unread), "index": self._index - unread}
