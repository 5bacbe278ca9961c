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
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
    try:
        yield f"postgresql://postgres@127.0.0.1:5432/{name}"
    finally:
        with engine.connect() as connection:
            connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


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
