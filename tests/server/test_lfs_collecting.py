"""Freeing large files: what nobody has, when its time is over, and never what somebody brings at that moment."""

import hashlib
import os
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.records import accounts
from madang.server.clock import now
from madang.server.git.commits import NewFile
from madang.server.git.pointers import Pointer
from madang.server.git.refs import MAIN, move_ref, read_ref
from madang.server.hub import Hub
from madang.server.large_files import collecting, service
from madang.server.large_files.errors import FreedMeanwhile
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.repositories import service as repositories
from madang.server.repositories.repository import Repository
from madang.server.storage.blobs import blob_key
from madang.testing.hub import HubForTests, hub_in

CONTENT = os.urandom(100_000)
NAME = hashlib.sha256(CONTENT).hexdigest()
HOUR = 3600


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.loopback)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HubForTests]:
    """A hub on either database, with a grace period of one hour."""
    more = {} if request.param == "sqlite" else {"database_url": request.getfixturevalue("postgresql")}
    made = hub_in(tmp_path / "hub", grace_seconds=HOUR, **more)
    yield made
    made.hub.close()


def person(hub: Hub, made: HubForTests, name: str) -> Account:
    made.user(name)
    with hub.database.read() as connection:
        row = connection.execute(sa.select(accounts).where(accounts.c.name == name)).mappings().one()
    return Account(**{key: row[key] for key in Account.__dataclass_fields__})


@pytest.fixture
def alice(hub: HubForTests) -> Account:
    return person(hub.hub, hub, "alice")


def repository(hub: HubForTests, owner: Account, name: str) -> Repository:
    with hub.hub.database.write() as connection:
        return repositories.create(connection, Caller(owner), "model", name)


def bring(hub: HubForTests, into: Repository, account: Account, content: bytes = CONTENT) -> str:
    name = hashlib.sha256(content).hexdigest()
    service.keep(hub.hub, into.id, iter([content]), name, len(content), account.id)
    return name


def age(hub: HubForTests, hours: float = 2) -> None:
    """Let everything that is stored be older."""
    milliseconds = int(hours * HOUR * 1000)
    with hub.hub.database.write() as connection:
        connection.execute(blobs.update().values(created_at=blobs.c.created_at - milliseconds))
        connection.execute(repository_blobs.update().values(uploaded_at=repository_blobs.c.uploaded_at - milliseconds))
    for key, _, written in hub.hub.storage.keys(""):
        path = hub.hub.storage.path(key)
        assert path is not None
        os.utime(path, (written / 1000 - hours * HOUR,) * 2)


def stored(hub: HubForTests) -> set[str]:
    return {key.rpartition("/")[2] for key, _, _ in hub.hub.storage.keys("")}


def rows(hub: HubForTests, table: sa.Table) -> list[Any]:
    with hub.hub.database.read() as connection:
        return list(connection.execute(sa.select(table)))


def test_two_repositories_share_one_file_and_the_last_frees_it(hub: HubForTests, alice: Account) -> None:
    first, second = repository(hub, alice, "first"), repository(hub, alice, "second")
    bring(hub, first, alice)
    bring(hub, second, alice)
    assert stored(hub) == {NAME}
    for left, expected in ((first, collecting.Collected()), (second, collecting.Collected(1, len(CONTENT)))):
        with hub.hub.database.write() as connection:
            repositories.delete(connection, left)
        age(hub)
        assert collecting.collect(hub.hub) == expected
    assert stored(hub) == set()
    assert rows(hub, blobs) == []


def test_nothing_is_freed_before_its_time(hub: HubForTests, alice: Account) -> None:
    bring(hub, made := repository(hub, alice, "first"), alice)
    with hub.hub.database.write() as connection:
        service.forget(connection, made.id, [NAME])
    age(hub, 0.9)
    assert collecting.collect(hub.hub) == collecting.Collected()
    age(hub, 0.2)
    assert collecting.collect(hub.hub) == collecting.Collected(1, len(CONTENT))


def test_content_the_database_was_never_told_of_is_freed_in_its_time(hub: HubForTests) -> None:
    service.receive(hub.hub.storage, [CONTENT], NAME, len(CONTENT))
    assert collecting.collect(hub.hub) == collecting.Collected()
    age(hub)
    assert collecting.collect(hub.hub) == collecting.Collected(1, len(CONTENT))
    assert stored(hub) == set()


def test_parts_and_half_written_files_go_after_a_day(hub: HubForTests) -> None:
    storage = hub.hub.storage
    with storage.writer("parts/1-1-a/1") as writer:
        writer.write(b"part")
        writer.commit()
    left = storage.writer("b")
    age(hub, 23)
    collecting.collect(hub.hub)
    assert stored(hub) == {"1"}
    age(hub, 2)
    collecting.collect(hub.hub)
    assert stored(hub) == set()
    left.discard()


def test_who_may_use_content(hub: HubForTests, alice: Account) -> None:
    bob = person(hub.hub, hub, "bob")
    secret, other = repository(hub, alice, "secret"), repository(hub, bob, "other")
    bring(hub, secret, alice)
    with hub.hub.database.read() as connection:
        assert service.known(connection, secret.id, NAME, None) == len(CONTENT)
        assert service.known(connection, other.id, NAME, alice.id) == len(CONTENT)
        assert service.known(connection, other.id, NAME, bob.id) is None
        assert service.known(connection, other.id, NAME, None) is None
        assert service.known(connection, secret.id, "0" * 64, alice.id) is None


def test_a_false_size_is_refused_and_changes_nothing(hub: HubForTests, alice: Account) -> None:
    made = repository(hub, alice, "first")
    bring(hub, made, alice)
    with pytest.raises(service.InvalidRequest, match="100000 bytes, not 5"), hub.hub.database.write() as connection:
        service.add(connection, made.id, NAME, 5, alice.id)
    assert [row.size for row in rows(hub, blobs)] == [len(CONTENT)]


def test_a_false_announcement_does_not_decide_the_size(hub: HubForTests, alice: Account) -> None:
    made = repository(hub, alice, "first")
    with hub.hub.database.write() as connection:
        service.announce(connection, NAME, 5)
    bring(hub, made, alice)
    assert [row.size for row in rows(hub, blobs)] == [len(CONTENT)]


def test_an_upload_that_began_before_the_collection_keeps_its_content(hub: HubForTests, alice: Account) -> None:
    made = repository(hub, alice, "first")
    bring(hub, made, alice)
    with hub.hub.database.write() as connection:
        service.forget(connection, made.id, [NAME])
    age(hub)

    def pieces() -> Iterator[bytes]:
        assert collecting.collect(hub.hub) == collecting.Collected()  # it was announced
        yield CONTENT

    service.keep(hub.hub, made.id, pieces(), NAME, len(CONTENT), alice.id)
    assert collecting.collect(hub.hub) == collecting.Collected()
    assert b"".join(hub.hub.storage.read(blob_key(NAME))) == CONTENT


def test_an_upload_that_begins_while_its_content_is_freed_brings_it_again(
    hub: HubForTests, alice: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = repository(hub, alice, "first")
    bring(hub, made, alice)
    with hub.hub.database.write() as connection:
        service.forget(connection, made.id, [NAME])
    age(hub)
    storage = hub.hub.storage
    delete, asked = storage.delete, threading.Event()
    upload = threading.Thread(
        target=lambda: (asked.set(), service.keep(hub.hub, made.id, [CONTENT], NAME, len(CONTENT), alice.id))
    )

    def slow_delete(key: str) -> None:
        upload.start()
        assert asked.wait(10)
        upload.join(0.3)  # time enough to overtake, were it not waiting for this transaction
        assert upload.is_alive()
        delete(key)

    monkeypatch.setattr(storage, "delete", slow_delete)
    assert collecting.collect(hub.hub) == collecting.Collected(1, len(CONTENT))
    upload.join(30)
    assert b"".join(storage.read(blob_key(NAME))) == CONTENT
    with hub.hub.database.read() as connection:
        assert service.known(connection, made.id, NAME, None) == len(CONTENT)


def test_many_uploads_beside_many_collections_lose_nothing(hub: HubForTests, alice: Account) -> None:
    hub.hub.settings = replace(hub.hub.settings, grace_seconds=0)  # everything may be freed at once
    made = repository(hub, alice, "first")
    stop = threading.Event()
    failed: list[Exception] = []
    freed: list[int] = []

    def collect_again() -> None:
        try:
            while not stop.is_set():
                freed.append(collecting.collect(hub.hub).files)
        except Exception as error:
            failed.append(error)

    threads = [threading.Thread(target=collect_again) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        brought = 0
        while (brought < 40 or sum(freed) < 5) and not failed:
            try:
                bring(hub, made, alice)
            except FreedMeanwhile:
                continue  # the client was told, and repeats
            brought += 1
            assert b"".join(hub.hub.storage.read(blob_key(NAME))) == CONTENT
            with hub.hub.database.write() as connection:
                service.forget(connection, made.id, [NAME])
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)
    assert failed == []


def commit(hub: HubForTests, to: Repository, author: Account, path: str, content: bytes) -> None:
    pointer = Pointer(hashlib.sha256(content).hexdigest(), len(content))
    with hub.hub.database.write() as connection:
        changes: dict[str, Any] = {path: NewFile(pointer.encode())}
        repositories.change_files(connection, to, MAIN, changes, author=author, message="add")


def test_a_repository_lets_go_of_what_no_commit_names(hub: HubForTests, alice: Account) -> None:
    made = repository(hub, alice, "first")
    contents = [bytes([number]) * 1000 for number in range(4)]
    names = [bring(hub, made, alice, content) for content in contents]
    commit(hub, made, alice, "a/b/deep.bin", contents[0])
    commit(hub, made, alice, "a/b/deep.bin", contents[1])  # the first is in the history still
    with hub.hub.database.write() as connection:
        head = read_ref(connection, made.id, MAIN)
        move_ref(connection, made.id, "refs/tags/other", None, head)
    commit(hub, made, alice, "tagged no more.bin", contents[2])
    with hub.hub.database.write() as connection:
        move_ref(connection, made.id, MAIN, read_ref(connection, made.id, MAIN), head)
        assert collecting.release_unreachable(connection, made.id, now() - HOUR * 1000) == 0
    age(hub)
    with hub.hub.database.write() as connection:
        assert collecting.release_unreachable(connection, made.id, now() - HOUR * 1000) == 2
    assert collecting.collect(hub.hub).files == 2
    assert stored(hub) == set(names[:2])


def test_what_a_commit_brings_anew_is_not_let_go(hub: HubForTests, alice: Account) -> None:
    made = repository(hub, alice, "first")
    bring(hub, made, alice)
    age(hub)
    with hub.hub.database.write() as connection:
        size = service.known(connection, made.id, NAME, alice.id)
        assert size is not None
        service.add(connection, made.id, NAME, size, alice.id)
    with hub.hub.database.write() as connection:
        assert collecting.release_unreachable(connection, made.id, now() - HOUR * 1000) == 0
