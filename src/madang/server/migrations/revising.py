"""Writing a migration, for those who change a table.

`python -m madang.server.migrations.revising 0002 "say what changes"` writes the first draft: it compares the tables
with a database at the newest revision, and notes what is missing. Read it before use; of triggers, rows to fill and
tables that SQLite keeps without a row number it knows nothing.

`python -m madang.server.migrations.revising --snapshot` keeps the tables as they are for the tests of later migrations.
Do so once for each revision, before its release; a snapshot that was released is never written again.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic import command
from sqlalchemy.engine import Connection

from madang.server.database import Database, all_tables
from madang.server.migrations import migrating

SNAPSHOTS = Path("tests/server/schemas")


def snapshot(connection: Connection) -> str:
    """All that makes the tables of this SQLite database, without rows."""
    found = connection.exec_driver_sql(
        "SELECT type, name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    ).all()
    # a virtual table keeps its content in tables of its own, which come and go with it
    virtual = [f"{name}_" for _, name, sql in found if sql.upper().startswith("CREATE VIRTUAL")]
    order = {"table": 0, "index": 1, "trigger": 2}
    statements = [
        "\n".join(line.rstrip().expandtabs(4) for line in sql.strip().splitlines())
        for _, name, sql in sorted(found, key=lambda row: (order[row[0]], row[1]))
        if name != "alembic_version" and not name.startswith(tuple(virtual))
    ]
    return ";\n\n".join(statements) + ";\n"


def load(connection: Connection, kept: str, revision: str) -> None:
    """Make the tables of a snapshot in an empty database, which is at `revision` then."""
    for statement in kept.split(";\n\n"):
        connection.exec_driver_sql(statement)
    command.stamp(migrating.configuration(connection), revision)


@contextmanager
def _empty() -> Iterator[Connection]:
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'hub.sqlite3'}")
        with database.change_tables() as connection:
            yield connection
        database.close()


def main() -> None:
    """Write the file."""
    with _empty() as connection:
        if sys.argv[1:] == ["--snapshot"]:
            all_tables().create_all(connection)
            path = SNAPSHOTS / f"{migrating.head()}.sql"
            path.write_text(snapshot(connection), encoding="utf-8")
        else:
            number, message = sys.argv[1:]
            all_tables()
            before = f"{int(number) - 1:04}"
            load(connection, (SNAPSHOTS / f"{before}.sql").read_text(encoding="utf-8"), before)
            command.revision(migrating.configuration(connection), message, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    main()
