"""Databases of every release become what this one expects; what cannot be brought up to date is refused."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import Connection

from madang.errors import ConfigError
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.organisations import create_organisation
from madang.server.accounts.records import accounts, members
from madang.server.accounts.users import create_user
from madang.server.database import Database, all_tables
from madang.server.migrations import migrating
from madang.server.migrations.revising import load, snapshot
from tests.server.processes import SOURCE

SCHEMAS = Path(__file__).parent / "schemas"
NEXT = '''"""What a later release changes."""

import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "9999", "{head}", None, None


def upgrade() -> None:
    op.create_table("marks", sa.Column("id", sa.Integer, primary_key=True))
    with op.batch_alter_table("accounts") as accounts:
        accounts.add_column(sa.Column("motto", sa.String(100), nullable=False, server_default=""))
        accounts.alter_column("fullname", type_=sa.String(500))
    {end}
'''
ADVICE = (
    "The tables are not what the migrations lead to. Whoever changes a table writes a migration, too: see"
    " madang.server.migrations.revising. (While the newest revision is not released yet, its snapshot is written anew.)"
)
Later = Callable[..., None]


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.loopback)])
def empty(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database without tables, of either kind."""
    sqlite = f"sqlite:///{tmp_path / 'hub.sqlite3'}"
    made = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("postgresql"))
    yield made
    made.close()


@pytest.fixture
def later(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Later:
    """`later()`: this release is one with a migration more; `end` is what that does at its end."""

    def release(end: str = "") -> None:
        head, folder = migrating.head(), tmp_path / "migrations"
        shutil.copytree(migrating.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "versions" / "9999_marks.py").write_text(NEXT.format(head=head, end=end), encoding="utf-8")
        monkeypatch.setattr(migrating, "FOLDER", folder)

    return release


def differences(connection: Connection) -> list[Any]:
    """What Alembic finds in a database that is not as declared."""
    context = MigrationContext.configure(connection, opts={"include_name": migrating.is_compared})
    return list(compare_metadata(context, all_tables()))


def columns(connection: Connection) -> set[str]:
    return {column["name"] for column in sa.inspect(connection).get_columns("accounts")}


def shape(connection: Connection) -> dict[str, Any]:
    """All that SQLite knows of the tables, without the order of columns and how it was written down."""

    def rows(question: str) -> set[tuple[Any, ...]]:
        return {tuple(row) for row in connection.exec_driver_sql(question)}

    found: dict[str, Any] = {}
    for _, name, kind, _, without_rowid, strict in connection.exec_driver_sql("PRAGMA table_list").all():
        if kind in ("table", "virtual") and not name.startswith(("sqlite_", "alembic_")):
            text = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).scalar_one()
            found[name] = {
                "kind": (kind, without_rowid, strict, "AUTOINCREMENT" in text),
                "text": text if kind == "virtual" else "",
                "columns": rows(f"SELECT name, type, [notnull], dflt_value, pk FROM pragma_table_xinfo('{name}')"),
                "references": rows(
                    f"SELECT [table], [from], [to], on_update, on_delete FROM pragma_foreign_key_list('{name}')"
                ),
                "indexes": {
                    (
                        unique,
                        partial,
                        *connection.exec_driver_sql(f"SELECT name FROM pragma_index_info('{index}')").scalars(),
                    )
                    for index, unique, partial in rows(
                        f"SELECT name, [unique], partial FROM pragma_index_list('{name}')"
                    )
                },
            }
    named = "SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND type IN ('index', 'trigger')"
    found["indexes and triggers"] = {(name, " ".join(text.split())) for name, text in rows(named)}
    return found


@pytest.mark.parametrize("revision", [path.stem for path in sorted(SCHEMAS.glob("*.sql"))])
def test_a_database_of_every_revision_becomes_what_the_tables_say(revision: str, tmp_path: Path) -> None:
    old, new = (Database(f"sqlite:///{tmp_path / name}.sqlite3") for name in ("old", "new"))
    with old.change_tables() as connection:
        load(connection, (SCHEMAS / f"{revision}.sql").read_text(encoding="utf-8"), revision)
    assert migrating.upgrade(old) == (revision, migrating.head())
    migrating.prepare(new)
    with old.read() as upgraded, new.read() as made:
        assert differences(upgraded) == [], ADVICE
        assert shape(upgraded) == shape(made), ADVICE
    old.close()
    new.close()


def test_every_revision_has_a_snapshot_to_begin_from() -> None:
    revisions = {script.revision for script in migrating._scripts().walk_revisions()}
    assert {path.stem for path in SCHEMAS.glob("*.sql")} == revisions


def test_a_snapshot_loaded_is_the_same_snapshot(tmp_path: Path) -> None:
    kept = (SCHEMAS / f"{migrating.head()}.sql").read_text(encoding="utf-8")
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite3'}")
    with database.change_tables() as connection:
        load(connection, kept, migrating.head())
        assert snapshot(connection) == kept
    database.close()


def test_a_new_database_is_as_declared_and_at_the_newest_revision(empty: Database) -> None:
    assert migrating.upgrade(empty) == (None, migrating.head())
    assert migrating.upgrade(empty) == (migrating.head(), migrating.head())
    migrating.prepare(empty)
    with empty.read() as connection:
        assert differences(connection) == []


def test_a_column_that_is_missing_or_too_many_is_found(empty: Database) -> None:
    migrating.prepare(empty)
    with empty.write() as connection:
        connection.exec_driver_sql("ALTER TABLE accounts DROP COLUMN fullname")
        connection.exec_driver_sql("ALTER TABLE members ADD COLUMN since BIGINT")
        assert {(kind, table) for kind, _, table, *_ in differences(connection)} == {
            ("add_column", "accounts"),
            ("remove_column", "members"),
        }


@pytest.mark.loopback
def test_text_is_compared_by_code_points_on_postgresql(postgresql: str) -> None:
    database = Database(postgresql)
    migrating.prepare(database)
    query = (
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE table_schema = 'public'"
        " AND data_type IN ('text', 'character varying') AND collation_name IS DISTINCT FROM 'C'"
    )
    with database.read() as connection:
        assert list(connection.exec_driver_sql(query).scalars()) == ["alembic_version.version_num"]
    database.close()


def test_a_database_of_a_later_release_is_refused(empty: Database) -> None:
    migrating.prepare(empty)
    with empty.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    for bring in (migrating.prepare, migrating.upgrade):
        with pytest.raises(ConfigError, match=r"9999.*used by a later one.*restore a backup"):
            bring(empty)


def test_sqlite_is_brought_up_to_date_when_it_is_opened(tmp_path: Path, later: Later) -> None:
    database = Database(f"sqlite:///{tmp_path / 'hub.sqlite3'}")
    migrating.prepare(database)
    later()
    migrating.prepare(database)
    with database.read() as connection:
        assert "motto" in columns(connection)
        assert sa.inspect(connection).has_table("marks")
    database.close()


@pytest.mark.loopback
def test_postgresql_is_brought_up_to_date_only_by_the_command(postgresql: str, later: Later) -> None:
    database = Database(postgresql)
    migrating.prepare(database)
    before = migrating.head()
    later()
    with pytest.raises(ConfigError, match=rf"is at {before} and .* expects 9999\. .*run `madang hub migrate`"):
        migrating.prepare(database)
    with database.read() as connection:
        assert "motto" not in columns(connection)
    assert migrating.upgrade(database) == (before, "9999")
    migrating.prepare(database)
    with database.read() as connection:
        assert "motto" in columns(connection)
    database.close()


def test_rows_that_refer_to_a_changed_table_stay(empty: Database, later: Later) -> None:
    migrating.prepare(empty)
    with empty.write() as connection:
        alice = create_user(connection, OPERATOR, "alice")
        create_organisation(connection, OPERATOR, "lab", alice)
    later()
    migrating.upgrade(empty)
    with empty.write() as connection:
        assert sorted(connection.scalars(sa.select(accounts.c.name))) == ["alice", "lab"]
        assert connection.scalar(sa.select(members.c.role)) == "admin"
        # and foreign keys are at work again
        with pytest.raises(sa.exc.IntegrityError):
            connection.execute(members.insert().values(organisation_id=77, account_id=alice.id, role="read"))


@pytest.mark.parametrize("end", ["raise OSError('no space')", "op.execute('INSERT INTO members VALUES (77, 78, 1)')"])
def test_an_upgrade_that_fails_leaves_everything_as_it_was(empty: Database, later: Later, end: str) -> None:
    migrating.prepare(empty)
    before = migrating.head()
    with empty.write() as connection:
        create_user(connection, OPERATOR, "alice")
    later(end)
    with pytest.raises((OSError, ConfigError, sa.exc.IntegrityError)):
        migrating.upgrade(empty)
    with empty.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == before
        assert "motto" not in columns(connection)
        assert not sa.inspect(connection).has_table("marks")
        assert differences(connection) == []
        assert list(connection.scalars(sa.select(accounts.c.name))) == ["alice"]


def test_an_upgrade_that_is_killed_leaves_everything_as_it_was(empty: Database, later: Later) -> None:
    migrating.prepare(empty)
    before = migrating.head()
    later("import os; os._exit(9)")
    code = "migrating.FOLDER = pathlib.Path(sys.argv[2]); migrating.upgrade(Database(sys.argv[1]))"
    assert processes(empty, code, str(migrating.FOLDER)) == [9]
    with empty.read() as connection:
        assert connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar() == before
        assert "motto" not in columns(connection)
        assert differences(connection) == []


def test_processes_that_prepare_one_empty_database_at_once_all_succeed(empty: Database) -> None:
    assert processes(empty, "migrating.prepare(Database(sys.argv[1]))", times=3) == [0, 0, 0]
    with empty.read() as connection:
        assert differences(connection) == []


def processes(database: Database, code: str, *arguments: str, times: int = 1) -> list[int]:
    """How processes end that run this code at once on the database."""
    beginning = "import pathlib, sys; from madang.server.database import Database; "
    beginning += "from madang.server.migrations import migrating; "
    url = database.url.set(drivername=database.url.get_backend_name()).render_as_string(hide_password=False)
    command = [sys.executable, "-c", beginning + code, url, *arguments]
    started = [subprocess.Popen(command, env={"PYTHONPATH": str(SOURCE)}) for _ in range(times)]
    return [process.wait(timeout=120) for process in started]
