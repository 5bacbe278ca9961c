"""Tables and queries of a database. SQLite needs nothing else; other databases need sqlalchemy."""

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

import pyarrow as pa

from madang.datasets.readers.columns import widened
from madang.errors import DataFilesNotFoundError, DatasetGenerationError, InputError

_ROWS = 10_000


def read(
    files: Iterable[Any] = (),
    *,
    sql: Any = None,
    con: Any = None,
    params: Any = None,
    columns: Iterable[str] | None = None,
    chunksize: int | None = _ROWS,
    coerce_float: bool = True,
    texts: Iterable[str] = (),
    types: dict[str, pa.DataType] | None = None,
) -> Iterator[pa.Table]:
    """The rows of the query or the table `sql`, ten thousand at a time.

    `con` is the path of a SQLite file, an address (`sqlite:///path`, others with sqlalchemy), or a connection. A file
    or an address is opened for reading only. `params` fill the query's placeholders, `columns` choose some of a table.

    Raises DatasetGenerationError with what the database says.
    """
    if sql is None or con is None:
        raise InputError("sql= (a query or the name of a table) and con= (the database) must be given.")
    path = sqlite_path(con)
    try:
        if path is not None:
            with closing(_opened(path)) as connection:
                yield from _rows(connection, sql, params, columns, chunksize)
        elif isinstance(con, str):
            with engine(con).connect() as connection:
                yield from _by_sqlalchemy(connection, sql, params, columns, chunksize)
        elif isinstance(con, sqlite3.Connection):
            yield from _rows(con, sql, params, columns, chunksize)
        elif hasattr(con, "connect"):
            with con.connect() as connection:
                yield from _by_sqlalchemy(connection, sql, params, columns, chunksize)
        else:
            yield from _by_sqlalchemy(con, sql, params, columns, chunksize)
    except sqlite3.Error as error:
        raise DatasetGenerationError(f"the database {path or con} cannot answer {sql!r}: {error}.") from error


def sqlite_path(con: Any) -> str | None:
    """The path of the SQLite file that `con` names, or None."""
    if isinstance(con, os.PathLike):
        return str(os.fspath(con))
    if not isinstance(con, str):
        return None
    if con.startswith("sqlite:///"):
        return con.removeprefix("sqlite:///")
    return None if "://" in con else con


def _opened(path: str) -> sqlite3.Connection:
    if not os.path.isfile(path):
        raise DataFilesNotFoundError(f"Unable to find {path!r}: there is no such database.")
    from urllib.parse import quote

    return sqlite3.connect(f"file:{quote(os.path.abspath(path))}?mode=ro", uri=True)


def engine(address: str) -> Any:
    """The database at an address, by SQLAlchemy. Raises InputError where that, or what it needs, is not installed."""
    try:
        import sqlalchemy

        return sqlalchemy.create_engine(address)
    except ImportError as error:
        needed = error.name or "sqlalchemy"
        raise InputError(f"{address.split('://')[0]} needs {needed}: pip install {needed}.") from error


def _query(sql: str, columns: Iterable[str] | None) -> str:
    """A query as it is; the name of a table as a query of it."""
    if len(sql.split()) > 1:
        return sql
    chosen = ", ".join(quoted(name) for name in columns) if columns else "*"
    return f"SELECT {chosen} FROM {quoted(sql)}"


def quoted(name: str) -> str:
    """The name of a table or a column as SQL writes it."""
    return '"' + name.replace('"', '""') + '"'


def _rows(
    connection: sqlite3.Connection, sql: Any, params: Any, columns: Iterable[str] | None, size: int | None
) -> Iterator[pa.Table]:
    cursor = connection.execute(_query(str(sql), columns), params or ())
    names = [column[0] for column in cursor.description or ()]
    yield from _tables(names, lambda: cursor.fetchmany(size or _ROWS))


def _by_sqlalchemy(
    connection: Any, sql: Any, params: Any, columns: Iterable[str] | None, size: int | None
) -> Iterator[pa.Table]:
    import sqlalchemy

    query = sqlalchemy.text(_query(sql, columns)) if isinstance(sql, str) else sql
    try:
        result = connection.execute(query, params or {})
        yield from _tables(list(result.keys()), lambda: [tuple(row) for row in result.fetchmany(size or _ROWS)])
    except sqlalchemy.exc.SQLAlchemyError as error:
        raise DatasetGenerationError(f"the database cannot answer {sql!r}: {error}.") from error


def _tables(names: list[str], fetch: Any) -> Iterator[pa.Table]:
    """Blocks of rows as tables, in types that widen from block to block."""
    known: dict[str, pa.DataType] = {}
    first = True
    while (rows := fetch()) or first:
        first = False
        made = {}
        for place, name in enumerate(names):
            values = [row[place] for row in rows]
            try:
                array = pa.array(values)
            except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
                raise DatasetGenerationError(
                    f"column {name!r} of the query holds values of different kinds: {error}. Cast it in the query."
                ) from error
            wider = widened(known.get(name, pa.null()), array.type)
            if wider is None:
                raise DatasetGenerationError(
                    f"column {name!r} of the query holds {known[name]} and later {array.type}. Cast it in the query."
                )
            known[name] = wider
            made[name] = array.cast(wider) if array.type != wider else array
        yield pa.table(made)
