"""As what the rows of a dataset come out: Python objects, numpy arrays, tensors, tables, what a function makes of them.

A `Format` is the setting; a `View` is a format at work on the features of one table.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from madang.datasets.features import decoder
from madang.datasets.values import to_jax, to_numpy, to_polars, to_python, to_torch
from madang.errors import InputError, WrongTypeError, unknown_name

_NAMES = {
    "python": None,
    "np": "numpy",
    "numpy": "numpy",
    "pt": "torch",
    "torch": "torch",
    "pytorch": "torch",
    "pd": "pandas",
    "pandas": "pandas",
    "pl": "polars",
    "polars": "polars",
    "pa": "arrow",
    "arrow": "arrow",
    "pyarrow": "arrow",
    "jax": "jax",
    "custom": "custom",
}
_OPTIONS: dict[str | None, tuple[str, ...]] = {
    "numpy": ("dtype",),
    "torch": ("dtype", "device"),
    "jax": ("dtype", "device"),
    "custom": ("transform",),
}
_ARRAYS: dict[str, Callable[..., Any]] = {"numpy": to_numpy, "torch": to_torch, "jax": to_jax}


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
        options |= options.pop("format_kwargs", {})  # set_format(**dataset.format)
        if kind == "custom" and not callable(options.get("transform")):
            raise InputError(
                "the format 'custom' needs transform=, a function; `set_transform(function)` says the same."
            )
        for option in options:
            if option not in _OPTIONS.get(kind, ()):
                raise unknown_name(f"option of the format {name!r}", option, _OPTIONS.get(kind, ()))
        return cls(kind, None if columns is None else tuple(columns), others, options)

    def shows(self, name: str) -> bool:
        """Whether the column comes out at all."""
        return self.columns is None or name in self.columns or self.others

    def with_columns(self, columns: tuple[str, ...] | None) -> "Format":
        """The same, showing other columns."""
        return replace(self, columns=columns)


class View:
    """Arrow arrays of columns that hold `features`, as `format` shows them."""

    def __init__(self, format: Format, features: Mapping[str, Any]) -> None:  # noqa: A002
        self.format, self.features = format, features
        self.decoders = {name: decode for name, feature in features.items() if (decode := decoder(feature)) is not None}

    @property
    def is_table(self) -> bool:
        """Whether rows come out as one table (pandas, polars, Arrow) instead of a dict of columns."""
        return self.format.kind in ("pandas", "polars", "arrow")

    @property
    def is_plain(self) -> bool:
        """Whether rows come out as Python objects that need no decoding."""
        return self.format.kind is None and not self.decoders

    def shows(self, name: str) -> bool:
        """Whether the column comes out at all."""
        return self.format.shows(name)

    def python(self, array: pa.Array, name: str) -> list[Any]:
        """A column's values as Python objects, images and the like decoded."""
        values = to_python(array)
        decode = self.decoders.get(name)
        return values if decode is None else [None if value is None else decode(value) for value in values]

    def column(self, array: pa.Array, name: str) -> Any:
        """A column's values."""
        kind = self.format.kind if self.format.columns is None or name in self.format.columns else None
        if kind in _ARRAYS:
            given = self.python(array, name) if name in self.decoders else array
            return _ARRAYS[kind](given, name, **self.format.options)
        if kind == "arrow":
            return array
        if kind == "pandas":
            return array.to_pandas() if name not in self.decoders else _series(self.python(array, name))
        if kind == "polars":
            return to_polars(array, name)
        if kind == "custom":
            made = self._transformed({name: array})
            if name not in made:
                raise InputError(f"the transform returns no column {name!r}, but {list(made)}.")
            return made[name]
        return self.python(array, name)

    def batch(self, arrays: Mapping[str, pa.Array]) -> Any:
        """Several rows: a dict of columns, or a table."""
        shown = {name: array for name, array in arrays.items() if self.shows(name)}
        kind = self.format.kind
        if kind == "custom":
            return self._transformed(shown)
        if kind == "pandas":
            return self.frame(shown)
        if self.is_table:
            table = pa.table(shown)
            return to_polars(table) if kind == "polars" else table
        return {name: self.column(array, name) for name, array in shown.items()}

    def frame(self, arrays: Mapping[str, pa.Array | pa.ChunkedArray]) -> Any:
        """A pandas DataFrame; decoded values are objects in it."""
        import pandas

        plain = pa.table({name: array for name, array in arrays.items() if name not in self.decoders}).to_pandas()
        decoded = {n: _series(self.python(array, n)) for n, array in arrays.items() if n in self.decoders}
        return plain if not decoded else pandas.DataFrame({n: decoded[n] if n in decoded else plain[n] for n in arrays})

    def row(self, arrays: Mapping[str, pa.Array]) -> Any:
        """One row, from arrays of length one: a dict of values, or a table of one row."""
        batch = self.batch(arrays)
        return batch if self.is_table else {name: values[0] for name, values in batch.items()}

    def rows(self, arrays: Mapping[str, pa.Array], count: int) -> list[Any]:
        """Several rows, each on its own."""
        batch = self.batch(arrays)
        if self.format.kind == "pandas":
            return [batch.iloc[place : place + 1] for place in range(count)]
        if self.is_table:
            return [batch.slice(place, 1) for place in range(count)]
        names = list(batch)
        if not names:
            return [{} for _ in range(count)]
        return [dict(zip(names, values, strict=True)) for values in zip(*batch.values(), strict=True)]

    def _transformed(self, arrays: Mapping[str, pa.Array]) -> dict[str, Any]:
        """What the user's function makes of a batch; columns outside `columns` join it unchanged where asked for."""
        inside = {n: a for n, a in arrays.items() if self.format.columns is None or n in self.format.columns}
        made = self.format.options["transform"]({name: self.python(array, name) for name, array in inside.items()})
        if not isinstance(made, Mapping):
            raise WrongTypeError(f"a transform returns a dict of columns, not {type(made).__name__}.")
        rest = {name: self.python(array, name) for name, array in arrays.items() if name not in inside}
        return {**made, **{name: values for name, values in rest.items() if name not in made}}


def _series(values: list[Any]) -> Any:
    import pandas

    return pandas.Series(values, dtype=object)
