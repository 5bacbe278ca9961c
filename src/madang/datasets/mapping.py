"""Applying a function to every row or batch: `map` and `filter`.

The work is done block by block on Arrow arrays, wherever these come from. The rule of a mapped row: the input's
columns, minus those to remove, updated by what the function returned.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from madang import settings
from madang.datasets.formats import Format
from madang.datasets.lazy import Block, LazyBatch, LazyRow
from madang.datasets.values import is_column, join, to_arrow
from madang.errors import InputError, WrongTypeError
from madang.notices import notice

_MISSING = object()


@dataclass
class Call:
    """How a function wants to be called, as the arguments of `map` say."""

    function: Callable[..., Any]
    batched: bool = False
    with_indices: bool = False
    input_columns: list[str] | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)

    def on_batch(self, block: Block, start: int) -> tuple[LazyBatch, Any]:
        """What the function was given for a batch, and what it returned."""
        given = LazyBatch(block)
        indices = [list(range(start, start + block.count))] if self.with_indices else []
        try:
            return given, self.function(*self._arguments(given, block.arrays), *indices, **self.keywords)
        except Exception as error:
            error.add_note(f"This happened at rows {start} to {start + block.count - 1} of the dataset.")
            raise

    def on_rows(self, block: Block, start: int) -> Iterator[tuple[LazyBatch, Any]]:
        """The same, row by row."""
        for place in range(block.count):
            given = LazyRow(block, place)
            indices = [start + place] if self.with_indices else []
            single = (
                {name: array.slice(place, 1) for name, array in block.arrays.items()} if block.format.is_table else {}
            )
            try:
                result = self.function(*self._arguments(given, single), *indices, **self.keywords)
            except Exception as error:
                error.add_note(f"This happened at row {start + place} of the dataset.")
                raise
            yield given, result

    def _arguments(self, given: LazyBatch, arrays: Mapping[str, pa.Array]) -> list[Any]:
        if self.input_columns is not None:
            return [given[name] for name in self.input_columns]
        if given._block.format.is_table:
            return [given._block.format.batch(arrays)]
        return [given]


@dataclass
class Mapped:
    """What the function made of one block: new or replaced columns, columns it deleted, how many rows there are now."""

    columns: dict[str, pa.Array]
    deleted: set[str]
    count: int


def map_block(
    call: Call, arrays: Mapping[str, pa.Array], start: int, count: int, look: Format, drop: set[str]
) -> Mapped | None:
    """Apply a function to one block; None when it returned nothing, which leaves the data as they are."""
    block = Block(arrays, count, look)
    return _map_batch(call, block, start, drop) if call.batched else _map_rows(call, block, start, drop)


def _map_batch(call: Call, block: Block, start: int, drop: set[str]) -> Mapped | None:
    given, result = call.on_batch(block, start)
    if result is None:
        return None
    returned = {**block.mutated(rows_were_lists=True), **_returned(given, result, drop)}
    columns = {}
    for name, values in returned.items():
        if not is_column(values) and not hasattr(values, "__array__"):
            raise WrongTypeError(
                f"with batched=True the function returns one list (or array, tensor, Series) per column, but column "
                f"{name!r} came back as {type(values).__name__}: {str(values)[:80]!r}."
            )
        columns[name] = to_arrow(values, name)
    sizes = {name: len(array) for name, array in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"rows {start} to {start + block.count - 1}: the returned columns differ in length: {sizes}.")
    return Mapped(columns, given.deleted, next(iter(sizes.values()), block.count))


def _map_rows(call: Call, block: Block, start: int, drop: set[str]) -> Mapped | None:
    columns: dict[str, list[Any]] = {}
    deleted: set[str] = set()
    nothing = True
    for place, (given, result) in enumerate(call.on_rows(block, start)):
        if result is None:
            continue
        nothing = False
        deleted |= given.deleted
        for name, value in _returned(given, result, drop).items():
            column = columns.setdefault(name, [])
            column.extend([_MISSING] * (place - len(column)))
            column.append(value)
    if nothing:
        return None
    for name, column in columns.items():
        column.extend([_MISSING] * (block.count - len(column)))
        if any(value is _MISSING for value in column):
            old = block.column(name) if name in block.arrays and name not in drop else [None] * block.count
            columns[name] = [before if value is _MISSING else value for value, before in zip(column, old, strict=True)]
    columns = {**block.mutated(rows_were_lists=False), **columns}
    return Mapped({name: to_arrow(values, name) for name, values in columns.items()}, deleted, block.count)


def _returned(given: LazyBatch, result: Any, drop: set[str]) -> dict[str, Any]:
    """The columns a function wrote into its input or returned; a name in `drop` survives only when returned anew."""
    written = {name: value for name, value in given.written.items() if name not in drop}
    if result is given:
        return written
    if isinstance(result, LazyBatch):
        return {**written, **{name: value for name, value in result.written.items() if name not in drop}}
    if isinstance(result, Mapping):
        return {**written, **result}
    if hasattr(result, "iloc") and hasattr(result, "columns"):  # a pandas table
        result = pa.Table.from_pandas(result, preserve_index=False)
    if isinstance(result, pa.Table):
        columns = {name: result[name] for name in result.column_names}
        return {name: values[0].as_py() for name, values in columns.items()} if isinstance(given, LazyRow) else columns
    raise WrongTypeError(
        "the function must return a dict of columns (or None to change nothing), but it returned "
        f"{type(result).__name__}: {str(result)[:80]!r}."
    )


def assemble(
    blocks: Sequence[tuple[Mapping[str, pa.Array], int, Mapped | None]], original: Sequence[str], drop: set[str]
) -> tuple[dict[str, pa.ChunkedArray], set[str], int]:
    """Join what came of all blocks: new or replaced columns, deleted ones, the number of rows.

    A column that only some blocks returned keeps its input values in the others, or is empty there when it is new.
    """
    names = list(dict.fromkeys(name for _, _, mapped in blocks if mapped is not None for name in mapped.columns))
    deleted = set().union(*(mapped.deleted for _, _, mapped in blocks if mapped is not None))
    columns = {}
    for name in names:
        parts = []
        for arrays, count, mapped in blocks:
            if mapped is not None and name in mapped.columns:
                parts.append(mapped.columns[name])
            elif name in original and name not in drop:
                parts.append(arrays[name])
            else:
                parts.append(pa.nulls(mapped.count if mapped is not None else count))
        columns[name] = join(parts, name)
    total = sum(mapped.count if mapped is not None else count for _, count, mapped in blocks)
    return columns, deleted - set(names), total


def keep_type(values: pa.ChunkedArray, old: pa.DataType, name: str) -> pa.ChunkedArray:
    """Replaced values in the type the column had, where they all fit it; else in the type they have.

    Numbers given back as text become numbers again, which is said once, because it may not be meant.
    """
    if values.type.equals(old):
        return values
    try:
        kept = values.cast(old)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return values
    if pa.types.is_string(values.type) and not pa.types.is_large_string(old):
        notice(
            f"map: column {name!r} was {old} and came back as text; as every text is such a value, it stays {old}. "
            "Return the texts under a new name, or pass features=, to keep them as text."
        )
    return kept


def kept_rows(
    call: Call, blocks: Iterable[tuple[int, int, Mapping[str, pa.Array]]], look: Format
) -> np.ndarray[Any, Any]:
    """The numbers of the rows for which a function returned something true."""
    places = [np.empty(0, dtype=np.int64)]
    for start, stop, arrays in blocks:
        block = Block(arrays, stop - start, look)
        if call.batched:
            answers = call.on_batch(block, start)[1]
            if not hasattr(answers, "__len__") or len(answers) != block.count:
                raise InputError(
                    f"a batched filter returns one yes or no per row: {block.count} of them, not {answers!r:.80}."
                )
        else:
            answers = [answer for _, answer in call.on_rows(block, start)]
        keep = np.fromiter((bool(answer) for answer in answers), dtype=bool, count=block.count)
        places.append(np.flatnonzero(keep) + start)
    return np.concatenate(places)


def progress(blocks: Iterable[Any], total: int, label: str) -> Iterator[Any]:
    """The same blocks, with a bar that counts their rows once the work has taken a second."""
    if not settings.progress_bars():
        yield from blocks
        return
    from tqdm import tqdm

    with tqdm(total=total, desc=label, unit=" rows", delay=1.0, leave=False) as bar:
        for block in blocks:
            yield block
            bar.update(block[1] - block[0])
