"""What a function given to `map` or `filter` sees: rows or batches whose columns are converted when touched."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import pyarrow as pa

from madang.datasets.formats import Format
from madang.datasets.frame import unknown_columns
from madang.datasets.values import to_python


class Block:
    """Some rows of a table, of which each column becomes Python values (or arrays, by the format) at most once."""

    def __init__(self, arrays: Mapping[str, pa.Array], count: int, format: Format) -> None:  # noqa: A002
        self.arrays = {name: array for name, array in arrays.items() if format.shows(name)}
        self.count, self.format = count, format
        self.touched: dict[str, Any] = {}

    def column(self, name: str) -> Any:
        """The values of a column."""
        if name not in self.touched:
            if name not in self.arrays:
                raise unknown_columns([name], self.arrays)
            self.touched[name] = self.format.column(self.arrays[name], name)
        return self.touched[name]

    def mutated(self, rows_were_lists: bool) -> dict[str, list[Any]]:
        """Columns whose lists the function changed in place, found by reading them again.

        A row's plain values cannot change in place; a batch's can, being a list of them (`rows_were_lists`).
        """
        if self.format.kind is not None:
            return {}
        return {
            name: values
            for name, values in self.touched.items()
            if (rows_were_lists or pa.types.is_nested(self.arrays[name].type))
            and values != to_python(self.arrays[name])
        }


class LazyBatch(MutableMapping[str, Any]):
    """The columns of some rows, as a dict that converts a column when it is touched; writing adds or replaces one."""

    def __init__(self, block: Block) -> None:
        self._block = block
        self.written: dict[str, Any] = {}
        self.deleted: set[str] = set()

    def __getitem__(self, name: str) -> Any:
        if name in self.written:
            return self.written[name]
        if name in self.deleted:
            raise unknown_columns([name], self)
        return self._read(name)

    def _read(self, name: str) -> Any:
        return self._block.column(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.written[name] = value
        self.deleted.discard(name)

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise unknown_columns([name], self)
        self.written.pop(name, None)
        if name in self._block.arrays:
            self.deleted.add(name)

    def __contains__(self, name: object) -> bool:
        return name in self.written or (name in self._block.arrays and name not in self.deleted)

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self._block.arrays if name not in self.deleted)
        yield from (name for name in self.written if name not in self._block.arrays)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))

    def __or__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**self, **other}

    def __ror__(self, other: Mapping[str, Any]) -> dict[str, Any]:
        return {**other, **self}

    def copy(self) -> dict[str, Any]:
        """A plain dict of everything."""
        return dict(self)


class LazyRow(LazyBatch):
    """One row of a block."""

    def __init__(self, block: Block, place: int) -> None:
        super().__init__(block)
        self._place = place

    def _read(self, name: str) -> Any:
        return self._block.column(name)[self._place]
