"""`python -m madang.server.migrations.revising 0002 "say what changes"`: the first draft of a migration.

It compares the tables with a database at the newest revision, and writes down what is missing; read it before use.
"""

import sys
import tempfile
from pathlib import Path

from alembic import command

from madang.server.database import Database, all_tables
from madang.server.migrations.migrating import configuration


def main() -> None:
    """Write the file."""
    number, message = sys.argv[1:]
    all_tables()
    with tempfile.TemporaryDirectory() as folder:
        database = Database(f"sqlite:///{Path(folder) / 'hub.sqlite3'}")
        snapshot = Path(f"tests/server/schemas/{int(number) - 1:04}.sql").read_text(encoding="utf-8")
        with database.write() as connection:
            driver = connection.connection.driver_connection
            assert driver is not None
            for statement in snapshot.split(";\n\n"):
                driver.execute(statement)
            config = configuration(connection)
            command.stamp(config, f"{int(number) - 1:04}")
            command.revision(config, message, autogenerate=True, rev_id=number)


if __name__ == "__main__":
    main()
