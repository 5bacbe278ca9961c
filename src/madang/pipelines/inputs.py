"""What people pass to a pipeline: one thing, many at once, or a source to be read as it goes."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from madang.errors import InputError

# Examples that are tokenized by one call and sorted by length among themselves. More change nothing for speed.
AT_ONCE = 1024
# Seconds: a slow source (a queue, a web request) is not waited for until AT_ONCE examples are there.
PATIENCE = 0.1


@dataclass(frozen=True)
class Chunk:
    """Examples and their numbers among all that were passed; no numbers for one that was passed alone."""

    items: list[Any]
    numbers: Sequence[int] | None = None

    def name(self, index: int) -> str:
        """How an error speaks of the example at `index` of this chunk."""
        return "the input" if self.numbers is None else f"input {self.numbers[index]}"

    def part(self, rows: list[int]) -> Chunk:
        """Some of the examples, with their numbers."""
        numbers = None if self.numbers is None else [self.numbers[row] for row in rows]
        return Chunk([self.items[row] for row in rows], numbers)


def is_many(inputs: Any) -> bool:
    """Whether `inputs` is a sequence in memory, answered by a list: list, tuple, array, Series, dataset column."""
    if isinstance(inputs, (str, bytes, Mapping)):
        return False
    if isinstance(inputs, Sequence):  # lists, tuples, columns of datasets
        return True
    return hasattr(inputs, "tolist") and hasattr(inputs, "__len__")  # numpy arrays, pandas Series


def is_source(inputs: Any) -> bool:
    """Whether `inputs` is read as it goes, and answered by a generator: generators, datasets, anything iterable."""
    if isinstance(inputs, (str, bytes, Mapping)):
        return False
    return hasattr(inputs, "__iter__") or (hasattr(inputs, "__getitem__") and hasattr(inputs, "__len__"))


def read_many(inputs: Any) -> list[Any]:
    """The items of a sequence as a list."""
    if isinstance(inputs, list):
        return inputs
    return list(inputs.tolist()) if hasattr(inputs, "tolist") else list(inputs)


def read_source(inputs: Any, columns: Sequence[str]) -> Iterator[Any]:
    """The items of a source; of a dataset, rows of the `columns` a task reads, the first of which is needed."""
    names = getattr(inputs, "column_names", None)
    if isinstance(names, list) and hasattr(inputs, "__getitem__") and columns:
        if columns[0] not in names:
            raise InputError(
                f"this dataset has the columns {', '.join(names)}; this task reads {' and '.join(columns)}. "
                f"Pass one column, dataset[{names[0]!r}], or rename it to {columns[0]!r}."
            )
        if len(columns) == 1:
            return iter(inputs[columns[0]])
        wanted = [name for name in columns if name in names]
        return ({name: row[name] for name in wanted} for row in inputs)
    if hasattr(inputs, "__iter__"):
        return iter(inputs)
    return (inputs[index] for index in range(len(inputs)))


def in_chunks(
    items: Iterable[Any], size: int = AT_ONCE, clock: Callable[[], float] = time.monotonic
) -> Iterator[Chunk]:
    """Cut a stream into chunks of `size`, or of what came within PATIENCE."""
    first, chunk, begun = 0, [], clock()
    for item in items:
        chunk.append(item)
        if len(chunk) >= size or clock() - begun > PATIENCE:
            yield Chunk(chunk, range(first, first + len(chunk)))
            first, chunk, begun = first + len(chunk), [], clock()
    if chunk:
        yield Chunk(chunk, range(first, first + len(chunk)))


def list_in_chunks(items: list[Any], size: int = AT_ONCE) -> Iterator[Chunk]:
    """Cut a list into chunks of `size`."""
    for start in range(0, len(items), size):
        chunk = items[start : start + size]
        yield Chunk(chunk, range(start, start + len(chunk)))


def texts_of(chunk: Chunk) -> list[str]:
    """The items of a chunk, all of which must be texts."""
    if not set(map(type, chunk.items)) <= {str}:
        for index, item in enumerate(chunk.items):
            if not isinstance(item, str):
                raise not_a_text(chunk, index, item)
    return chunk.items


def not_a_text(chunk: Chunk, index: int, item: Any, expected: str = "a text (str)") -> InputError:
    """The error for an item that is something else."""
    found = "None" if item is None else f"of type {type(item).__name__}"
    advice = " Replace or drop missing values first." if item is None else ""
    return InputError(f"{chunk.name(index)} is {found}; expected {expected}.{advice}")
