"""What the columns hold so far, over blocks of rows and over files: types widen, and what cannot is told."""

from collections.abc import Callable, Iterable

import pyarrow as pa

from madang.datasets.readers.files import DataFile, StartOver
from madang.errors import DatasetGenerationError
from madang.notices import notice

# the line, the row and the value at which a column of a file stops being what it was
Place = tuple[int, int, str]


class Columns:
    """The types of the columns that were read, and the file that first had each.

    `texts` are columns that are text whatever they look like. With `guessed` types, as those of CSV cells, a column
    of one file that is neither this nor that is text.
    """

    def __init__(self, texts: Iterable[str] = (), *, guessed: bool = False) -> None:
        self._guessed = guessed
        self.texts = frozenset(texts)
        self.types: dict[str, pa.DataType] = {}
        self._files: dict[str, DataFile] = {}
        self._first: tuple[DataFile, list[str]] | None = None
        self._told: set[str] = set()

    def settle(
        self, schema: pa.Schema, file: DataFile, find: Callable[[DataFile, str, pa.DataType], Place | None]
    ) -> None:
        """Take in the columns of a block of `file`. `find` looks for the place where a column changes.

        Raises DatasetGenerationError where two files hold what does not go together, StartOver where one file does.
        """
        for field in schema:
            known = pa.string() if field.name in self.texts else self.types.get(field.name)
            wider = field.type if known is None else widened(known, field.type)
            if wider is None:
                assert known is not None
                self._refuse(field.name, known, field.type, file, find)
                raise StartOver([field.name])
            self.types[field.name] = wider
            if field.name not in self._files and not pa.types.is_null(field.type):
                self._files[field.name] = file

    def compare(self, names: list[str], file: DataFile) -> None:
        """Tell, once for each, of columns that one file has and another lacks; they are empty there."""
        if self._first is None:
            self._first = (file, names)
            return
        first, had = self._first
        for name in [name for name in (*had, *names) if (name in had) != (name in names)]:
            if name not in self._told:
                self._told.add(name)
                has, lacks = (first, file) if name in had else (file, first)
                notice(f"column {name!r} of {has.name} is missing in {lacks.name}; it is empty (None) there.")

    def _refuse(
        self,
        name: str,
        known: pa.DataType,
        found: pa.DataType,
        file: DataFile,
        find: Callable[[DataFile, str, pa.DataType], Place | None],
    ) -> None:
        """The error for a column that another file began; none when it began in the same file and can become text."""
        first = self._files.get(name, file)
        # texts of which some look like a date
        if any(pa.types.is_temporal(kind) for kind in (known, found)) and pa.string() in (known, found):
            return
        if first == file and self._guessed and not any(pa.types.is_nested(kind) for kind in (known, found)):
            return
        place = find(file, name, known)
        line, row, value = place or (0, 0, "")
        where = f", line {line} (row {row})" if place else ""
        example = f" there, for example {value}" if place else " there"
        before = "before that" if first == file else f"in {first.name}"
        raise DatasetGenerationError(
            f"{file.name}{where}: column {name!r} is {found}{example}, but {known} {before}. Make the data agree, or "
            f"pass features= to say what the columns hold (Value('string') takes every value as text)."
        )


def widened(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """The type that holds the values of both, or None when there is none but text."""
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if _number(one) and _number(other):
        if pa.types.is_floating(one) or pa.types.is_floating(other):
            return pa.float64()
        return pa.int64()
    if pa.types.is_nested(one) and pa.types.is_nested(other):
        return _nested(one, other)
    return None


def _nested(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    if pa.types.is_list(one) and pa.types.is_list(other):
        inner = widened(one.value_type, other.value_type)
        return None if inner is None else pa.list_(inner)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        kinds = {field.name: field.type for field in one}
        for field in other:
            kind = widened(kinds.get(field.name, pa.null()), field.type)
            if kind is None:
                return None
            kinds[field.name] = kind
        return pa.struct(kinds)
    return None


def _number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
