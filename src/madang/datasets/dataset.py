"""A table of examples."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np
import pyarrow as pa

from madang.datasets import mapping, split
from madang.datasets.cast import cast
from madang.datasets.column import Column
from madang.datasets.features import ClassLabel, Features, arrow_type
from madang.datasets.formats import Format
from madang.datasets.frame import (
    ROWS_AT_ONCE,
    Frame,
    StoredColumn,
    is_row_number,
    row_number,
    row_numbers,
    unknown_columns,
)
from madang.datasets.values import lengths, to_arrow
from madang.errors import InputError, WrongTypeError

Names = str | Sequence[str]


class Dataset:
    """A table of examples: every row is a dict, every column has a type, and every step returns a new dataset.

    >>> data = Dataset.from_dict({"title": ["goal!", "rates rise"], "label": [1, 0]})
    >>> data[0]
    {'title': 'goal!', 'label': 1}
    >>> data.map(lambda row: {"length": len(row["title"])})["length"]
    Column([5, 10])

    Values stay in Arrow; they become Python objects when rows are read, and only those that are read.
    """

    def __init__(
        self,
        table: pa.Table | Frame,
        features: Features | None = None,
        split: str | None = None,
        format: Format | None = None,  # noqa: A002
    ) -> None:
        if isinstance(table, Frame):
            assert features is not None
        else:
            features = features or Features.from_arrow_schema(table.schema)
            table = Frame.from_table(table)
        self._frame, self._features = table, features
        self.split = split
        self._format = format or Format()

    # ---- making one

    @classmethod
    def from_dict(
        cls, columns: Mapping[str, Any], features: Features | None = None, split: str | None = None
    ) -> "Dataset":
        """From a dict of columns: lists, numpy arrays, tensors. Types are inferred unless `features` gives them."""
        arrays = {str(name): to_arrow(values, str(name)) for name, values in columns.items()}
        frame = Frame({name: StoredColumn(pa.chunked_array([array])) for name, array in arrays.items()})
        made = cls(frame, _features_of(frame), split)
        return made if features is None else made.cast(features)

    @classmethod
    def from_list(
        cls, rows: Sequence[Mapping[str, Any]], features: Features | None = None, split: str | None = None
    ) -> "Dataset":
        """From a list of dicts, one per row; a key that a row lacks is an empty cell there."""
        names = list(dict.fromkeys(name for row in rows for name in row))
        return cls.from_dict({name: [row.get(name) for row in rows] for name in names}, features, split)

    @classmethod
    def from_pandas(
        cls, table: Any, features: Features | None = None, split: str | None = None, preserve_index: bool | None = None
    ) -> "Dataset":
        """From a pandas DataFrame. A named or unusual index becomes a column unless `preserve_index` is False."""
        arrow = pa.Table.from_pandas(table, preserve_index=preserve_index).replace_schema_metadata(None)
        plain = pa.schema([(column.name, _plain_type(column.type)) for column in arrow.schema])
        made = cls(arrow.cast(plain), split=split)
        return made if features is None else made.cast(features)

    @classmethod
    def from_csv(
        cls, paths: Any, split: str | None = None, features: Features | None = None, **options: Any
    ) -> "Dataset":
        """From one CSV file or a list of them; the options are those of `madang.datasets.readers.csv.read`."""
        return _read("csv", cls, paths, split, features, options)

    @classmethod
    def from_json(
        cls, paths: Any, split: str | None = None, features: Features | None = None, **options: Any
    ) -> "Dataset":
        """From files with one JSON object per line, or with one list of objects (`field=` names where it lies)."""
        return _read("json", cls, paths, split, features, options)

    @classmethod
    def from_parquet(
        cls, paths: Any, split: str | None = None, features: Features | None = None, **options: Any
    ) -> "Dataset":
        """From one Parquet file or a list of them; `columns=` reads only those."""
        return _read("parquet", cls, paths, split, features, options)

    @classmethod
    def from_text(
        cls, paths: Any, split: str | None = None, features: Features | None = None, **options: Any
    ) -> "Dataset":
        """From text files: every line is a row of the column `text`."""
        return _read("text", cls, paths, split, features, options)

    # ---- looking

    @property
    def features(self) -> Features:
        """What each column holds."""
        return self._features

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
        shown = list(self._format.columns) if self._format.columns is not None else self.column_names
        options = dict(self._format.options)
        return {
            "type": self._format.kind,
            "format_kwargs": options,
            "columns": shown,
            "output_all_columns": self._format.others,
        }

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
        if isinstance(key, str):
            column = Column(self._frame.column(key), key, self._format)
            return column[:] if self._format.is_table else column
        if isinstance(key, slice):
            start, stop, step = key.indices(len(self))
            if step == 1:
                return self._format.batch(self._shown().slice(start, max(start, stop)))
            return self._format.batch(self._shown().take(np.arange(start, stop, step)))
        if is_row_number(key):
            place = row_number(key, len(self))
            return self._format.row(self._shown().slice(place, place + 1))
        if isinstance(key, Iterable):
            return self._format.batch(self._shown().take(row_numbers(key, len(self))))
        raise WrongTypeError(
            f"a dataset is indexed by a row number, a slice, a list of row numbers or a column name, not by {key!r} "
            f"({type(key).__name__})."
        )

    def __getitems__(self, places: Sequence[int]) -> list[Any]:
        """The rows at `places`, each on its own: what a torch DataLoader calls for a batch."""
        rows = row_numbers(places, len(self))
        return self._format.rows(self._shown().take(rows), len(rows))

    def __iter__(self) -> Iterator[Any]:
        frame = self._shown()
        for start, stop in frame.blocks(ROWS_AT_ONCE):
            yield from self._format.rows(frame.slice(start, stop), stop - start)

    def iter(self, batch_size: int, drop_last_batch: bool = False) -> Iterator[Any]:
        """Batches of rows, each a dict of columns."""
        frame = self._shown()
        for start, stop in frame.blocks(batch_size):
            if not drop_last_batch or stop - start == batch_size:
                yield self._format.batch(frame.slice(start, stop))

    def unique(self, column: str) -> list[Any]:
        """The distinct values of a column, in the order of their first appearance."""
        values: list[Any] = self._frame.column(column).whole().unique().to_pylist()
        return values

    def lengths(self, column: str) -> np.ndarray[Any, Any]:
        """How long each row's list or text is, read from Arrow's offsets: no row becomes a Python object."""
        blocks = [lengths(self._frame.column(column).slice(start, stop)) for start, stop in self._frame.blocks(100_000)]
        return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.int64)

    def _shown(self) -> Frame:
        """The columns that the format shows."""
        if self._format.columns is None or self._format.others:
            return self._frame
        return self._frame.only([name for name in self.column_names if self._format.shows(name)])

    # ---- columns

    def remove_columns(self, column_names: Names) -> "Dataset":
        """Without these columns."""
        gone = self._known(column_names)
        return self._with(self._frame.only(name for name in self.column_names if name not in gone))

    def select_columns(self, column_names: Names) -> "Dataset":
        """With only these columns, in this order."""
        return self._with(self._frame.only(self._known(column_names)))

    def rename_column(self, original_column_name: str, new_column_name: str) -> "Dataset":
        """The same with one column called otherwise."""
        return self.rename_columns({original_column_name: new_column_name})

    def rename_columns(self, column_mapping: Mapping[str, str] | Sequence[str]) -> "Dataset":
        """The same with columns called otherwise: {old: new}, or all new names in order."""
        if not isinstance(column_mapping, Mapping):
            column_mapping = dict(zip(self.column_names, column_mapping, strict=True))
        missing = [name for name in column_mapping if name not in self._frame.columns]
        if missing:
            said = f"Original column name {', '.join(missing)} not in the dataset."
            raise unknown_columns(missing, self.column_names, said)
        names = [column_mapping.get(name, name) for name in self.column_names]
        twice = sorted({name for name in names if names.count(name) > 1 or not name})
        if twice:
            raise InputError(
                f"New column name {', '.join(twice)} already in the dataset. Current columns: {self.column_names}"
            )
        columns = dict(zip(names, self._frame.columns.values(), strict=True))
        features = Features(zip(names, self._features.values(), strict=True))
        return self._with(Frame(columns, self.num_rows), features, self._renamed_format(column_mapping))

    def add_column(self, name: str, column: Any, feature: Any = None) -> "Dataset":
        """With one more column, given as a list, array or tensor of one value per row."""
        if name in self._frame.columns:
            raise InputError(f"The table can't have duplicated columns, but it already has a column {name!r}.")
        values = pa.chunked_array([to_arrow(column, name)])
        if len(values) != len(self):
            raise InputError(f"the new column {name!r} has {len(values)} values for {len(self)} rows.")
        made = self._with_arrays({name: values})
        return made if feature is None else made.cast_column(name, feature)

    def cast_column(self, column: str, feature: Any) -> "Dataset":
        """The same with one column stored as another feature: `ClassLabel(names=[…])` for a column of names."""
        values = cast(self._frame.column(column).whole(), feature, column)
        return self._with(
            self._frame.with_columns({column: StoredColumn(values)}), Features({**self._features, column: feature})
        )

    def cast(self, features: Features) -> "Dataset":
        """The same with all columns stored as `features` says; it names every column, in any order."""
        if set(features) != set(self.column_names):
            raise InputError(
                f"The columns in features ({list(features)}) must be identical as the columns in the dataset: "
                f"{self.column_names}"
            )
        made = self
        for name, feature in features.items():
            if feature != self._features[name]:
                made = made.cast_column(name, feature)
        return made.select_columns(list(features))

    def class_encode_column(self, column: str, include_nulls: bool = False) -> "Dataset":
        """A column of names (or numbers) as a ClassLabel; the classes are its distinct values in sorted order."""
        stored = self._frame.column(column).whole()
        names = sorted(str(value) for value in stored.unique().to_pylist() if value is not None or include_nulls)
        texts = pa.chunked_array(
            [[str(v) if v is not None or include_nulls else None for v in stored.to_pylist()]], pa.string()
        )
        feature = ClassLabel(names=names)
        frame = self._frame.with_columns({column: StoredColumn(cast(texts, feature, column))})
        return self._with(frame, Features({**self._features, column: feature}))

    # ---- rows

    def select(self, indices: Iterable[int]) -> "Dataset":
        """The rows at `indices`, in that order; nothing is copied."""
        if isinstance(indices, range) and indices.step == 1 and 0 <= indices.start <= indices.stop <= len(self):
            return self._with(self._frame.cut(indices.start, indices.stop))
        return self._with(self._frame.chosen(row_numbers(indices, len(self))))

    def take(self, n: int) -> "Dataset":
        """The first `n` rows."""
        return self.select(range(min(n, len(self))))

    def skip(self, n: int) -> "Dataset":
        """All but the first `n` rows."""
        return self.select(range(min(n, len(self)), len(self)))

    def shuffle(self, seed: int | None = None, generator: np.random.Generator | None = None) -> "Dataset":
        """The rows in random order; the same order for the same seed."""
        return self.select(_random(seed, generator).permutation(len(self)))

    def sort(
        self, column_names: Names, reverse: bool | Sequence[bool] = False, null_placement: str = "at_end"
    ) -> "Dataset":
        """The rows in the order of one column, or of several; empty cells come `at_end` or `at_start`."""
        import pyarrow.compute as pc

        names = self._known(column_names)
        falling = [reverse] * len(names) if isinstance(reverse, bool) else list(reverse)
        if len(falling) != len(names):
            raise InputError(f"reverse has {len(falling)} entries for {len(names)} columns.")
        if null_placement not in ("at_end", "at_start"):
            raise InputError(f"null_placement is 'at_end' or 'at_start', not {null_placement!r}.")
        # an extra key in front says which cells are empty; without it Arrow puts these last
        empty_first = null_placement == "at_start"
        table, keys = {}, []
        for place, (name, down) in enumerate(zip(names, falling, strict=True)):
            values = self._frame.column(name).whole()
            table[f"empty{place}"] = pc.cast(values.is_null(), pa.int8())
            table[f"value{place}"] = values
            keys.append((f"empty{place}", "descending" if empty_first else "ascending"))
            keys.append((f"value{place}", "descending" if down else "ascending"))
        order = pc.sort_indices(pa.table(table), sort_keys=keys).to_numpy().astype(np.int64)
        return self._with(self._frame.chosen(order))

    def filter(
        self,
        function: Callable[..., Any],
        with_indices: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = ROWS_AT_ONCE,
        fn_kwargs: Mapping[str, Any] | None = None,
        desc: str | None = None,
    ) -> "Dataset":
        """The rows for which `function` returns something true; arguments as for `map`."""
        call = mapping.Call(function, batched, with_indices, self._known(input_columns), fn_kwargs or {})
        spans = self._frame.blocks(batch_size or max(1, len(self)))
        blocks = ((start, stop, self._frame.slice(start, stop)) for start, stop in spans)
        shown = mapping.progress(blocks, len(self), desc or "Filter")
        return self._with(self._frame.chosen(mapping.kept_rows(call, shown, self._format)))

    def train_test_split(
        self,
        test_size: float | int | None = None,
        train_size: float | int | None = None,
        shuffle: bool = True,
        stratify_by_column: str | None = None,
        seed: int | None = None,
        generator: np.random.Generator | None = None,
    ) -> Any:
        """A DatasetDict of `train` and `test`; sizes are rows or fractions, a quarter is for testing by default.

        `stratify_by_column` names a ClassLabel column whose classes get equal shares in both. The same seed gives the
        same rows as the datasets package.
        """
        from madang.datasets.dictionary import DatasetDict

        train, test = split.sizes(len(self), test_size, train_size)
        if not shuffle:
            if stratify_by_column is not None:
                raise InputError("Stratified train/test split is not implemented for `shuffle=False`")
            return DatasetDict(train=self.select(range(train)), test=self.select(range(train, train + test)))
        random = _random(seed, generator)
        if stratify_by_column is None:
            train_rows, test_rows = split.shuffled(len(self), train, test, random)
        else:
            labels = self._frame.column(stratify_by_column).whole().to_numpy()
            if not isinstance(self._features[stratify_by_column], ClassLabel):
                raise InputError(
                    f"Stratifying by column is only supported for ClassLabel column, and {stratify_by_column!r} is "
                    f"{self._features[stratify_by_column]!r}; `class_encode_column({stratify_by_column!r})` makes one"
                )
            train_rows, test_rows = split.stratified(labels, train, test, random)
        return DatasetDict(train=self.select(train_rows), test=self.select(test_rows))

    # ---- map

    def map(
        self,
        function: Callable[..., Any],
        with_indices: bool = False,
        input_columns: Names | None = None,
        batched: bool = False,
        batch_size: int | None = ROWS_AT_ONCE,
        drop_last_batch: bool = False,
        remove_columns: Names | None = None,
        features: Features | None = None,
        fn_kwargs: Mapping[str, Any] | None = None,
        desc: str | None = None,
    ) -> "Dataset":
        """Each row updated by the dict that `function` returns for it, or with `batched=True` each batch of columns.

        A row gets `{**row, **returned}`; `remove_columns` leave before that, so a name that is returned survives.
        A function that returns None changes nothing. A batched function may return another number of rows, if no
        column of the old length remains. `with_indices` adds the row number(s) as an argument, `input_columns` gives
        these columns as arguments instead of the dict, `fn_kwargs` are passed on by name.
        """
        drop = set(self._known(remove_columns) or ())
        call = mapping.Call(function, batched, with_indices, self._known(input_columns), fn_kwargs or {})
        size = (batch_size or max(1, len(self))) if batched else ROWS_AT_ONCE
        done = []
        for start, stop in mapping.progress(self._frame.blocks(size), len(self), desc or "Map"):
            if batched and drop_last_batch and stop - start < size:
                continue
            arrays, count = self._frame.slice(start, stop), stop - start
            done.append((arrays, count, mapping.map_block(call, arrays, start, count, self._format, drop)))
        if all(mapped is None for _, _, mapped in done):
            return self.remove_columns(sorted(drop)) if drop and not len(self) else self
        new, deleted, total = mapping.assemble(done, self.column_names, drop)
        if features is None:
            return self._mapped(new, drop | deleted, total, keep_types=True)
        return self._mapped(new, drop | deleted, total, keep_types=False).cast(features)

    def _mapped(self, new: dict[str, pa.ChunkedArray], gone: set[str], total: int, *, keep_types: bool) -> "Dataset":
        """Untouched columns shared, the others replaced or added."""
        stay = [name for name in self.column_names if name not in gone and name not in new]
        if total != len(self) and stay:
            raise InputError(
                f"the function returned {total} rows for {len(self)}, but the columns {stay} still have {len(self)}. "
                f"Pass remove_columns={stay}, or return these columns as well."
            )
        for name in new:
            if keep_types and name in self._frame.columns and name not in gone:
                new[name] = mapping.keep_type(new[name], arrow_type(self._features[name]), name)
        kept = [name for name in self.column_names if name not in gone]
        made = self.select_columns([] if total != len(self) else kept)
        order = [name for name in kept if name in new] + [name for name in new if name not in kept]
        made._frame = Frame(made._frame.columns, total)
        made._features = Features({name: self._features[name] for name in kept if name in new} | made._features)
        return made._with_arrays({name: new[name] for name in order})

    # ---- formats

    def with_format(
        self,
        type: str | None = None,  # noqa: A002
        columns: Names | None = None,
        output_all_columns: bool = False,
        **options: Any,
    ) -> "Dataset":
        """The same rows, coming out as `type`: 'torch', 'numpy', 'pandas', 'arrow', or None for Python objects.

        `columns` limits what comes out, `output_all_columns=True` adds the rest as Python objects. Of the options,
        numpy and torch know `dtype=`.
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
        self._format = Format.named(type, self._known(columns), output_all_columns, options)

    def reset_format(self) -> None:
        """Rows of this dataset come out as Python objects again."""
        self._format = Format()

    # ---- out

    def to_dict(self) -> dict[str, list[Any]]:
        """All columns as lists."""
        return {name: Column(column, name, Format())[:] for name, column in self._frame.columns.items()}

    def to_list(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return list(self.with_format(None))

    def to_pandas(self) -> Any:
        """All rows as a pandas DataFrame."""
        return self._frame.table().to_pandas()

    def to_csv(self, path: str | os.PathLike[str], sep: str = ",", encoding: str = "utf-8", header: bool = True) -> int:
        """Write a CSV file and return its size in bytes; an empty cell is written as nothing."""
        from madang.datasets.readers.csv import write

        return write(self, path, sep, encoding, header)

    def to_parquet(self, path: str | os.PathLike[str]) -> int:
        """Write a Parquet file, features included, and return its size in bytes."""
        from madang.datasets.readers.parquet import write

        return write(self, path)

    # ---- inside

    def _with(self, frame: Frame, features: Features | None = None, format: Format | None = None) -> "Dataset":  # noqa: A002
        """A dataset like this one over another frame; features follow the columns."""
        features = features or Features({name: self._features[name] for name in frame.columns})
        made = Dataset(frame, features, self.split, format or self._format)
        shown = made._format.columns
        if shown is not None and any(name not in frame.columns for name in shown):
            kept = tuple(name for name in shown if name in frame.columns)
            made._format = Format(made._format.kind, kept, made._format.others, made._format.options)
        return made

    def _with_arrays(self, arrays: Mapping[str, pa.ChunkedArray]) -> "Dataset":
        """These columns added or replaced; features come from the types, and an old feature stays where it fits."""
        frame = self._frame.with_columns({name: StoredColumn(values) for name, values in arrays.items()})
        inferred = Features.from_arrow_schema(pa.schema([(name, values.type) for name, values in arrays.items()]))
        features = Features(self._features)
        for name, feature in inferred.items():
            fits = name in features and arrow_type(features[name]).equals(arrays[name].type)
            features[name] = features[name] if fits else feature
        made = self._with(frame, Features({name: features[name] for name in frame.columns}))
        if made._format.columns is not None:  # new columns join the format
            shown = (*made._format.columns, *(name for name in arrays if name not in self._features))
            made._format = Format(made._format.kind, shown, made._format.others, made._format.options)
        return made

    def _renamed_format(self, new: Mapping[str, str]) -> Format:
        shown = self._format.columns
        shown = shown if shown is None else tuple(new.get(name, name) for name in shown)
        return Format(self._format.kind, shown, self._format.others, self._format.options)

    def _known(self, names: Any) -> Any:
        """`names` as a list of columns that exist; None stays None."""
        if names is None:
            return None
        names = [names] if isinstance(names, str) else list(names)
        missing = [name for name in names if name not in self._frame.columns]
        if missing:
            raise unknown_columns(missing, self.column_names, f"Column name {missing} not in the dataset.")
        return names


def _features_of(frame: Frame) -> Features:
    return Features.from_arrow_schema(pa.schema([(name, column.values.type) for name, column in frame.columns.items()]))


def _plain_type(kind: pa.DataType) -> pa.DataType:
    """Texts as `string` and categories as their values, whatever pandas stores them in."""
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if str(kind) in ("large_string", "string_view"):
        return pa.string()
    return kind


def _random(seed: int | None, generator: np.random.Generator | None) -> np.random.Generator:
    """A generator for `seed`; without one, numpy's global state decides and moves on by one draw."""
    if generator is not None:
        if seed is not None:
            raise InputError("give either seed= or generator=, not both.")
        return generator
    if seed is None:
        state: Any = np.random.get_state(legacy=True)
        seed = int(state[1][state[2]] if state[2] < 624 else state[1][0])
        np.random.random()
    return np.random.default_rng(seed)


def _read(
    format: str,  # noqa: A002
    cls: type[Dataset],
    paths: Any,
    split: str | None,
    features: Features | None,
    options: dict[str, Any],
) -> Dataset:
    from madang.datasets.readers import reader

    paths = [paths] if isinstance(paths, (str, os.PathLike)) else list(paths)
    made = cls(reader(format)([os.fspath(path) for path in paths], **options), split=split)
    return made if features is None else made.cast(features)
