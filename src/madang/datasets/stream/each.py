"""`map` and `filter` with a function that is given one row at a time."""

import weakref
from collections.abc import Iterator, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.formats import Format
from madang.datasets.lazy import Block as Given
from madang.datasets.lazy import LazyBatch
from madang.datasets.mapping import Call, kept
from madang.datasets.stream.block import Block, Row, joined
from madang.datasets.stream.look import Look
from madang.datasets.stream.rows import Picking
from madang.datasets.stream.stage import Run, State, Step, within
from madang.errors import WrongTypeError

UNDER_WAY = 1000  # calls of an async function that run at the same time


@dataclass(frozen=True)
class Applied(Step):
    """A stage that calls a function; `format` says as what the function sees the rows."""

    call: Call
    format: Format

    def own_call(self, run: Run) -> Call:
        """The call for one run: an async function has its loop there, which ends with the run."""
        call = replace(self.call)
        weakref.finalize(run, call.close)
        return call


@dataclass(frozen=True)
class MapRows(Applied):
    """Every row updated by what a function returns for it, without the columns `drop` unless they are returned."""

    drop: frozenset[str] = frozenset()

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _MapRun(self, state)


class _MapRun(Run):
    """As many rows as are read come out, so that the state is the one below and how many rows there were."""

    def __init__(self, stage: MapRows, state: State | None) -> None:
        self._upstream = stage.upstream.start(within(state, "upstream", "map"))
        self._index: int = within(state, "index", "map") or 0
        self._call, self._drop = stage.own_call(self), stage.drop
        self._look = Look(stage.format, stage.upstream.known)
        self._wait = UNDER_WAY if self._call.is_async else 0
        self._rest: Block | None = None

    def read(self, most: int, least: int = 1) -> Block | None:
        if self._rest is None:
            block = self._upstream.read(max(most, self._wait), max(least, self._wait))
            if block is None:
                return None
            if block.arrays or self._look.format.kind is not None or self._wait:
                self._rest = joined([self._mapped(piece) for piece in block.alike()])
            else:
                made = on_dicts(self._call, block, self._index)
                self._rest = Block.from_rows([_updated(given, result, self._drop) for given, result in made])
                self._index += block.count
        block = self._rest
        self._rest = None if block.count <= most else block.slice(most, block.count)
        return block.slice(0, most) if block.count > most else block

    def _mapped(self, block: Block) -> Block:
        start, self._index = self._index, self._index + block.count
        return map_rows(self._call, block, start, self._drop, self._look)

    def state(self, unread: int = 0) -> State:
        waiting = unread + (0 if self._rest is None else self._rest.count)
        return {"upstream": self._upstream.state(waiting), "index": self._index - waiting}


def on_dicts(call: Call, block: Block, start: int) -> Iterator[tuple[Row, Any]]:
    """What a function was given and what it returned for each of some rows that are Python objects altogether.

    The function gets a dict of its own, which it may change. That is several times quicker than looking at columns,
    which counts where rows are made one by one.
    """
    plain = call.input_columns is None and not call.with_indices
    for place, row in enumerate(block.objects or (), start):
        given = row.copy()
        try:
            if plain:
                yield given, call.function(given, **call.keywords)
            else:
                names, number = call.input_columns, [place] if call.with_indices else []
                arguments = [given] if names is None else [given[name] for name in names]
                yield given, call.function(*arguments, *number, **call.keywords)
        except Exception as error:
            error.add_note(f"This happened at row {place} of the dataset.")
            raise


def _updated(given: Row, result: Any, drop: frozenset[str]) -> Row:
    """A row with what a function wrote into it or returned; a name in `drop` survives only when returned anew."""
    if result is not None and not isinstance(result, Mapping):
        raise _no_mapping(result)
    anew = {} if result is None or result is given else result
    for name in drop:
        given.pop(name, None)
    return {**given, **anew}


def map_rows(call: Call, block: Block, start: int, drop: frozenset[str], look: Look) -> Block:
    """The rows of a block, all of which have the same keys, after the function was called for each."""
    given = look.given(block)
    results: list[Row | pa.Table] = []
    deleted: list[tuple[int, Set[str]]] = []
    for place, (row, result) in enumerate(call.on_rows(given, start)):
        results.append(_returned(row, result, drop))
        if row.deleted:
            deleted.append((place, row.deleted))
    if results and all(isinstance(result, pa.Table) for result in results):
        blocks = [piece for table in results for piece in Block.from_table(table)]
        return joined(blocks).without(drop)
    if (deleted and any(names != deleted[0][1] for _, names in deleted)) or 0 < len(deleted) < block.count:
        block, given.touched = _as_objects(block, look), {}
    under = block.without(drop) if drop else block
    if deleted:
        under = _without_deleted(under, deleted)
    if under.objects is not None:
        results = [{**before, **result} for before, result in zip(under.objects, results, strict=True)]
    changed = {name: values for name, values in _changeable(given, look).items() if name in under.arrays}
    if changed:
        columns = zip(*changed.values(), strict=True)
        results = [{**dict(zip(changed, v, strict=True)), **row} for row, v in zip(results, columns, strict=True)]
    return replaced(under, results)


def replaced(block: Block, objects: list[Row]) -> Block:
    """The block with these objects; what they hide of its columns is let go, but keeps its place."""
    arrays = dict(block.arrays)
    if objects:
        for name in objects[0]:
            if name in arrays and all(name in row for row in objects):
                arrays[name] = pa.nulls(block.count)
    return Block(arrays, block.count, objects)


def _returned(given: LazyBatch, result: Any, drop: frozenset[str]) -> Row | pa.Table:
    """What a function wrote into its row or returned; a name in `drop` survives only when returned anew."""
    if type(result) is dict and not given.written:
        return result.copy()  # a function may fill the same dict again and again
    written = {name: value for name, value in given.written.items() if name not in drop}
    if result is None or result is given:
        return written
    if isinstance(result, LazyBatch):
        return {**written, **{name: value for name, value in result.written.items() if name not in drop}}
    if isinstance(result, Mapping):
        return {**written, **result}
    table = as_table(result)
    if table is not None and given.block.view.is_table:
        return table
    raise _no_mapping(result)


def _no_mapping(result: Any) -> WrongTypeError:
    return WrongTypeError(
        "the function must return a dict of columns (or None to change nothing), but it returned "
        f"{type(result).__name__}: {str(result)[:80]!r}."
    )


def as_table(result: Any) -> pa.Table | None:
    """An Arrow, pandas or polars table as an Arrow one; None when it is no table."""
    if isinstance(result, pa.Table):
        return result
    if hasattr(result, "iloc") and hasattr(result, "columns"):
        return pa.Table.from_pandas(result, preserve_index=False).replace_schema_metadata(None)
    if hasattr(result, "to_arrow") and hasattr(result, "columns"):
        return result.to_arrow()
    return None


def _changeable(given: Given, look: Look) -> dict[str, Any]:
    """Lists and dicts that the function looked at: it may have changed them in place."""
    if look.format.kind is not None:
        return {}
    return {
        name: values
        for name, values in given.touched.items()
        if given.arrays[name] is not None
        and pa.types.is_nested(given.arrays[name].type)
        and name not in given.view.decoders
    }


def _as_objects(block: Block, look: Look) -> Block:
    """The same rows as Python objects altogether."""
    return Block.from_rows([dict(row) for row in Look(Format(), dict(look.known)).rows(block)])


def _without_deleted(block: Block, deleted: list[tuple[int, Set[str]]]) -> Block:
    if len(deleted) == block.count:
        return block.without(deleted[0][1])
    assert block.objects is not None
    for place, names in deleted:
        for name in names:
            block.objects[place].pop(name, None)
    return block


@dataclass(frozen=True)
class FilterRows(Applied):
    """The rows for which a function returns something true."""

    def start(self, state: State | None) -> Run:
        """Begin to read."""
        return _FilterRun(self, state)


class _FilterRun(Picking):
    def __init__(self, stage: FilterRows, state: State | None) -> None:
        super().__init__(stage.upstream.start(within(state, "upstream", "filter")))
        self._index: int = within(state, "index", "filter") or 0
        self._call, self._look = stage.own_call(self), Look(stage.format, stage.upstream.known)
        self._wait = UNDER_WAY if self._call.is_async else 0

    def asked(self, most: int, least: int) -> tuple[int, int]:
        return max(most, self._wait), max(least, self._wait)

    def chosen(self, block: Block) -> np.ndarray[Any, Any]:
        if not block.arrays and self._look.format.kind is None and not self._wait:
            found = [bool(answer) for _, answer in on_dicts(self._call, block, self._index)]
            self._index += block.count
            return np.flatnonzero(found)
        answers = []
        for piece in block.alike():
            answers.append(kept(self._call, self._look.given(piece), self._index))
            self._index += piece.count
        return np.flatnonzero(np.concatenate(answers))

    def state(self, unread: int = 0) -> State:
        back = self.back(unread)
        return {"upstream": self._upstream.state(back), "index": self._index - back}
