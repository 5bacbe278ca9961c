"""The database of a hub: SQLite in one file, or PostgreSQL, with the same code.

Each subject declares its tables in its `records.py` on the `metadata` here. Reads and writes are two kinds of
transaction, because SQLite has one writer: a write takes the lock when it begins, so that two of them wait for each
other instead of failing at the end.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.types import TypeDecorator

from madang.server.errors import StorageFull

if TYPE_CHECKING:
    from madang.server.storage.blobs import BlobStore

Item = TypeVar("Item")

# SQLite counts rows in 64 bits only when the column is spelled INTEGER
Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def all_tables() -> sa.MetaData:
    """The tables of all subjects, whichever of them this process has used so far."""
    here = Path(__file__).parent
    for records in [here / "hub.py", *sorted(here.rglob("records.py"))]:
        subject = ".".join(records.relative_to(here).with_suffix("").parts)
        import_module(f"madang.server.{subject}")
    for table in metadata.tables.values():
        for column in table.columns:
            if isinstance(column.type, sa.String):
                column.type = _by_code_points(column.type)
    return metadata


def _by_code_points(text: sa.String) -> sa.String:
    """Text that PostgreSQL compares as SQLite and Python do, whatever language the database was made for.

    Lists come in the same order everywhere, ranges hold what they say, and no index breaks when the rules of a
    language change with an upgrade of the system.
    """
    same = type(text)(text.length)
    ordered = type(text)(text.length, collation="C")
    return same.with_variant(ordered, "postgresql")


class HexBytes(TypeDecorator[str]):
    """Hex text in Python, half as many bytes in the database: git ids and SHA-256."""

    impl = sa.LargeBinary
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> bytes | None:
        return None if value is None else bytes.fromhex(value)

    def process_result_value(self, value: bytes | None, dialect: Any) -> str | None:
        return None if value is None else bytes(value).hex()


class Database:
    """Connections to one database. `storage` is where the content is that its rows speak of."""

    def __init__(self, url: str, storage: "BlobStore | None" = None) -> None:
        parsed = sa.make_url(url)
        if parsed.get_backend_name() == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        self.url = parsed
        engine = _sqlite(parsed) if self.is_sqlite else sa.create_engine(parsed, pool_size=40, pool_pre_ping=True)
        self.engine = engine.execution_options(madang_storage=storage)
        self._writing = self.engine.execution_options(madang_writes=True)

    @property
    def is_sqlite(self) -> bool:
        return self.url.get_backend_name() == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection that sees one moment of the database."""
        with self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction: committed when the block ends, undone when it raises. Raises StorageFull."""
        try:
            with self._writing.begin() as connection:
                yield connection
        except sa.exc.OperationalError as error:
            if _is_full(error):
                raise StorageFull from error
            raise

    @contextmanager
    def change_tables(self) -> Iterator[Connection]:
        """A transaction that may make and change tables.

        SQLite changes a table by copying it and deleting the first one; with foreign keys at work, all that refers to
        its rows would be deleted with it. They can be switched off only outside of a transaction.
        """
        with self._writing.connect() as connection:
            driver: Any = connection.connection.driver_connection
            if self.is_sqlite:
                driver.execute("PRAGMA foreign_keys=OFF")
            try:
                with connection.begin():
                    yield connection
            finally:
                if self.is_sqlite:
                    driver.execute("PRAGMA foreign_keys=ON")

    def close(self) -> None:
        self.engine.dispose()


def _is_full(error: BaseException | None) -> bool:
    """Whether an error, or one before it that it hides, says that the database's disk is full."""
    while error is not None:
        original = getattr(error, "orig", None)
        if getattr(original, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(original, "sqlstate", "") == "53100":
            return True
        error = error.__context__
    return False


def storage_of(connection: Connection) -> "BlobStore | None":
    """The store with the content of the large files that this database knows."""
    storage: BlobStore | None = connection.get_execution_options().get("madang_storage")
    return storage


def insert(connection: Connection, table: sa.Table, **values: Any) -> int:
    """Insert one row; returns the number it was given."""
    made = connection.execute(table.insert().values(**values)).inserted_primary_key
    assert made is not None
    return int(made[0])


def insert_new(connection: Connection, table: sa.Table, rows: list[dict[str, Any]]) -> None:
    """Insert the rows whose key is not there yet; the others stay as they are."""
    if not rows:
        return
    connection.execute(_insert(connection, table).on_conflict_do_nothing(), rows)


def put(
    connection: Connection,
    table: sa.Table,
    rows: list[dict[str, Any]],
    *,
    change: Iterable[str] = (),
    add: Iterable[str] = (),
) -> None:
    """Insert rows. Of one whose key is there already, `change` names the columns that get the new value, and `add`
    those to whose value the new one is added."""
    if not rows:
        return
    statement = _insert(connection, table)
    new = statement.excluded
    values = {name: new[name] for name in change} | {name: table.c[name] + new[name] for name in add}
    key = table.primary_key.columns.keys()
    connection.execute(statement.on_conflict_do_update(index_elements=key, set_=values), rows)


def _insert(connection: Connection, table: sa.Table) -> "sqlite.Insert | postgresql.Insert":
    """Both databases have ON CONFLICT, and SQLAlchemy a statement for each."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


def batches(items: Iterable[Item], size: int = 400) -> Iterator[list[Item]]:
    """The items in lists of at most `size`: databases take so many values in one statement."""
    remaining = iter(items)
    while some := list(islice(remaining, size)):
        yield some


def _sqlite(url: sa.URL) -> Engine:
    if url.database:
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
    engine = sa.create_engine(url, connect_args={"check_same_thread": False, "timeout": 60}, pool_size=40)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        # the driver's own idea of when a transaction begins is switched off: see `begin`
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",  # an answered push survives a power cut
            "foreign_keys=ON",
            "cache_size=-16384",
            "mmap_size=268435456",
            "temp_store=MEMORY",
        ):
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("madang_writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
