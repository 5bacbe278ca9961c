"""One column of a dataset, read when asked for."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from madang.datasets.frame import ROWS_AT_ONCE, StoredColumn, is_row_number, row_number, row_numbers
from madang.errors import UnknownKeyError, WrongTypeError, nearest

if TYPE_CHECKING:
    from madang.datasets.formats import View


class Column(Sequence[Any]):
    """What `dataset["title"]` gives: it behaves like the list of the column's values, and reads only what is asked for.

    `column[0]` is a value, `column[:5]` a list (an array or tensor under such a format), `column["inner"]` a column
    of a struct's member. It equals a list of the same values and goes wherever a sequence is taken.
    """

    def __init__(self, stored: StoredColumn, name: str, view: "View") -> None:
        self._stored, self._name, self._view = stored, name, view

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, key: Any) -> Any:
        if isinstance(key, str):
            return self._member(key)
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._values(self._stored.slice(start, max(start, stop)))
            return self._values(self._stored.take(np.arange(start, stop, step)))
        if is_row_number(key):
            place = row_number(key, len(self))
            if self._view.is_plain:
                return self._stored.one(place)
            return self._values(self._stored.slice(place, place + 1))[0]
        if hasattr(key, "__iter__"):
            return self._values(self._stored.take(row_numbers(key, len(self))))
        raise WrongTypeError(
            f"a column is indexed by a number, a slice or a list of numbers, not by {type(key).__name__}."
        )

    def __iter__(self) -> Iterator[Any]:
        for start in range(0, len(self), ROWS_AT_ONCE):
            yield from self._values(self._stored.slice(start, min(start + ROWS_AT_ONCE, len(self))))

    def __contains__(self, value: object) -> bool:
        return any(value == own for own in self)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Column):
            return list(self) == list(other)
        if isinstance(other, (list, tuple)):
            return len(self) == len(other) and list(self) == list(other)
        return NotImplemented

    def __add__(self, other: Any) -> list[Any]:
        return [*self, *other]

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self]

    __hash__ = None  # type: ignore[assignment]

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        values = self[:]
        return np.asarray(values, dtype=dtype)

    def __repr__(self) -> str:
        shown = ", ".join(repr(value) for value in list(self[:5]))
        return f"Column([{shown}{', ...' if len(self) > 5 else ''}])"

    def _values(self, array: pa.Array) -> Any:
        return self._view.column(array, self._name)

    def _member(self, name: str) -> "Column":
        kind = self._stored.values.type
        known = [inner.name for inner in kind] if pa.types.is_struct(kind) else []
        if name not in known:
            holds = f"it is a struct of {known}" if known else f"its values are {kind}, no struct"
            raise UnknownKeyError(f"column {self._name!r} has no member {name!r}: {holds}.{nearest(name, known)}")
        import pyarrow.compute as pc

        values = pc.struct_field(self._stored.values, name)
        return Column(StoredColumn(values, self._stored.rows), self._name, self._view)
