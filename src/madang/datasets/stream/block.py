"""Some rows on their way through a stream: columns in Arrow and, over them, what functions returned for each row."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from madang.datasets.frame import unknown_columns
from madang.datasets.values import join
from madang.errors import InputError

Row = dict[str, Any]


class Block:
    """Some rows: `arrays` holds columns in Arrow, `objects` (None when there are none) a dict per row that wins.

    Rows stay in Arrow until a function is applied to them. What it returns is kept as it is, so that a tensor comes out
    as this tensor and no value depends on what its neighbours are. A row may lack a key that another one has.
    """

    __slots__ = ("arrays", "count", "objects")

    def __init__(self, arrays: Mapping[str, pa.Array], count: int, objects: list[Row] | None = None) -> None:
        self.arrays, self.count, self.objects = arrays, count, objects

    @classmethod
    def from_rows(cls, rows: list[Row]) -> "Block":
        """Rows that are Python objects altogether."""
        return cls({}, len(rows), rows)

    @classmethod
    def from_table(cls, table: pa.Table | pa.RecordBatch) -> Iterator["Block"]:
        """The rows of an Arrow table, a block per chunk; nothing is copied."""
        names = table.schema.names
        for batch in table.to_batches() if isinstance(table, pa.Table) else [table]:
            if batch.num_rows:
                yield cls(dict(zip(names, batch.columns, strict=True)), batch.num_rows)

    @property
    def names(self) -> list[str]:
        """All columns, in the order in which rows show them."""
        written = (name for row in self.objects or () for name in row)
        return list(dict.fromkeys([*self.arrays, *written]))

    @property
    def written(self) -> list[str]:
        """The columns that at least one row holds as an object."""
        return list(dict.fromkeys(name for row in self.objects or () for name in row))

    @property
    def bytes(self) -> int:
        """How much memory the Arrow part takes, roughly."""
        return sum(array.nbytes for array in self.arrays.values())

    def slice(self, start: int, stop: int) -> "Block":
        """The rows from `start` up to `stop`; nothing is copied."""
        if start == 0 and stop >= self.count:
            return self
        arrays = {name: array.slice(start, stop - start) for name, array in self.arrays.items()}
        return Block(arrays, stop - start, None if self.objects is None else self.objects[start:stop])

    def take(self, places: np.ndarray[Any, Any]) -> "Block":
        """The rows at `places`, in that order."""
        wanted = pa.array(places)
        arrays = {name: array.take(wanted) for name, array in self.arrays.items()}
        objects = self.objects
        return Block(arrays, len(places), None if objects is None else [objects[place] for place in places.tolist()])

    def without(self, gone: Iterable[str]) -> "Block":
        """Without these columns."""
        gone = set(gone)
        arrays = {name: array for name, array in self.arrays.items() if name not in gone}
        if self.objects is None:
            return Block(arrays, self.count)
        return Block(arrays, self.count, [{n: v for n, v in row.items() if n not in gone} for row in self.objects])

    def only(self, names: Sequence[str]) -> "Block":
        """With these columns only, in this order; an error names those that no row has."""
        missing = [name for name in names if name not in self.arrays and name not in self.names]
        if missing:
            raise unknown_columns(missing, self.names)
        arrays = {name: self.arrays[name] for name in names if name in self.arrays}
        if self.objects is None:
            return Block(arrays, self.count)
        # a column that only rows hold keeps its place among the others as an empty one under it
        last = max((place for place, name in enumerate(names) if name in arrays), default=-1)
        filled = {name: arrays.get(name, pa.nulls(self.count)) for name in names[: last + 1]}
        everywhere = all(all(name in row for row in self.objects) for name in filled if name not in arrays)
        objects = [{name: row[name] for name in names if name in row} for row in self.objects]
        return Block(filled if everywhere else arrays, self.count, objects)

    def renamed(self, new_names: Mapping[str, str]) -> "Block":
        """The same with columns called otherwise."""
        arrays = {new_names.get(name, name): array for name, array in self.arrays.items()}
        if self.objects is None:
            return Block(arrays, self.count)
        return Block(
            arrays, self.count, [{new_names.get(name, name): v for name, v in row.items()} for row in self.objects]
        )

    def alike(self) -> Iterator["Block"]:
        """The same rows in pieces within which all rows have the same keys."""
        if not self.objects:
            yield self
            return
        start, keys = 0, self.objects[0].keys()
        for place, row in enumerate(self.objects):
            if row.keys() != keys:
                yield self.slice(start, place)
                start, keys = place, row.keys()
        yield self.slice(start, self.count)


def joined(blocks: Sequence[Block]) -> Block:
    """Blocks one after the other as one; a column that one of them lacks is empty there."""
    if len(blocks) == 1:
        return blocks[0]
    count = sum(block.count for block in blocks)
    has_objects = any(block.objects is not None for block in blocks)
    objects: list[Row] | None = None
    if has_objects:
        objects = [row for block in blocks for row in (block.objects or [{} for _ in range(block.count)])]
    arrays: dict[str, pa.Array] = {}
    for name in dict.fromkeys(name for block in blocks for name in block.arrays):
        parts = [block.arrays[name] if name in block.arrays else pa.nulls(block.count) for block in blocks]
        try:
            arrays[name] = _one(parts, name)
        except InputError:  # types that do not go together: each row keeps its own value
            arrays[name] = pa.nulls(count)
            values = [value for part in parts for value in part.to_pylist()]
            objects = [{name: value, **row} for value, row in zip(values, objects or [{}] * count, strict=True)]
    return Block(arrays, count, objects)


def _one(parts: list[pa.Array], name: str) -> pa.Array:
    first = parts[0].type
    if all(part.type == first for part in parts):
        return pa.concat_arrays(parts)
    column = join(parts, name)
    return column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(column.chunks)
