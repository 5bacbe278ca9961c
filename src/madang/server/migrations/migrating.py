"""Bringing a database to what this release expects.

A new database gets all tables at once. One of an earlier release is changed step by step (`versions/`): SQLite when the
hub is opened, PostgreSQL, where other replicas may be at work, by `madang hub migrate`.
"""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection

from madang.errors import ConfigError
from madang.server.database import Database, all_tables

FOLDER = Path(__file__).parent
# one process at a time makes or changes tables
LOCK = 0x6D6164616E67


def prepare(database: Database) -> None:
    """Make the tables of a new database, and change those of an old one where nobody else can be using them.

    Raises ConfigError when `madang hub migrate` must be called, or when the database is of a later release.
    """
    with database.change_tables() as connection:
        _lock(connection)
        current = _current(connection)
        if current == head():
            return
        if current is None:
            _create(connection)
        elif database.is_sqlite:
            _upgrade(connection)
        else:
            _check_known(current)
            raise ConfigError(
                f"the database is at {current} and this release of Madang expects {head()}. Stop all replicas, make a"
                " backup, and run `madang hub migrate`."
            )


def upgrade(database: Database) -> tuple[str | None, str]:
    """Do all that `prepare` would leave; returns what the database was at and is at now."""
    with database.change_tables() as connection:
        _lock(connection)
        before = _current(connection)
        if before is None:
            _create(connection)
        elif before != head():
            _upgrade(connection)
    return before, head()


def _create(connection: Connection) -> None:
    all_tables().create_all(connection)
    command.stamp(configuration(connection), "head")


def _upgrade(connection: Connection) -> None:
    _check_known(_current(connection))
    command.upgrade(configuration(connection), "head")
    if connection.dialect.name == "sqlite":
        broken = connection.exec_driver_sql("PRAGMA foreign_key_check").first()
        if broken is not None:
            raise ConfigError(
                f"bringing the database up to date left rows in {broken[0]} that refer to nothing in {broken[2]};"
                " nothing was changed. Please report this."
            )


def _check_known(current: str | None) -> None:
    known = {script.revision for script in _scripts().walk_revisions()}
    if current not in known:
        raise ConfigError(
            f"the database is at {current}, which this release of Madang does not know: it was used by a later one."
            " Install that, or restore a backup."
        )


def _current(connection: Connection) -> str | None:
    return MigrationContext.configure(connection).get_current_revision()


def head() -> str:
    """The revision of this release."""
    return str(_scripts().get_current_head())


def _scripts() -> ScriptDirectory:
    return ScriptDirectory(str(FOLDER))


def is_compared(name: str | None, kind: str, _: object = None) -> bool:
    """Whether Alembic can tell if a table is as declared: not the index of the full text, see `search.records`."""
    return kind != "table" or not str(name).startswith("search_grams")


def configuration(connection: Connection) -> Config:
    """What Alembic's commands take, for the database behind this connection."""
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


def _lock(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
