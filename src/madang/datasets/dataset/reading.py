"""Looking at a dataset and reading its rows."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, overload

import numpy as np
import pyarrow as pa

from madang.datasets.cast import marked
from madang.datasets.column import Column
from madang.datasets.features import Features, arrow_type
from madang.datasets.fingerprint import UnhashableError
from madang.datasets.fingerprint import key as fingerprint_key
from madang.datasets.formats import Format, View
from madang.datasets.frame import (
    ROWS_AT_ONCE,
    Frame,
    StoredColumn,
    is_row_number,
    row_number,
    row_numbers,
    unknown_columns,
)
from madang.datasets.recipe import Recipe
from madang.datasets.values import lengths
from madang.datasets.writer import fitted
from madang.errors import InputError, WrongTypeError

if TYPE_CHECKING:
    from madang.datasets.info import DatasetInfo

Names = str | Sequence[str]


def _told(name: str) -> property:
    return property(lambda dataset: getattr(dataset.info, name), doc=f"`info.{name}`")


class Reading:
    """What every dataset can be asked; how it is kept."""

    def __init__(
        self,
        arrow_table: pa.Table | Frame,
        info: "DatasetInfo | None" = None,
        split: Any = None,
        *,
        fingerprint: str | Recipe | None = None,
        features: Features | None = None,
        format: Format | None = None,  # noqa: A002
    ) -> None:
        features = features if features is not None or info is None else info.features
        if isinstance(arrow_table, Frame):
            frame = arrow_table
            known = features or Features()
            features = Features(
                {n: known[n] if n in known else _feature(n, column) for n, column in frame.columns.items()}
            )
        else:
            features = features or Features.from_arrow_schema(arrow_table.schema)
            frame = with_marks(Frame.from_table(arrow_table), features)
        self._frame, self._features, self._info = frame, features, info
        self.split = split
        self._format = format or Format()
        self._recipe = fingerprint if isinstance(fingerprint, Recipe) else Recipe.beginning(fingerprint)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing has to be closed: a memory map ends with the last array that uses it."""

    # ---- looking

    @property
    def features(self) -> Features:
        """What each column holds; a dict of your own, changing it changes no dataset."""
        return Features(self._features)

    @property
    def info(self) -> "DatasetInfo":
        """What is known of the dataset beside its rows: description, licence, splits, …"""
        from madang.datasets.info import DatasetInfo

        if self._info is None:
            self._info = DatasetInfo()
        self._info.features = self.features
        return self._info

    # what `info` says, under names of their own
    builder_name, config_name, dataset_size = _told("builder_name"), _told("config_name"), _told("dataset_size")
    description, citation, homepage = _told("description"), _told("citation"), _told("homepage")
    download_size, size_in_bytes = _told("download_size"), _told("size_in_bytes")
    license, version = _told("license"), _told("version")

    @property
    def data(self) -> pa.Table:
        """The rows as one Arrow table; its schema carries the features."""
        return self._frame.table().replace_schema_metadata(self._features.arrow_schema.metadata)

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return list(self._frame.columns)

    @property
    def num_rows(self) -> int:
        """How many rows there are."""
        return self._frame.num_rows

    @property
    def num_columns(self) -> int:
        """How many columns there are."""
        return len(self._frame.columns)

    @property
    def shape(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.num_rows, self.num_columns

    @property
    def format(self) -> dict[str, Any]:
        """As what rows come out: type, columns, options."""
        shown = self._format.columns
        return {
            "type": self._format.kind,
            "format_kwargs": dict(self._format.options),
            "columns": self.column_names if shown is None else list(shown),
            "output_all_columns": self._format.others,
        }

    @property
    def cache_files(self) -> list[dict[str, str]]:
        """The files that rows are memory-mapped from; none for a dataset in memory."""
        origins = (origin for column in self._frame.columns.values() for origin in column.origins or ())
        return [{"filename": file} for file in dict.fromkeys(origin.file for origin in origins)]

    @property
    def _fingerprint(self) -> str:
        look = self._format
        if look == Format():
            return self._recipe.key
        try:
            return fingerprint_key(self._recipe.key, look.kind, look.columns, look.others, dict(look.options))
        except UnhashableError:  # a transform that nothing can be said of: another one each time
            return Recipe.beginning().key

    # other libraries reach for these names

    @property
    def _data(self) -> pa.Table:
        return self.data

    @property
    def _indices(self) -> pa.Table | None:
        rows = next((column.rows for column in self._frame.columns.values() if column.rows is not None), None)
        return None if rows is None else pa.table({"indices": pa.array(rows, pa.uint64())})

    @property
    def _format_type(self) -> str | None:
        return self._format.kind

    @property
    def _format_columns(self) -> list[str] | None:
        return None if self._format.columns is None else list(self._format.columns)

    @_format_columns.setter
    def _format_columns(self, names: Sequence[str] | None) -> None:
        self._set_format(self._format.with_columns(None if names is None else tuple(names)))

    @property
    def _format_kwargs(self) -> dict[str, Any]:
        return dict(self._format.options)

    @property
    def _output_all_columns(self) -> bool:
        return self._format.others

    @property
    def _cache_folder(self) -> Path | None:
        """Where results computed from these rows are kept; None when the rows are in memory."""
        files = self.cache_files
        if not files:
            return None
        folder = Path(files[0]["filename"]).parent
        return folder.parent if folder.name.startswith("cache-") else folder

    def __len__(self) -> int:
        return self.num_rows

    def __repr__(self) -> str:
        return f"Dataset({{\n    features: {self.column_names},\n    num_rows: {self.num_rows}\n}})"

    # ---- reading

    @overload
    def __getitem__(self, key: str) -> Column: ...
    @overload
    def __getitem__(self, key: Any) -> dict[str, Any]: ...

    def __getitem__(self, key: Any) -> Any:
        """A row by number, several by slice or list (as a dict of columns), a column by name."""
        if type(key) is int and 0 <= key < self._frame.num_rows:  # what most code does, most often
            return self._row(key)
        if is_row_number(key):
            return self._row(row_number(key, len(self)))
        if isinstance(key, str):
            column = Column(self._frame.column(key), key, self._view)
            return column[:] if self._view.is_table else column
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._view.batch(self._shown.slice(start, max(start, stop)))
            return self._view.batch(self._shown.take(np.arange(start, stop, step)))
        if isinstance(key, Iterable):
            return self._view.batch(self._shown.take(row_numbers(key, len(self))))
        raise WrongTypeError(
            f"a dataset is indexed by a row number, a slice, a list of row numbers or a column name, not by {key!r} "
            f"({type(key).__name__})."
        )

    def _row(self, place: int) -> Any:
        if self._view.is_plain:
            return {name: column.one(place) for name, column in self._shown.columns.items()}
        return self._view.row(self._shown.slice(place, place + 1))

    def __getitems__(self, keys: Sequence[int]) -> list[Any]:
        """The rows at `keys`, each on its own: what a torch DataLoader calls for a batch."""
        rows = row_numbers(keys, len(self))
        return self._view.rows(self._shown.take(rows), len(rows))

    def __iter__(self) -> Iterator[Any]:
        view, frame = self._view, self._shown
        for start, stop in frame.blocks(ROWS_AT_ONCE):
            yield from view.rows(frame.slice(start, stop), stop - start)

    def iter(self, batch_size: int, drop_last_batch: bool = False) -> Iterator[Any]:
        """Batches of rows, each a dict of columns."""
        if batch_size < 1:
            raise InputError(f"batch_size is the number of rows in a batch, at least 1, not {batch_size}.")
        view, frame = self._view, self._shown
        # rows that lie scattered are gathered many at once, and batches are slices of what was gathered
        for start, stop in frame.blocks(max(1, ROWS_AT_ONCE // batch_size) * batch_size):
            arrays = frame.slice(start, stop)
            for place in range(0, stop - start, batch_size):
                if not drop_last_batch or start + place + batch_size <= frame.num_rows:
                    yield view.batch({name: array.slice(place, batch_size) for name, array in arrays.items()})

    def arrow_batches(self, batch_size: int = 10 * ROWS_AT_ONCE) -> Iterator[pa.Table]:
        """The rows in order as Arrow tables, whose schema carries the features."""
        schema = self._features.arrow_schema
        for start, stop in self._frame.blocks(batch_size):
            columns = {name: pa.chunked_array([array]) for name, array in self._frame.slice(start, stop).items()}
            yield fitted(columns, stop - start, self._features, schema)

    def unique(self, column: str) -> list[Any]:
        """The distinct values of a column, in the order of their first appearance."""
        values: list[Any] = self._frame.column(column).whole().unique().to_pylist()
        return values

    def lengths(self, column: str) -> np.ndarray[Any, Any]:
        """How long each row's list or text is, read from Arrow's offsets: no row becomes a Python object."""
        stored = self._frame.column(column)
        found = np.concatenate([np.empty(0, dtype=np.int64), *(lengths(chunk) for chunk in stored.values.chunks)])
        return found if stored.rows is None else found[stored.rows]

    # ---- formats

    def with_format(
        self,
        type: str | None = None,  # noqa: A002
        columns: Names | None = None,
        output_all_columns: bool = False,
        **options: Any,
    ) -> Self:
        """The same rows, coming out as `type`: 'torch', 'numpy', 'pandas', 'polars', 'arrow', 'jax', or None for
        Python objects.

        `columns` limits what comes out, `output_all_columns=True` adds the rest as Python objects. Of the options,
        numpy and torch know `dtype=`, torch and jax `device=`.
        """
        return self._with(self._frame, format=Format.named(type, self._known(columns), output_all_columns, options))

    def set_format(
        self,
        type: str | None = None,  # noqa: A002
        columns: Names | None = None,
        output_all_columns: bool = False,
        **options: Any,
    ) -> None:
        """Like `with_format`, but this dataset itself is changed."""
        self._set_format(Format.named(type, self._known(columns), output_all_columns, options))

    def reset_format(self) -> None:
        """Rows of this dataset come out as Python objects again."""
        self._set_format(Format())

    @contextmanager
    def formatted_as(
        self,
        type: str | None = None,  # noqa: A002
        columns: Names | None = None,
        output_all_columns: bool = False,
        **options: Any,
    ) -> Iterator[None]:
        """`set_format` until the `with` block ends."""
        before = self._format
        self.set_format(type, columns, output_all_columns, **options)
        try:
            yield
        finally:
            self._set_format(before)

    def with_transform(self, transform: Any, columns: Names | None = None, output_all_columns: bool = False) -> Self:
        """The same rows, each batch of columns passed through `transform` at the moment it is read."""
        return self.with_format("custom", columns, output_all_columns, transform=transform)

    def set_transform(self, transform: Any, columns: Names | None = None, output_all_columns: bool = False) -> None:
        """Like `with_transform`, but this dataset itself is changed."""
        self.set_format("custom", columns, output_all_columns, transform=transform)

    # ---- inside

    @cached_property
    def _view(self) -> View:
        return View(self._format, self._features)

    @cached_property
    def _shown(self) -> Frame:
        """The columns that the format shows."""
        if self._format.columns is None or self._format.others:
            return self._frame
        return self._frame.only([name for name in self.column_names if self._format.shows(name)])

    def _set_format(self, format: Format) -> None:  # noqa: A002
        self._format = format
        for cached in ("_view", "_shown"):
            self.__dict__.pop(cached, None)

    def _with(
        self,
        frame: Frame,
        features: Mapping[str, Any] | None = None,
        format: Format | None = None,  # noqa: A002
        recipe: Recipe | None = None,
    ) -> Self:
        """A dataset like this one over another frame; features follow the columns, the format forgets lost ones."""
        features = features or self._features
        shown = format or self._format
        if shown.columns is not None and any(name not in frame.columns for name in shown.columns):
            shown = shown.with_columns(tuple(name for name in shown.columns if name in frame.columns))
        return type(self)(
            frame,
            self._info and self._info.copy(),
            self.split,
            fingerprint=recipe or self._recipe,
            features=Features({name: features[name] for name in frame.columns}),
            format=shown,
        )

    def _with_columns(
        self,
        columns: Mapping[str, StoredColumn],
        features: Mapping[str, Any] | None = None,
        recipe: Recipe | None = None,
    ) -> Self:
        """These columns added or replaced; an old feature stays where it fits, new columns join the format."""
        frame = self._frame.with_columns(columns)
        known = dict(self._features)
        for name, column in columns.items():
            fits = name in known and arrow_type(known[name]).equals(column.values.type)
            known[name] = known[name] if fits else _feature(name, column)
        shown = self._format
        if shown.columns is not None:
            shown = shown.with_columns((*shown.columns, *(name for name in columns if name not in self._features)))
        return self._with(frame, {**known, **(features or {})}, shown, recipe)

    def _known(self, names: Any) -> Any:
        """`names` as a list of columns that exist; None stays None."""
        if names is None:
            return None
        names = [names] if isinstance(names, str) else list(names)
        missing = [name for name in names if name not in self._frame.columns]
        if missing:
            raise unknown_columns(missing, self.column_names, f"Column name {missing} not in the dataset.")
        return names


def with_marks(frame: Frame, features: Mapping[str, Any]) -> Frame:
    """Columns of arrays as the Arrow type that carries their shape: files keep them as plain lists."""
    marks = {
        name: replace(column, values=marked(column.values, features[name]))
        for name, column in frame.columns.items()
        if isinstance(arrow_type(features[name]), pa.BaseExtensionType)
    }
    return frame.with_columns(marks) if marks else frame


def _feature(name: str, column: StoredColumn) -> Any:
    """What Arrow itself knows of a column."""
    return Features.from_arrow_schema(pa.schema([(name, column.values.type)]))[name]
