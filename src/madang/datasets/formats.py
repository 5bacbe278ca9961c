"""The format of a dataset: as what its rows come out. Python objects, numpy arrays, tensors, pandas or Arrow."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from madang.datasets.values import to_numpy, to_python, to_torch
from madang.errors import unknown_name

_NAMES = {
    "python": None,
    "np": "numpy",
    "numpy": "numpy",
    "pt": "torch",
    "torch": "torch",
    "pytorch": "torch",
    "pd": "pandas",
    "pandas": "pandas",
    "pa": "arrow",
    "arrow": "arrow",
    "pyarrow": "arrow",
}


@dataclass(frozen=True)
class Format:
    """What rows come out as; `columns` (all when None) limits them, `others` adds the rest as Python objects."""

    kind: str | None = None
    columns: tuple[str, ...] | None = None
    others: bool = False
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def named(
        cls, name: str | None, columns: Any = None, others: bool = False, options: Mapping[str, Any] | None = None
    ) -> "Format":
        """The format that `with_format(name)` means, under any of its spellings."""
        if name is not None and name not in _NAMES:
            raise unknown_name("format", str(name), _NAMES)
        kind = None if name is None else _NAMES[name]
        options = dict(options or {})
        for option in options:
            if option != "dtype" or kind not in ("numpy", "torch"):
                raise unknown_name(
                    f"option of the format {name!r}", option, ["dtype"] if kind in ("numpy", "torch") else []
                )
        return cls(kind, None if columns is None else tuple(columns), others, options)

    def shows(self, name: str) -> bool:
        """Whether the column comes out at all."""
        return self.columns is None or name in self.columns or self.others

    @property
    def is_table(self) -> bool:
        """Whether rows come out as one table (pandas, Arrow) instead of a dict of columns."""
        return self.kind in ("pandas", "arrow")

    def column(self, array: pa.Array, name: str) -> Any:
        """A column's values."""
        kind = self.kind if self.columns is None or name in self.columns else None
        if kind == "torch":
            return to_torch(array, name, **self.options)
        if kind == "numpy":
            return to_numpy(array, name, **self.options)
        if kind == "arrow":
            return array
        if kind == "pandas":
            return array.to_pandas()
        return to_python(array)

    def batch(self, arrays: Mapping[str, pa.Array]) -> Any:
        """Several rows: a dict of columns, or a table."""
        shown = {name: array for name, array in arrays.items() if self.shows(name)}
        if self.is_table:
            table = pa.table(shown)
            return table.to_pandas() if self.kind == "pandas" else table
        return {name: self.column(array, name) for name, array in shown.items()}

    def row(self, arrays: Mapping[str, pa.Array]) -> Any:
        """One row, from arrays of length one: a dict of values, or a table of one row."""
        batch = self.batch(arrays)
        return batch if self.is_table else {name: values[0] for name, values in batch.items()}

    def rows(self, arrays: Mapping[str, pa.Array], count: int) -> list[Any]:
        """Several rows, each on its own."""
        batch = self.batch(arrays)
        if self.kind == "arrow":
            return [batch.slice(place, 1) for place in range(count)]
        if self.kind == "pandas":
            return [batch.iloc[place : place + 1] for place in range(count)]
        names = list(batch)
        if not names:
            return [{} for _ in range(count)]
        return [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]
