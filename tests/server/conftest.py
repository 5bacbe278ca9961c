"""Hubs for the tests of the server.

They stand on SQLite. With `MADANG_TEST_DATABASE=postgresql` all that come from `hub` and `served` stand on PostgreSQL;
without it, those of the files in ON_BOTH are tried on one and on the other.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server's packages are not installed: pip install 'madang[server]'")

from fastapi.testclient import TestClient
from starlette.types import ASGIApp

from madang.server.accounts import finding
from madang.server.accounts.caller import Caller
from madang.server.app import create_application
from madang.server.git.objects import BLOB, FILE_MODE, Commit, Entry, GitObject, Signature
from madang.server.git.refs import MAIN, move_ref, read_ref
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree
from madang.server.repositories import service
from madang.server.repositories.access import find
from madang.server.repositories.authors import signature
from madang.testing.hub import HubForTests, hub_in, running_hub
from tests.server.services import PreparedDatabase, postgres_database, prepared_postgres, s3_bucket

# where most depends on what the database does: locks, orders, conflicts, text
ON_BOTH = {
    "test_accounts",
    "test_commits",
    "test_discussions",
    "test_facets",
    "test_listing",
    "test_organisations",
    "test_pull_requests",
    "test_refs",
    "test_search",
    "test_simultaneous",
    "test_sizes",
    "test_xet",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "database" in metafunc.fixturenames:
        asked = os.environ.get("MADANG_TEST_DATABASE", "")
        if asked not in ("", "postgresql"):
            raise pytest.UsageError(f"MADANG_TEST_DATABASE is {asked!r}; it can be postgresql, or not be set")
        postgresql = pytest.param("postgresql", marks=pytest.mark.loopback)
        if asked:
            metafunc.parametrize("database", [postgresql], indirect=True)
        elif metafunc.module.__name__.rpartition(".")[2] in ON_BOTH:
            metafunc.parametrize("database", ["sqlite", postgresql], indirect=True)


@pytest.fixture
def database(request: pytest.FixtureRequest) -> dict[str, str]:
    """The settings that say on which database a hub stands: an empty one."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return {}
    prepared: PreparedDatabase = request.getfixturevalue("prepared_postgresql")
    prepared.empty()
    return {"database_url": prepared.address}


@pytest.fixture(scope="session")
def prepared_postgresql() -> Iterator[PreparedDatabase]:
    """The database that all tests on PostgreSQL use in turn."""
    with prepared_postgres() as prepared:
        yield prepared


@pytest.fixture
def hub(tmp_path: Path, database: dict[str, str]) -> Iterator[HubForTests]:
    """A hub in this process, without a port."""
    made = hub_in(tmp_path / "hub", **database)
    yield made
    made.hub.close()


@pytest.fixture
def application(hub: HubForTests) -> ASGIApp:
    """The hub as an application; one for all clients of a test, because its addresses are put together at first use."""
    return create_application(hub.hub)


@pytest.fixture
def client(hub: HubForTests, application: ASGIApp) -> Callable[..., TestClient]:
    """`client("alice")`: requests with a token of that user, who is made; `client()`: of nobody."""

    def make(user: str | None = None, **token: object) -> TestClient:
        headers = {"Authorization": f"Bearer {hub.user(user, **token)}"} if user else {}
        return TestClient(application, headers=headers, raise_server_exceptions=False)

    return make


@pytest.fixture
def served(tmp_path: Path, database: dict[str, str]) -> Iterator[HubForTests]:
    """A hub behind a real port, for clients in processes of their own (mark such tests `loopback`)."""
    with running_hub(tmp_path / "hub", **database) as made:
        yield made


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[dict[str, str]]:
    """The environment in which buckets are those of an emulator."""
    with s3_bucket() as environment:
        yield environment


@pytest.fixture
def bucket(bucket_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty place in a bucket, as `MADANG_STORAGE_URL` takes it (mark tests of it `loopback`)."""
    for name, value in bucket_server.items():
        monkeypatch.setenv(name, value)
    return f"{bucket_server['MADANG_STORAGE_URL']}/{secrets.token_hex(8)}"


@pytest.fixture
def postgresql() -> Iterator[str]:
    """The address of an empty database of PostgreSQL (mark tests of it `loopback`)."""
    with postgres_database() as address:
        yield address


@pytest.fixture
def commit(hub: HubForTests) -> Callable[..., str]:
    """`commit("alice/bert", {"a/b": b"content", "gone": None})`: makes a commit, as git pushes it; returns its id."""

    def make(
        name: str,
        files: dict[str, bytes | None],
        message: str = "Change",
        *,
        type: str = "model",
        ref: str = MAIN,
        parents: Sequence[str] = (),
        author: Signature | None = None,
    ) -> str:
        with hub.hub.database.write() as connection:
            owner = Caller(finding.user_named(connection, name.partition("/")[0]))
            repository = find(connection, owner, type, name).repository
            objects, head = Objects(connection, repository.id), read_ref(connection, repository.id, ref)
            assert head is not None
            assert owner.account is not None
            blobs = {path: GitObject.of(BLOB, content) for path, content in files.items() if content is not None}
            entries = {path: Entry("", FILE_MODE, blobs[path].oid) if path in blobs else None for path in files}
            tree, trees = change_tree(objects, objects.commit(head).tree, entries)
            who = author or signature(owner.account)
            made = Commit(tree, (head, *parents), who, who, message).encode()
            objects.put([*blobs.values(), *trees, made])
            move_ref(connection, repository.id, ref, head, made.oid)
            service.after_change(connection, repository, {ref: made.oid})
            return made.oid

    return make
