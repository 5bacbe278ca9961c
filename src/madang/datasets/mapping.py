"""Applying a function to every row or batch: `map` and `filter`.

The work is done block by block on Arrow arrays, wherever these come from. The rule of a mapped row: the input's
columns, minus those to remove, updated by what the function returned.
"""

import inspect
import threading
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from madang.datasets.features import Json
from madang.datasets.features.kinds import is_text
from madang.datasets.lazy import Block, LazyBatch, LazyRow
from madang.datasets.mixed import as_json, is_mixed
from madang.datasets.values import feature_of, is_column, to_arrow
from madang.errors import InputError, WrongTypeError
from madang.notices import notice

if TYPE_CHECKING:
    import asyncio

_MISSING = object()


@dataclass
class Call:
    """How a function wants to be called, as the arguments of `map` say."""

    function: Callable[..., Any]
    batched: bool = False
    with_indices: bool = False
    input_columns: list[str] | None = None
    keywords: Mapping[str, Any] = field(default_factory=dict)
    with_rank: bool = False
    rank: int | None = None  # which of several processes this is
    _loop: "asyncio.AbstractEventLoop | None" = field(default=None, init=False, repr=False, compare=False)

    @property
    def is_async(self) -> bool:
        """Whether the function is `async def`: then a block's rows are all under way at once."""
        function = self.function
        while isinstance(function, partial):
            function = function.func
        return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
            getattr(function, "__call__", None)  # noqa: B004 (an object whose __call__ is async)
        )

    def on_batch(self, block: Block, start: int) -> tuple[LazyBatch, Any]:
        """What the function was given for a batch, and what it returned."""
        given = LazyBatch(block)
        arguments = [*self._arguments(given, block.arrays), *self._place(list(range(start, start + block.count)))]
        try:
            if self.is_async:
                return given, self._together([self.function(*arguments, **self.keywords)])[0]
            return given, self.function(*arguments, **self.keywords)
        except Exception as error:
            error.add_note(f"This happened at rows {start} to {start + block.count - 1} of the dataset.")
            raise

    def on_rows(self, block: Block, start: int) -> Iterator[tuple[LazyBatch, Any]]:
        """The same, row by row."""
        if self.is_async:
            rows = [LazyRow(block, place) for place in range(block.count)]
            calls = [self._awaited(self._on_row(row, block, start, at), start + at) for at, row in enumerate(rows)]
            yield from zip(rows, self._together(calls), strict=True)
            return
        function, keywords, place = self.function, self.keywords, 0
        extra = self.with_indices or self.with_rank
        try:
            if self.input_columns is not None and not extra:
                untouched = LazyRow(block, 0)  # a function that is given values cannot write into the row
                for values in zip(*(block.column(name) for name in self.input_columns), strict=True):
                    yield untouched, function(*values, **keywords)
                    place += 1
            elif extra or block.view.is_table:
                for place in range(block.count):
                    row = LazyRow(block, place)
                    yield row, self._on_row(row, block, start, place)
            else:
                for place in range(block.count):
                    row = LazyRow(block, place)
                    yield row, function(row, **keywords)
        except Exception as error:
            error.add_note(f"This happened at row {start + place} of the dataset.")
            raise

    def _on_row(self, row: LazyRow, block: Block, start: int, place: int) -> Any:
        single: Mapping[str, pa.Array] = {}
        if block.view.is_table:
            single = {name: array.slice(place, 1) for name, array in block.arrays.items()}
        return self.function(*self._arguments(row, single), *self._place(start + place), **self.keywords)

    async def _awaited(self, call: Coroutine[Any, Any, Any], place: int) -> Any:
        try:
            return await call
        except Exception as error:
            error.add_note(f"This happened at row {place} of the dataset.")
            raise

    def _arguments(self, given: LazyBatch, arrays: Mapping[str, pa.Array]) -> list[Any]:
        if self.input_columns is not None:
            return [given[name] for name in self.input_columns]
        if given.block.view.is_table:
            return [given.block.view.batch(arrays)]
        return [given]

    def _place(self, indices: Any) -> list[Any]:
        return ([indices] if self.with_indices else []) + ([self.rank] if self.with_rank else [])

    def _together(self, calls: Sequence[Coroutine[Any, Any, Any]]) -> list[Any]:
        """The results of coroutines that run at the same time, always on one loop: clients may be bound to it."""
        import asyncio  # with all that it brings, a tenth of what importing this library takes

        async def gathered() -> list[Any]:
            tasks = [asyncio.ensure_future(call) for call in calls]
            try:
                return list(await asyncio.gather(*tasks))
            finally:  # where one failed, the others are not wanted any more
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # a thread of its own: a notebook's loop is already running in this one
            threading.Thread(target=_run, args=[self._loop], daemon=True).start()
        return asyncio.run_coroutine_threadsafe(gathered(), self._loop).result()

    def close(self) -> None:
        """No more calls will come."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def _run(loop: "asyncio.AbstractEventLoop") -> None:
    loop.run_forever()
    loop.close()


@dataclass
class Mapped:
    """What the function made of one block: new or replaced columns, columns it deleted, how many rows there are now."""

    columns: dict[str, pa.Array]
    deleted: set[str]
    count: int
    # those of the new columns that Arrow's types do not tell: images, …
    features: dict[str, Any] = field(default_factory=dict)


def map_block(
    call: Call,
    block: Block,
    start: int,
    drop: set[str],
    features: Mapping[str, Any] | None = None,
    on_mixed_types: str | None = None,
) -> Mapped | None:
    """Apply a function to one block; None when it returned nothing, which leaves the data as they are.

    Returned columns are stored as `features` says, where it names them.
    """
    storing = Storing(block, features or {}, on_mixed_types)
    if call.batched:
        return batch_mapped(*call.on_batch(block, start), start, drop, storing)
    return _map_rows(call, block, start, drop, storing)


def batch_mapped(given: LazyBatch, result: Any, start: int, drop: set[str], storing: "Storing") -> Mapped | None:
    """What became of a block for which a batched function returned `result`."""
    if result is None:
        return None
    with _named(start, given.block.count):
        return _batch_mapped(given, result, start, drop, storing)


def _batch_mapped(given: LazyBatch, result: Any, start: int, drop: set[str], storing: "Storing") -> Mapped:
    block = given.block
    returned = {**block.mutated(rows_were_lists=True), **_returned(given, result, drop)}
    for name, values in returned.items():
        if not is_column(values) and not hasattr(values, "__array__"):
            raise WrongTypeError(
                f"with batched=True the function returns one list (or array, tensor, Series) per column, but column "
                f"{name!r} came back as {type(values).__name__}: {str(values)[:80]!r}."
            )
    columns, special = storing.columns(returned)
    sizes = {name: len(array) for name, array in columns.items()}
    if len(set(sizes.values())) > 1:
        raise InputError(f"rows {start} to {start + block.count - 1}: the returned columns differ in length: {sizes}.")
    return Mapped(columns, set(given.deleted), next(iter(sizes.values()), block.count), special)


def _map_rows(call: Call, block: Block, start: int, drop: set[str], storing: "Storing") -> Mapped | None:
    columns: dict[str, list[Any]] = {}
    deleted: set[str] = set()
    nothing = True
    for place, (given, result) in enumerate(call.on_rows(block, start)):
        if result is None:
            continue
        nothing = False
        try:
            returned = result if type(result) is dict and not given.written else _returned(given, result, drop)
        except InputError as error:
            error.add_note(f"This happened at row {start + place} of the dataset.")
            raise
        if given.deleted:
            deleted |= given.deleted
        for name, value in returned.items():
            column = columns.get(name)
            if column is None:
                column = columns[name] = []
            if len(column) < place:
                column.extend([_MISSING] * (place - len(column)))
            column.append(value)
    if nothing:
        return None
    for name, column in columns.items():
        column.extend([_MISSING] * (block.count - len(column)))
        if any(value is _MISSING for value in column):
            old = block.column(name) if name in block.arrays and name not in drop else [None] * block.count
            columns[name] = [before if value is _MISSING else value for value, before in zip(column, old, strict=True)]
    with _named(start, block.count):
        arrays, special = storing.columns({**block.mutated(rows_were_lists=False), **columns})
    return Mapped(arrays, deleted, block.count, special)


@contextmanager
def _named(start: int, count: int) -> Iterator[None]:
    """Errors meanwhile say which rows they are about."""
    try:
        yield
    except Exception as error:
        error.add_note(f"This happened at rows {start} to {start + count - 1} of the dataset.")
        raise


@dataclass
class Storing:
    """How what a function returned for a block becomes Arrow arrays."""

    block: Block
    features: Mapping[str, Any]
    on_mixed_types: str | None = None

    def columns(self, returned: Mapping[str, Any]) -> tuple[dict[str, pa.Array], dict[str, Any]]:
        """The arrays, and the features of those that Arrow's types do not tell."""
        arrays, special = {}, {}
        for name, values in returned.items():
            if not isinstance(name, str):
                raise WrongTypeError(f"columns are called by texts, but the function returned the key {name!r}.")
            arrays[name], feature = self._column(name, values)
            if feature is not None:
                special[name] = feature
        return arrays, special

    def _column(self, name: str, values: Any) -> tuple[pa.Array, Any]:
        feature = self.features.get(name)
        if feature is None and name in self.block.view.decoders:  # an image given back is an image
            feature = self.block.view.features[name]
        feature = feature or feature_of(values) or as_json(values, self.on_mixed_types)
        try:
            return to_arrow(values, name, feature), feature
        except InputError:
            if feature is not None or not is_mixed(values):
                raise
            return to_arrow(values, name, Json()), Json()


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
    elif hasattr(result, "to_arrow") and hasattr(result, "columns"):  # a polars table
        result = result.to_arrow()
    if isinstance(result, pa.Table):  # a table stands for all columns
        for name in given.block.arrays:
            if name not in result.column_names:
                given.deleted |= {name}
        columns = {name: result[name] for name in result.column_names}
        if isinstance(given, LazyRow) and result.num_rows != 1:
            raise InputError(
                f"the function returned a table of {result.num_rows} rows for one; batched=True allows that."
            )
        return {name: values[0].as_py() for name, values in columns.items()} if isinstance(given, LazyRow) else columns
    raise WrongTypeError(
        "the function must return a dict of columns (or None to change nothing), but it returned "
        f"{type(result).__name__}: {str(result)[:80]!r}."
    )


def kept(call: Call, block: Block, start: int) -> np.ndarray[Any, Any]:
    """For every row of a block whether a function returned something true."""
    if call.batched:
        answers = call.on_batch(block, start)[1]
        if not hasattr(answers, "__len__") or len(answers) != block.count:
            raise InputError(
                f"a batched filter returns one yes or no per row: {block.count} of them, not {answers!r:.80}."
            )
    else:
        answers = [answer for _, answer in call.on_rows(block, start)]
    return np.fromiter((bool(answer) for answer in answers), dtype=bool, count=block.count)


def stays(values: Any, old: pa.DataType, name: str | None = None) -> Any:
    """Replaced values in the type the column had, where they all fit it; else in the type they have.

    Numbers that come back as text become numbers again only for a whole column, whose `name` is then given: this is
    said once, because it may not be meant.
    """
    now_text, was_text = is_text(values.type), is_text(old)
    if not _same_members(values.type, old):
        return values
    if values.type.equals(old) or (now_text != was_text and (was_text or name is None)):
        return values
    try:
        same = values.cast(old)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
        return values
    if now_text and not was_text:
        notice(
            f"map: column {name!r} was {old} and came back as text; as every text is such a value, it stays {old}. "
            "Return the texts under a new name, or pass features=, to keep them as text."
        )
    return same


def _same_members(one: pa.DataType, other: pa.DataType) -> bool:
    """Whether structs, here or inside lists, have the same members: Arrow's cast would drop and invent some."""
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        names = [field.name for field in one]
        return names == [field.name for field in other] and all(
            _same_members(one.field(name).type, other.field(name).type) for name in names
        )
    if (
        pa.types.is_nested(one)
        and pa.types.is_nested(other)
        and not (pa.types.is_struct(one) or pa.types.is_struct(other))
    ):
        return _same_members(one.value_type, other.value_type)
    return bool(pa.types.is_nested(one) == pa.types.is_nested(other))
