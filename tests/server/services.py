"""The services a hub can stand on, for tests: a database of PostgreSQL, a bucket of an S3 emulator."""

import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

import httpx2
import pytest
import sqlalchemy as sa

from madang.server.database import Database, all_tables
from madang.server.migrations import migrating
from tests.server.processes import free_port

POSTGRES = "postgresql+psycopg://postgres@127.0.0.1:5432/postgres"


@contextmanager
def postgres_database() -> Iterator[str]:
    """The address of an empty database, dropped at the end; the test is skipped where there is no PostgreSQL."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    engine = sa.create_engine(POSTGRES, isolation_level="AUTOCOMMIT", connect_args={"connect_timeout": 3})
    try:
        connection = engine.connect()
    except sa.exc.OperationalError:
        pytest.skip("no PostgreSQL answers at 127.0.0.1:5432 for the user postgres")
    name = f"madang_test_{uuid.uuid4().hex[:12]}"
    with connection:
        # one that sorts text as a dictionary does (upper and lower case together, signs ignored), as many databases do:
        # the hub must give the same lists on it
        connection.execute(
            sa.text(
                f"CREATE DATABASE {name} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER icu ICU_LOCALE 'en-US'"
                if connection.dialect.server_version_info >= (15,)
                else f"CREATE DATABASE {name}"
            )
        )
    try:
        yield f"postgresql://postgres@127.0.0.1:5432/{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


class PreparedDatabase:
    """A database of PostgreSQL with all tables, for one test after the other."""

    def __init__(self, address: str) -> None:
        self.address = address
        database = Database(address)
        migrating.prepare(database)
        with database.write() as connection:
            # the tests lose nothing when the machine loses power
            connection.exec_driver_sql(f"ALTER DATABASE {database.url.database} SET synchronous_commit = off")
        database.close()
        self._engine = database.engine
        tables = [table.name for table in all_tables().sorted_tables] + ["search_grams"]
        self._delete = "; ".join(f"DELETE FROM {name}" for name in tables)

    def empty(self) -> None:
        """Delete all rows, and count from 1 again: much quicker than a new database."""
        with self._engine.begin() as connection:
            # no triggers, no foreign keys; and an error instead of a wait when a test left a transaction open
            connection.exec_driver_sql("SET LOCAL session_replication_role = replica; SET LOCAL lock_timeout = '30s'")
            connection.exec_driver_sql(self._delete)
            connection.exec_driver_sql("SELECT setval(pg_class.oid, 1, false) FROM pg_class WHERE relkind = 'S'")

    def close(self) -> None:
        self._engine.dispose()


@contextmanager
def prepared_postgres() -> Iterator[PreparedDatabase]:
    """A database with all tables, dropped at the end; the test is skipped where there is no PostgreSQL."""
    with postgres_database() as address:
        prepared = PreparedDatabase(address)
        try:
            yield prepared
        finally:
            prepared.close()


@contextmanager
def s3_bucket() -> Iterator[dict[str, str]]:
    """The environment in which `s3://hub` is an empty bucket; the test is skipped without the emulator."""
    pytest.importorskip("moto", reason="moto, the S3 emulator, is not installed")
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"
    try:
        for _ in range(200):
            try:
                httpx2.put(f"{address}/hub", timeout=5).raise_for_status()
                break
            except httpx2.HTTPError:
                time.sleep(0.1)
        else:
            raise AssertionError("the S3 emulator did not answer")
        yield {
            "MADANG_STORAGE_URL": "s3://hub",
            "AWS_ENDPOINT_URL": address,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
    finally:
        server.kill()
        server.wait()
