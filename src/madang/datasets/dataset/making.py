"""Making a dataset: from Python, from tables of other libraries, from files."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa

from madang.datasets.dataset.reading import Reading, with_marks
from madang.datasets.features import Features
from madang.datasets.frame import ROWS_AT_ONCE, Frame, StoredColumn
from madang.datasets.memory_map import open_frame
from madang.datasets.mixed import as_json
from madang.datasets.options import refuse_unknown
from madang.datasets.recipe import Recipe
from madang.datasets.values import feature_of, join, to_arrow
from madang.errors import InputError, WrongTypeError

_GENERATOR_OPTIONS = (
    "generator", "features", "cache_dir", "keep_in_memory", "gen_kwargs", "num_proc", "split", "fingerprint",
)  # fmt: skip
_GENERATOR_WITHOUT_EFFECT = (
    "base_path", "config_id", "config_name", "data_dir", "data_files", "dataset_name", "description",
    "download_config", "hash", "info", "name", "repo_id", "storage_options", "streaming", "token", "version",
    "writer_batch_size",
)  # fmt: skip


class Making(Reading):
    """The ways to begin."""

    @classmethod
    def from_dict(
        cls,
        mapping: Mapping[str, Any],
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        on_mixed_types: str | None = None,
    ) -> Self:
        """From a dict of columns: lists, numpy arrays, tensors. Types are inferred unless `features` gives them.

        `on_mixed_types="use_json"` keeps a column whose values have no common type, or dicts of different keys, as
        Json, which gives back what was put in; without it such a column is an error.
        """
        features = _agreed(features, info)
        if features is not None:
            lacking = [name for name in features if name not in mapping]
            if lacking or len(features) != len(mapping):
                raise InputError(
                    f"features name the columns {list(features)}, but the data has {list(mapping)}: give both alike."
                )
            mapping = {name: mapping[name] for name in features}
        known, columns = dict(features or {}), {}
        for name, values in mapping.items():
            feature = known.get(name) or feature_of(values) or as_json(values, on_mixed_types)
            columns[str(name)] = StoredColumn(pa.chunked_array([to_arrow(values, str(name), feature)]))
            if feature is not None:
                known[str(name)] = feature
        return cls(Frame(columns), info, split, features=Features(known))

    @classmethod
    def from_list(
        cls,
        mapping: Sequence[Mapping[str, Any]],
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        on_mixed_types: str | None = None,
    ) -> Self:
        """From a list of dicts, one per row; a key that a row lacks is an empty cell there."""
        for place, row in enumerate(mapping):
            if not isinstance(row, Mapping):
                raise WrongTypeError(f"row {place} must be a dict, but is {type(row).__name__}: {str(row)[:80]!r}.")
        names = list(_agreed(features, info) or dict.fromkeys(name for row in mapping for name in row))
        columns = {name: [row.get(name) for row in mapping] for name in names}
        return cls.from_dict(columns, features, info, split, on_mixed_types)

    @classmethod
    def from_pandas(
        cls,
        df: Any,
        features: Features | None = None,
        info: Any = None,
        split: Any = None,
        preserve_index: bool | None = None,
    ) -> Self:
        """From a pandas DataFrame. A named or unusual index becomes a column unless `preserve_index` is False."""
        table = pa.Table.from_pandas(df, preserve_index=preserve_index).replace_schema_metadata(None)
        return cls._from_arrow(table, features, info, split)

    @classmethod
    def from_polars(cls, df: Any, features: Features | None = None, info: Any = None, split: Any = None) -> Self:
        """From a polars DataFrame or LazyFrame."""
        df = df.collect() if hasattr(df, "collect") else df
        return cls._from_arrow(df.to_arrow(), features, info, split)

    @classmethod
    def _from_arrow(cls, table: pa.Table, features: Features | None, info: Any, split: Any) -> Self:
        """A table of another library: texts as `string` and categories as their values, whatever it stores them in."""
        plain = pa.schema([(column.name, _plain_type(column.type)) for column in table.schema])
        made = cls(table.cast(plain), split=split)
        wanted = _agreed(features, info)
        made._info = info
        return made if wanted is None else made.cast(wanted)  # type: ignore[attr-defined]

    @classmethod
    def from_generator(
        cls,
        generator: Callable[..., Iterable[Mapping[str, Any]]],
        features: Features | None = None,
        cache_dir: str | os.PathLike[str] | None = None,
        keep_in_memory: bool = False,
        gen_kwargs: Mapping[str, Any] | None = None,
        num_proc: int | None = None,
        split: Any = "train",
        fingerprint: str | None = None,
        **options: Any,
    ) -> Self:
        """From a function that yields rows as dicts, called with `gen_kwargs`.

        The rows go straight to a file, so there may be more of them than memory holds; a later run with the same
        generator and arguments takes that file. `keep_in_memory=True` does neither. With `num_proc`, lists in
        `gen_kwargs` are dealt out, and the parts are generated one after the other. Options that the datasets package
        has for any kind of data (`writer_batch_size`, `config_name`, `token`, …) are let be, without effect.
        """
        from madang.datasets import cache
        from madang.datasets import fingerprint as fingerprints
        from madang.datasets.writer import ArrowWriter, described

        refuse_unknown("from_generator", options, _GENERATOR_WITHOUT_EFFECT, _GENERATOR_OPTIONS)
        if not callable(generator):
            raise WrongTypeError(
                f"generator must be callable, a function that yields rows, not {type(generator).__name__}. Rows that "
                "are there already: Dataset.from_list."
            )
        arguments = dict(gen_kwargs or {})
        known: dict[str, Any] = {}  # features that the values told and Arrow's types do not

        def write(path: Path) -> None:
            with ArrowWriter(path, features, lambda schema: described(schema, known)) as writer:
                for columns, count in _blocks(generator(**arguments), features, known):
                    writer.write(columns, count)

        if keep_in_memory:
            blocks = list(_blocks(generator(**arguments), features, known))
            names = list(dict.fromkeys(name for columns, _ in blocks for name in columns)) or list(features or ())
            parts = {n: [c[n] if n in c else pa.nulls(count) for c, count in blocks] for n in names}
            columns = {name: join(arrays, name) if arrays else pa.chunked_array([[]]) for name, arrays in parts.items()}
            frame = Frame({name: StoredColumn(values) for name, values in columns.items()})
            made = cls(frame, split=split, features=Features(known))
            return made if features is None else made.cast(features)  # type: ignore[attr-defined]
        root = Path(cache_dir) if cache_dir is not None else cache.root()
        try:
            key = fingerprint or fingerprints.key("from_generator", generator, arguments, features)
        except fingerprints.UnhashableError:
            path = cache.temporary_folder() / f"generated-{Recipe.beginning().key}.arrow"
            write(path)
            return cls._from_arrow_files([path], split=split)
        made_once = cache.once(root / "generator" / f"default-{key}" / f"generator-{split}.arrow", write)
        return cls._from_arrow_files([made_once], split=split, fingerprint=key)

    @classmethod
    def from_file(
        cls,
        filename: str | os.PathLike[str],
        info: Any = None,
        split: Any = None,
        indices_filename: str | None = None,
        in_memory: bool = False,
    ) -> Self:
        """From one Arrow file, memory-mapped unless `in_memory`."""
        made = cls._from_arrow_files([filename], split=split, info=info, in_memory=in_memory)
        if indices_filename is None:
            return made
        rows = open_frame([indices_filename])[0].column("indices").whole().to_numpy()
        return made._with(made._frame.chosen(rows.astype("int64")))

    @classmethod
    def from_buffer(cls, buffer: Any, info: Any = None, split: Any = None, indices_buffer: Any = None) -> Self:
        """From the bytes of an Arrow stream, perhaps with those of another that numbers the rows to take."""
        made = cls(pa.ipc.open_stream(pa.BufferReader(buffer)).read_all(), info, split)
        if indices_buffer is None:
            return made
        rows = pa.ipc.open_stream(pa.BufferReader(indices_buffer)).read_all()["indices"].to_numpy()
        return made._with(made._frame.chosen(rows.astype("int64")))

    @classmethod
    def _from_arrow_files(
        cls,
        paths: Sequence[str | os.PathLike[str]],
        *,
        features: Features | None = None,
        split: Any = None,
        info: Any = None,
        fingerprint: str | None = None,
        in_memory: bool = False,
    ) -> Self:
        frame, schema = open_frame(paths, in_memory=in_memory)
        features = features if features is not None else Features.from_arrow_schema(schema)
        frame = with_marks(frame, features)
        if fingerprint is None:
            from madang.datasets.fingerprint import key

            told = [(os.path.abspath(path), os.path.getmtime(path), os.path.getsize(path)) for path in paths]
            fingerprint = key("files", told, split and str(split))
        return cls(frame, info, split, fingerprint=fingerprint, features=features)

    @classmethod
    def from_csv(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From one CSV file or a list of them; options as for `load_dataset("csv", …)`."""
        return cls._from_format("csv", path_or_paths, split, features, options)

    @classmethod
    def from_json(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From files with one JSON object per line, or with one list of objects (`field=` names where it lies)."""
        return cls._from_format("json", path_or_paths, split, features, options)

    @classmethod
    def from_parquet(
        cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any
    ) -> Self:
        """From one Parquet file or a list of them; `columns=` reads only those."""
        return cls._from_format("parquet", path_or_paths, split, features, options)

    @classmethod
    def from_text(cls, path_or_paths: Any, split: Any = None, features: Features | None = None, **options: Any) -> Self:
        """From text files: every line is a row of the column `text`."""
        return cls._from_format("text", path_or_paths, split, features, options)

    @classmethod
    def from_sql(cls, sql: Any, con: Any, features: Features | None = None, **options: Any) -> Self:
        """From a table or a query of a database; `con` is a connection, a path of a SQLite file or its URI."""
        return cls._from_format("sql", None, None, features, {"sql": sql, "con": con, **options})

    @classmethod
    def _from_format(
        cls,
        format: str,  # noqa: A002
        paths: Any,
        split: Any,
        features: Features | None,
        options: dict[str, Any],
    ) -> Self:
        from madang.datasets.load import from_files

        if isinstance(paths, Mapping):
            raise InputError("one Dataset has one split; DatasetDict.from_… takes a dict of paths by split.")
        made: Self = from_files(cls, format, paths, split=split, features=features, **options)
        return made


def _agreed(features: Features | None, info: Any) -> Features | None:
    """The features given directly or within `info`; both must say the same."""
    told = info.features if info is not None else None
    if features is not None and told is not None and features != told:
        raise InputError(f"features= and info.features differ:\n{features}\nand\n{told}")
    return features if features is not None else told


def _blocks(
    rows: Iterable[Mapping[str, Any]], features: Features | None, known: dict[str, Any]
) -> Iterator[tuple[dict[str, pa.Array], int]]:
    """Generated rows as Arrow arrays, as many at a time as are worth it; `known` gets features that values tell."""
    waiting: list[Mapping[str, Any]] = []
    for row in rows:
        if not isinstance(row, Mapping):
            raise WrongTypeError(f"a generator of rows yields dicts, not {type(row).__name__}: {row!r:.80}")
        waiting.append(row)
        if len(waiting) == ROWS_AT_ONCE:
            yield _block(waiting, features, known), len(waiting)
            waiting = []
    if waiting:
        yield _block(waiting, features, known), len(waiting)


def _block(rows: Sequence[Mapping[str, Any]], features: Features | None, known: dict[str, Any]) -> dict[str, pa.Array]:
    names = list(features) if features is not None else list(dict.fromkeys(name for row in rows for name in row))
    made = {}
    for name in names:
        values = [row.get(name) for row in rows]
        feature = features[name] if features is not None else known.get(name) or feature_of(values)
        if feature is not None and features is None:
            known[name] = feature
        made[name] = to_arrow(values, name, feature)
    return made


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return _plain_type(kind.value_type)
    if str(kind) in ("large_string", "string_view"):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.large_list(_plain_type(kind.value_type))
    return kind
