"""What a function given to `map` or `filter` sees: rows or batches whose columns are converted when touched."""

from collections.abc import Iterator, Mapping, MutableMapping
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from madang.datasets.formats import View
from madang.datasets.frame import unknown_columns


class Block:
    """Some rows of a table, of which each column becomes Python values (or arrays, by the format) at most once."""

    def __init__(self, arrays: Mapping[str, pa.Array], count: int, view: View) -> None:
        # what the format does not show is left out; else the arrays stay as they came, perhaps not even read
        hidden = view.format.columns is not None and not view.format.others
        self.arrays = {name: arrays[name] for name in arrays if view.shows(name)} if hidden else arrays
        self.count, self.view = count, view
        self.touched: dict[str, Any] = {}

    def column(self, name: str) -> Any:
        """The values of a column."""
        if name not in self.touched:
            if name not in self.arrays:
                raise unknown_columns([name], self.arrays)
            self.touched[name] = self.view.column(self.arrays[name], name)
        return self.touched[name]

    def mutated(self, rows_were_lists: bool) -> dict[str, list[Any]]:
        """Columns whose lists the function changed in place, found by reading them again.

        A row's plain values cannot change in place; a batch's can, being a list of them (`rows_were_lists`).
        """
        if self.view.format.kind is not None:
            return {}
        return {
            name: values
            for name, values in self.touched.items()
            if (rows_were_lists or pa.types.is_nested(self.arrays[name].type))
            and name not in self.view.decoders
            and values != self.view.python(self.arrays[name], name)
        }


class LazyBatch(MutableMapping[str, Any]):
    """The columns of some rows, as a dict that converts a column when it is touched; writing adds or replaces one."""

    # shared by all that nobody wrote into: for a million rows, two dicts less each
    written: Mapping[str, Any] = MappingProxyType({})
    deleted: frozenset[str] = frozenset()

    def __init__(self, block: Block) -> None:
        self.block = block

    def __getitem__(self, name: str) -> Any:
        if name in self.written:
            return self.written[name]
        if name in self.deleted:
            raise unknown_columns([name], self)
        return self.block.column(name)

    def __setitem__(self, name: str, value: Any) -> None:
        self.written = {**self.written, name: value}
        self.deleted -= {name}

    def __delitem__(self, name: str) -> None:
        if name not in self:
            raise unknown_columns([name], self)
        self.written = {other: value for other, value in self.written.items() if other != name}
        if name in self.block.arrays:
            self.deleted |= {name}

    def __contains__(self, name: object) -> bool:
        return name in self.written or (name in self.block.arrays and name not in self.deleted)

    def __iter__(self) -> Iterator[str]:
        yield from (name for name in self.block.arrays if name not in self.deleted)
        yield from (name for name in self.written if name not in self.block.arrays)

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
        self.block, self._place = block, place

    def __getitem__(self, name: str) -> Any:
        if self.written or self.deleted or name not in self.block.touched:
            value = super().__getitem__(name)
            return value if name in self.written else value[self._place]
        return self.block.touched[name][self._place]
