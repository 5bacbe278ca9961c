"""`map` and `filter` with a function that is given batches."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.lazy import LazyBatch
from madang.datasets.mapping import Call, kept
from madang.datasets.stream.block import Block, Row, joined
from madang.datasets.stream.each import Applied, as_table, replaced
from madang.datasets.stream.look import Look
from madang.datasets.stream.stage import Redone, Run, State, exactly, within
from madang.datasets.values import is_column
from madang.errors import InputError, WrongTypeError

EVERYTHING = 1 << 62  # rows in a batch when all come in one


@dataclass(frozen=True)
class MapBatches(Applied):
    """Batches of `size` rows updated by what a function returns for them; as many rows as it returns come out."""

    size: int = 1000
    drop: frozenset[str] = frozenset()
    drop_last: bool = False

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _BatchRun(self, state, self.drop_last)

    def apply(self, call: Call, block: Block, start: int, look: Look) -> Block:
        """One batch."""
        return map_batch(call, block, start, self.drop, look)


@dataclass(frozen=True)
class FilterBatches(Applied):
    """The rows for which a function of batches says yes."""

    size: int = 1000

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _BatchRun(self, state, False)

    def apply(self, call: Call, block: Block, start: int, look: Look) -> Block:
        """One batch."""
        return block.take(np.flatnonzero(kept(call, look.given(block), start)))


class _BatchRun(Redone):
    """Batches begin at the same rows whether or not reading was interrupted: a function may join what is in one."""

    def __init__(self, stage: MapBatches | FilterBatches, state: State | None, drop_last: bool) -> None:
        super().__init__(state, "map")
        self._stage, self._drop_last = stage, drop_last
        self._upstream = stage.upstream.start(within(state, "upstream", "map"))
        self._index: int = within(state, "index", "map") or 0
        self._call, self._look = stage.own_call(self), Look(stage.format, stage.upstream.known)

    def mark(self) -> State:
        return {"upstream": self._upstream.state(), "index": self._index}

    def make(self, most: int, least: int) -> Block | None:
        block = exactly(self._upstream, self._stage.size)
        if block is None or (self._drop_last and block.count < self._stage.size):
            return None
        start, self._index = self._index, self._index + block.count
        return self._stage.apply(self._call, block, start, self._look)


def map_batch(call: Call, block: Block, start: int, drop: frozenset[str], look: Look) -> Block:
    """A batch after the function was called for it."""
    given_block = look.given(block)
    given, result = call.on_batch(given_block, start)
    table = as_table(result)
    if table is not None and look.is_table:
        blocks = list(Block.from_table(table))
        return joined(blocks).without(drop) if blocks else Block({}, 0)
    returned = {name: values for name, values in given.written.items() if name not in drop}
    if look.format.kind is None:
        # lists that the function looked at: it may have changed them in place
        seen = {name: values for name, values in given_block.touched.items() if name not in given_block.view.decoders}
        returned = {**{name: values for name, values in seen.items() if name not in drop}, **returned}
    returned.update(_returned(given, result, table, drop))
    for name in given.deleted:
        returned.pop(name, None)
    return _updated(block.without({*drop, *given.deleted}), returned, start)


def _returned(given: LazyBatch, result: Any, table: pa.Table | None, drop: frozenset[str]) -> Mapping[str, Any]:
    if result is None or result is given:
        return {}
    if isinstance(result, LazyBatch):
        return {name: values for name, values in result.written.items() if name not in drop}
    if table is not None:
        return {name: table[name] for name in table.column_names}
    if not isinstance(result, Mapping):
        raise WrongTypeError(
            "the function must return a dict of columns (or None to change nothing), but it returned "
            f"{type(result).__name__}: {str(result)[:80]!r}."
        )
    for name, values in result.items():
        if not is_column(values) and not hasattr(values, "__array__"):
            raise WrongTypeError(
                f"with batched=True the function returns one list (or array, tensor, Series) per column, but column "
                f"{name!r} came back as {type(values).__name__}: {str(values)[:80]!r}."
            )
    return result


def _updated(block: Block, returned: Mapping[str, Any], start: int) -> Block:
    """The batch with columns added or replaced; all columns that remain must be of the same length."""
    lengths = {name: block.count for name in block.names if name not in returned}
    lengths.update((name, len(values)) for name, values in returned.items())
    if len(set(lengths.values())) > 1:
        raise InputError(
            f"Column lengths mismatch: after the function was applied to rows {start} to {start + block.count - 1}, "
            f"the columns have these lengths: {lengths}. Return every column at its new length, or name those that "
            "are not returned in remove_columns."
        )
    count = next(iter(lengths.values()), 0 if returned else block.count)
    arrays = {name: array for name, array in block.arrays.items() if name not in returned or count == block.count}
    as_arrays = {n: v for n, v in returned.items() if isinstance(v, (pa.Array, pa.ChunkedArray))}
    for name, values in as_arrays.items():
        arrays[name] = values if isinstance(values, pa.Array) else pa.concat_arrays(values.chunks)
    lists = {name: list(values) for name, values in returned.items() if name not in as_arrays}
    rows: list[Row] = [dict(zip(lists, values, strict=True)) for values in zip(*lists.values(), strict=True)]
    rows = rows or [{} for _ in range(count)]
    if block.objects is not None:
        keep = [{n: v for n, v in row.items() if n not in returned} for row in block.objects]
        rows = [{**before, **row} for before, row in zip(keep, rows, strict=True)] if count == block.count else rows
    elif not lists:
        return Block(arrays, count)
    return replaced(Block(arrays, count), rows)
