"""Rows out of Madang: files of CSV, JSON and Parquet, tables in a database, frames of pandas and polars, lists."""

import contextlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import pyarrow as pa

from madang.datasets import csv_lines, json_lines
from madang.datasets.features import Features, Json
from madang.datasets.frame import unknown_columns
from madang.datasets.progress import bar
from madang.datasets.readers.sql import engine, quoted, sqlite_path
from madang.datasets.shards import bytes_of, is_stream
from madang.datasets.targets import HoldingBack, Target, write_into, write_parts
from madang.errors import InputError, WrongTypeError, nearest, unknown_name

ROWS = 10_000  # rows that are turned into text at a time
ROW_GROUP_BYTES = 100_000_000
CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
_PANDAS_CSV = ("float_format", "date_format", "decimal", "escapechar", "doublequote", "index_label", "errors")

Options = Mapping[str, Any] | None


# CSV ------------------------------------------------------------------------------------------------------------------


def to_csv(
    dataset: Any,
    path_or_buf: Target,
    batch_size: int | None = None,
    num_proc: int | None = None,
    storage_options: Options = None,
    *,
    sep: str = ",",
    na_rep: str = "",
    columns: Sequence[str] | None = None,
    header: bool | Sequence[str] = True,
    index: bool = False,
    encoding: str = "utf-8",
    compression: Any = "infer",
    quoting: int | None = None,
    quotechar: str = '"',
    lineterminator: str | None = None,
    **options: Any,
) -> int:
    """Write the rows as CSV and return how many bytes that were, before compression.

    The options are those of pandas' `to_csv`, but row numbers are left out (`index=False`). Empty cells are written as
    `na_rep`, lists and structs as Python writes them. `compression` is inferred from the name: .gz, .bz2, .xz, .zst.
    The rows are written by one process, whatever `num_proc` says: handing them to others takes longer.
    """
    _check_processes(num_proc)
    lineterminator = options.pop("line_terminator", lineterminator) or os.linesep
    if options.pop("mode", "w") not in ("w", "wb"):
        raise InputError("mode= must be 'w'. To add to a file, pass it as an object: open(path, 'ab').")
    options.pop("chunksize", None)
    _check_options("to_csv", options, (*_PANDAS_CSV, "sep", "na_rep", "columns", "header", "index", "quoting"))
    dataset = dataset if columns is None else _only(dataset, columns)
    style = csv_lines.Style(sep, na_rep, quoting or 0, quotechar, lineterminator)
    named = _header(header, dataset)
    if options:
        more = {**options, "sep": sep, "na_rep": na_rep, "quoting": quoting, "quotechar": quotechar}
        parts = _csv_by_pandas(dataset, batch_size, named, index=index, lineterminator=lineterminator, **more)
    else:
        parts = _csv(dataset, batch_size or ROWS, style, named, index)
    return write_parts(path_or_buf, _encoded(parts, encoding), compression, storage_options)


def _csv(
    dataset: Any, batch_size: int, style: csv_lines.Style, header: Sequence[str] | None, index: bool
) -> Iterator[pa.Buffer | str]:
    if header is not None and (header or index):
        yield style.line([*([""] if index else []), *header])
    schema = features_of(dataset).arrow_schema
    writers = csv_lines.writers(schema, lambda names: tables_of(_only(dataset, names), ROWS))
    start = 0
    for table in _shown(dataset, batch_size, "Writing CSV"):
        texts = [write(_whole(table[name])) for name, _, write in writers]
        numeric = [is_number for _, is_number, _ in writers]
        if index:
            texts.insert(0, pa.array([str(row) for row in range(start, start + len(table))]))
            numeric.insert(0, True)
        yield style.lines(texts, numeric)
        start += len(table)


def _header(header: bool | Sequence[str], dataset: Any) -> list[str] | None:
    if isinstance(header, (bool, int)):
        return list(dataset.column_names) if header else None
    if len(header) != len(dataset.column_names):
        raise InputError(f"header= has {len(header)} names for {len(dataset.column_names)} columns.")
    return [str(name) for name in header]


def _csv_by_pandas(dataset: Any, batch_size: int | None, header: Sequence[str] | None, **options: Any) -> Iterator[str]:
    """Rare options: by pandas itself."""
    start = 0
    for frame in _frames(dataset, batch_size or ROWS):
        frame.index += start
        yield frame.to_csv(None, header=False if start or header is None else header, **options)
        start += len(frame)
    if not start:
        yield to_pandas(dataset).to_csv(None, header=False if header is None else header, **options)


def _encoded(parts: Iterable[pa.Buffer | str], encoding: str) -> Iterator[bytes | pa.Buffer]:
    import codecs

    try:
        plain = codecs.lookup(encoding).name == "utf-8"
    except LookupError as error:
        raise InputError(f"there is no encoding {encoding!r}.") from error
    encoder = codecs.getincrementalencoder(encoding)()
    for part in parts:
        if plain:
            yield part.encode() if isinstance(part, str) else part
        else:
            yield encoder.encode(part if isinstance(part, str) else part.to_pybytes().decode())


# JSON -----------------------------------------------------------------------------------------------------------------


def to_json(
    dataset: Any,
    path_or_buf: Target,
    batch_size: int | None = None,
    num_proc: int | None = None,
    storage_options: Options = None,
    *,
    orient: str = "records",
    lines: bool | None = None,
    force_ascii: bool = True,
    date_format: str = "epoch",
    date_unit: str = "ms",
    double_precision: int | None = None,
    compression: Any = "infer",
    index: bool | None = None,
    indent: int | None = None,
    **options: Any,
) -> int:
    """Write the rows as JSON and return how many bytes that were, before compression.

    The options are those of pandas' `to_json`, but one object per line is the default (`orient="records"`,
    `lines=True`). Numbers keep all their digits unless `double_precision` says how many come after the point. Text is
    written in ASCII, other letters escaped; `force_ascii=False` writes them as they are. `num_proc` as in `to_csv`.
    """
    _check_processes(num_proc)
    _check_options("to_json", options, ("orient", "lines", "force_ascii", "date_format", "double_precision"))
    lines = (orient == "records") if lines is None else lines
    if lines and orient != "records":
        raise InputError(f"lines=True goes with orient='records' only, not with {orient!r}.")
    style = json_lines.Style(force_ascii, date_format, date_unit, double_precision)
    names = list(dataset.column_names)
    blocks = _fragments(dataset, batch_size or ROWS, style)
    if lines:
        parts = json_lines.json_lines(names, blocks, style)
    elif orient == "table":
        parts = iter([to_pandas(dataset).to_json(orient="table", index=bool(index), force_ascii=force_ascii) + "\n"])
    elif orient in json_lines.ORIENTS:
        parts = json_lines.whole_json(names, blocks, style, orient, index=bool(index))
    else:
        raise unknown_name("orient", orient, [*json_lines.ORIENTS, "table"])
    if indent and not lines:
        parts = _indented(parts, indent, force_ascii)
    return write_parts(path_or_buf, (part.encode() for part in parts), compression, storage_options)


def _fragments(dataset: Any, batch_size: int, style: json_lines.Style) -> Iterator[json_lines.Fragments]:
    features = features_of(dataset)
    decoders = {name: _json_decoder(feature) for name, feature in features.items()}
    for table in _shown(dataset, batch_size, "Writing JSON"):
        columns = []
        for name in table.column_names:
            try:
                columns.append(style.column(_whole(table[name]), decoders[name]))
            except (UnicodeDecodeError, TypeError) as error:
                raise InputError(
                    f"column {name!r} ({features[name]!r}) holds what JSON has no form for: {error}. Leave it out with "
                    f"remove_columns({name!r}), or write Parquet."
                ) from error
        yield columns, len(table)


def _indented(parts: Iterable[str], indent: int, force_ascii: bool) -> Iterator[str]:
    value = json.loads("".join(parts))
    written = json.dumps(value, indent=indent, separators=(",", ":"), ensure_ascii=force_ascii)
    yield written.replace("/", "\\/") + "\n"


# Parquet --------------------------------------------------------------------------------------------------------------


def to_parquet(
    dataset: Any, path_or_buf: Target, batch_size: int | None = None, storage_options: Options = None, **options: Any
) -> int:
    """Write a Parquet file, features included, and return how many bytes the file has.

    `batch_size` is the number of rows in a row group; without it, row groups hold about 100 MB. Other options are those
    of `pyarrow.parquet.ParquetWriter`.
    """
    features = features_of(dataset)
    rows = batch_size or rows_in_group(dataset)

    def write(file: Any) -> None:
        write_parquet(file, features, _shown(dataset, rows, "Writing Parquet"), rows, **options)

    return write_into(path_or_buf, write, None, storage_options)


def write_parquet(
    file: Any, features: Features, tables: Iterable[pa.Table], rows: int | None = None, **options: Any
) -> None:
    """Tables as one Parquet file (its path, or open for writing), each in row groups of `rows` rows: snappy, with an
    index of its pages.

    Pages end where the content says, not at a number of bytes: inserting a row leaves most of the file as it was, and
    stores that keep equal pieces once (large-file storage of hubs) keep these. Older releases of pyarrow cannot do it.
    """
    import inspect

    import pyarrow.parquet as pq

    known = inspect.signature(pq.ParquetWriter.__init__).parameters
    chunking = options.pop("use_content_defined_chunking", True)
    chunking = CHUNKING if chunking is True else chunking
    settings = {"write_page_index": True, "use_content_defined_chunking": chunking}
    settings = {name: value for name, value in settings.items() if name in known} | options
    with contextlib.ExitStack() as opened:
        if isinstance(file, (str, os.PathLike)):
            file = opened.enter_context(open(file, "wb"))
        held = HoldingBack(file)
        with pq.ParquetWriter(held, features.arrow_schema, **settings) as writer:
            for table in tables:
                writer.write_table(table, row_group_size=rows)
                held.check()
            if settings.get("use_content_defined_chunking"):
                writer.add_key_value_metadata({"content_defined_chunking": json.dumps(chunking)})
        held.check()


def rows_in_group(dataset: Any) -> int:
    if is_stream(dataset):  # nobody knows how large its rows are
        return ROWS
    size = bytes_of(dataset)
    rows: int = dataset.num_rows
    return max(1, rows * ROW_GROUP_BYTES // size) if size else max(1, rows)


# databases ------------------------------------------------------------------------------------------------------------


class DatabaseError(InputError, OSError):
    """A database that does not take the rows; the message says why."""


def to_sql(
    dataset: Any, name: str, con: Any, batch_size: int | None = None, num_proc: int | None = None, **options: Any
) -> int:
    """Write the rows into a table of a database and return how many rows that were.

    `con` is the path of a SQLite file, an address (`sqlite:///file.db`, others with SQLAlchemy), or a connection of
    sqlite3 or SQLAlchemy. The options are those of pandas' `to_sql`; `if_exists` is 'fail', 'replace' or 'append'.

    SQLite gets all rows, or none; a transaction that has begun on the connection stays open and is the caller's to
    end. Other databases, and options that only pandas knows, get the rows a batch at a time. Raises DatabaseError with
    what SQLite says.
    """
    import sqlite3

    _check_processes(num_proc)
    _check_options("to_sql", options, ("if_exists", "index", "index_label", "schema", "dtype", "method", "chunksize"))
    rows, path = batch_size or ROWS, sqlite_path(con)
    try:
        if path is not None:
            with contextlib.closing(sqlite3.connect(path or ":memory:")) as connection:
                return to_sql(dataset, name, connection, rows, **options)
        if isinstance(con, sqlite3.Connection) and set(options) <= {"if_exists", "index"}:
            return _to_sqlite(dataset, name, con, rows, **options)
    except sqlite3.Error as error:
        raise DatabaseError(f"the database does not take the rows into the table {name!r}: {error}.") from error
    written, options = 0, {"index": False, **options}
    with contextlib.ExitStack() as stack:
        if isinstance(con, str):
            con = engine(con)
            stack.callback(con.dispose)
        for frame in _frames(dataset, rows):
            frame.index += written
            frame.to_sql(name, con, **(options | {"if_exists": "append"} if written else options))
            written += len(frame)
    return written


@contextlib.contextmanager
def _all_or_none(connection: Any) -> Iterator[None]:
    """A transaction; within one that the caller began, a part of it."""
    began = connection.in_transaction
    connection.execute("SAVEPOINT madang" if began else "BEGIN")
    try:
        yield
        connection.execute("RELEASE madang" if began else "COMMIT")
    except BaseException:
        if began and connection.in_transaction:
            connection.execute("ROLLBACK TO madang")
            connection.execute("RELEASE madang")
        elif connection.in_transaction:  # SQLite itself ends it for some errors
            connection.execute("ROLLBACK")
        raise


def _to_sqlite(
    dataset: Any, name: str, connection: Any, batch_size: int, if_exists: str = "fail", index: bool = False
) -> int:
    if if_exists not in ("fail", "replace", "append"):
        raise InputError(f"'{if_exists}' is not valid for if_exists: use 'fail', 'replace' or 'append'.")
    schema = features_of(dataset).arrow_schema
    columns = {**({"index": "INTEGER"} if index else {}), **{field.name: _sql_type(field.type) for field in schema}}
    found = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)).fetchone()
    if found and if_exists == "fail":
        raise InputError(f"Table '{name}' already exists. Pass if_exists='replace' or 'append'.")
    written = 0
    with _all_or_none(connection):
        if found and if_exists == "replace":
            connection.execute(f"DROP TABLE {quoted(name)}")
        if not found or if_exists == "replace":
            declared = ", ".join(f"{quoted(column)} {kind}" for column, kind in columns.items())
            connection.execute(f"CREATE TABLE {quoted(name)} ({declared})")
        places = ", ".join("?" * len(columns))
        into = f"INSERT INTO {quoted(name)} ({', '.join(map(quoted, columns))}) VALUES ({places})"
        for table in _shown(dataset, batch_size, "Writing SQL"):
            cells = [[_sql_value(value) for value in column.to_pylist()] for column in table.columns]
            numbers = [range(written, written + len(table))] if index else []
            connection.executemany(into, zip(*numbers, *cells, strict=True))
            written += len(table)
    return written


def _sql_type(kind: pa.DataType) -> str:
    types = pa.types
    if types.is_boolean(kind) or types.is_integer(kind):
        return "INTEGER"
    if types.is_floating(kind):
        return "REAL"
    if types.is_timestamp(kind):
        return "TIMESTAMP"
    return "DATE" if types.is_date(kind) else "BLOB" if types.is_binary(kind) or types.is_large_binary(kind) else "TEXT"


def _sql_value(value: Any) -> Any:
    """What sqlite stores: times as text, lists and structs as JSON."""
    if value is None or isinstance(value, (str, bool, int, bytes)):
        return value
    if isinstance(value, float):
        return None if value != value else value
    if isinstance(value, (list, dict)):
        return json_lines.Style(force_ascii=False, date_format="iso").any(value).replace("\\/", "/")
    return str(value)


# frames and plain Python ----------------------------------------------------------------------------------------------


def to_pandas(dataset: Any, batch_size: int | None = None, batched: bool = False) -> Any:
    """The rows as a pandas DataFrame, or with `batched` as an iterator of DataFrames of `batch_size` rows."""
    if batched:
        return _frames(dataset, batch_size or 1000)
    return _frame(_table(dataset), features_of(dataset))


def to_polars(
    dataset: Any,
    batch_size: int | None = None,
    batched: bool = False,
    schema_overrides: Mapping[str, Any] | None = None,
    rechunk: bool = True,
) -> Any:
    """The rows as a polars DataFrame, or with `batched` as an iterator of DataFrames of `batch_size` rows."""
    try:
        import polars
    except ImportError as error:
        raise InputError("Polars needs to be installed to be able to return Polars dataframes.") from error

    def frame(table: pa.Table) -> Any:
        return polars.from_arrow(_plain_storage(table), schema_overrides=schema_overrides, rechunk=rechunk)

    return map(frame, tables_of(dataset, batch_size or 1000)) if batched else frame(_table(dataset))


def to_dict(dataset: Any, batch_size: int | None = None, batched: bool = False) -> Any:
    """All columns as lists, or with `batched` an iterator of such dicts of `batch_size` rows."""
    decoders = {name: _json_decoder(feature) for name, feature in features_of(dataset).items()}
    if batched:
        return (_lists(table, decoders) for table in tables_of(dataset, batch_size or 1000))
    return _lists(_table(dataset), decoders)


def to_list(dataset: Any) -> list[dict[str, Any]]:
    """All rows as dicts."""
    decoders = {name: _json_decoder(feature) for name, feature in features_of(dataset).items()}
    names = list(dataset.column_names)
    found: list[dict[str, Any]] = []
    for table in tables_of(dataset, ROWS):
        columns = _lists(table, decoders)
        if not names:
            found.extend({} for _ in range(len(table)))
        found.extend(dict(zip(names, row, strict=True)) for row in zip(*columns.values(), strict=True))
    return found


def _lists(table: pa.Table, decoders: Mapping[str, Any]) -> dict[str, list[Any]]:
    found = {}
    for name, column in zip(table.column_names, table.columns, strict=True):
        values, decode = column.to_pylist(), decoders[name]
        found[name] = values if decode is None else [None if value is None else decode(value) for value in values]
    return found


def _frames(dataset: Any, batch_size: int) -> Iterator[Any]:
    features = features_of(dataset)
    return (_frame(table, features) for table in tables_of(dataset, batch_size))


def _frame(table: pa.Table, features: Features) -> Any:
    try:
        import pandas
    except ImportError as error:
        raise InputError("this needs pandas: pip install pandas.") from error

    decoders = {name: _json_decoder(feature) for name, feature in features.items()}
    frame = table.drop_columns([name for name in table.column_names if decoders[name] is not None]).to_pandas()
    for place, (name, decode) in enumerate(decoders.items()):
        if decode is not None:
            values = [None if value is None else decode(value) for value in table[name].to_pylist()]
            frame.insert(place, name, pandas.Series(values, dtype=object, index=range(len(table))))
    return frame


def _plain_storage(table: pa.Table) -> pa.Table:
    """Extension types as what they are stored in, without the features: other libraries know neither."""
    for place, field in enumerate(table.schema):
        if isinstance(field.type, pa.BaseExtensionType):
            chunks = [chunk.storage for chunk in table.column(place).chunks]
            table = table.set_column(place, field.name, pa.chunked_array(chunks, field.type.storage_type))
    return table.replace_schema_metadata(None)


def _json_decoder(feature: Any) -> Callable[[Any], Any] | None:
    """What turns stored values into those of a column that holds Json; images and sounds stay as they are stored."""
    if isinstance(feature, Json):
        return lambda value: json.loads(value) if isinstance(value, (str, bytes)) else value
    if isinstance(feature, Mapping):
        inner = {name: decode for name, one in feature.items() if (decode := _json_decoder(one)) is not None}
        if not inner:
            return None
        return lambda value: {
            name: inner[name](one) if name in inner and one is not None else one for name, one in value.items()
        }
    one = feature[0] if isinstance(feature, list) and feature else getattr(feature, "feature", None)
    decode = None if one is None else _json_decoder(one)
    if decode is None:
        return None
    return lambda values: [None if value is None else decode(value) for value in values]


# rows, bytes and where they go ----------------------------------------------------------------------------------------


def described(dataset: Any) -> Any:
    """The dataset; a stream that does not know its features has looked at its first rows."""
    return dataset._resolve_features() if dataset.features is None else dataset


def features_of(dataset: Any) -> Features:
    """What the columns hold, also of a stream that does not know it yet."""
    return cast(Features, described(dataset).features)


def tables_of(dataset: Any, batch_size: int) -> Iterator[pa.Table]:
    if batch_size < 1:
        raise InputError(f"batch_size={batch_size} must be 1 or more.")
    return cast(Iterator[pa.Table], dataset.arrow_batches(batch_size))


def _shown(dataset: Any, batch_size: int, label: str) -> Iterator[pa.Table]:
    """The same, with a bar that counts the rows."""
    with bar(None if is_stream(dataset) else dataset.num_rows, label) as advance:
        for table in tables_of(dataset, batch_size):
            yield table
            advance(len(table))


def _table(dataset: Any) -> pa.Table:
    """All rows."""
    return pa.Table.from_batches(
        [batch for table in tables_of(dataset, 100_000) for batch in table.to_batches()],
        schema=features_of(dataset).arrow_schema,
    )


def _whole(column: pa.ChunkedArray) -> pa.Array:
    """One array; extension types as they are stored."""
    chunks = column.chunks
    if isinstance(column.type, pa.BaseExtensionType):
        chunks = [chunk.storage for chunk in chunks]
        return pa.concat_arrays(chunks) if chunks else pa.array([], column.type.storage_type)
    return chunks[0] if len(chunks) == 1 else pa.concat_arrays(chunks) if chunks else pa.array([], column.type)


def _only(dataset: Any, names: Sequence[str]) -> Any:
    names = [names] if isinstance(names, str) else list(names)
    missing = [name for name in names if name not in dataset.column_names]
    if missing:
        raise unknown_columns(missing, dataset.column_names)
    return dataset.select_columns(names)


def _check_processes(num_proc: int | None) -> None:
    if num_proc is not None and num_proc <= 0:
        raise InputError(f"num_proc {num_proc} must be an integer > 0.")


def _check_options(function: str, options: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in options:
        if name not in known:
            raise WrongTypeError(f"{function}() got an unexpected keyword argument {name!r}.{nearest(name, known)}")
