"""A disk that is really full: each way to bring something is refused clearly, and nothing is damaged."""

import hashlib
import os
import random
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.app import create_application
from madang.server.large_files.xet.hashing import text_of
from madang.server.operations.checking import check_hub
from madang.testing.hub import HubForTests, hub_in
from tests.server.committing import COMMIT, commit, content, file, large
from tests.server.git_packs import BLOB, Pack, push
from tests.server.lfs_requests import actions, ask, bring
from tests.server.xet_bodies import Uploader, hash_of, packed

pytestmark = pytest.mark.slow
DISK = 24 * 1024 * 1024
# what is brought has this size, and large files begin below it
SIZE, LARGE_FROM = 3_000_000, 1_000_000


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of some megabytes."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("only root can make a small file system to fill")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def hub(disk: Path) -> Iterator[HubForTests]:
    made = hub_in(disk / "hub", large_from_bytes=LARGE_FROM)
    yield made
    made.hub.close()


@pytest.fixture
def alice(hub: HubForTests) -> TestClient:
    headers = {"Authorization": f"Bearer {hub.user('alice')}"}
    client = TestClient(create_application(hub.hub), headers=headers, raise_server_exceptions=False)
    assert client.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    assert commit(client, file("there", b"before")).status_code == 200
    return client


def fill(disk: Path, left: int) -> Path:
    """Let a disk have so many bytes left."""
    path = disk / "filling"
    with open(path, "wb", buffering=0) as filling:
        free = os.statvfs(disk)
        for _ in range(max(0, free.f_bavail * free.f_frsize - left) // 4096):
            filling.write(bytes(4096))
    return path


def small_files(alice: TestClient, data: bytes) -> Callable[[], Any]:
    """A commit whose content goes into the database."""
    third = len(data) // 4
    steps = [file(f"new{start}", data[start : start + third]) for start in range(0, len(data), third)]
    return lambda: commit(alice, *steps)


def large_in_commit(alice: TestClient, data: bytes) -> Callable[[], Any]:
    """A commit whose content is a large file."""
    return lambda: commit(alice, file("new", data))


def by_lfs(alice: TestClient, data: bytes) -> Callable[[], Any]:
    """A large file at the address that was given when there was room."""
    address = actions(alice, data, repository="alice/bert.git")["upload"]["href"]
    return lambda: TestClient(alice.app, raise_server_exceptions=False).put(address, content=data)


def by_xet(alice: TestClient, data: bytes) -> Callable[[], Any]:
    """The chunks of a large file."""
    uploader = Uploader(alice, "alice/bert")
    chunks = [data[start : start + 60_000] for start in range(0, len(data), 60_000)]
    body = b"".join(map(packed, chunks))
    return lambda: uploader.send("POST", f"/v1/xorbs/default/{text_of(hash_of(chunks))}", body)


ROADS = {"small files": small_files, "a large file in a commit": large_in_commit, "lfs": by_lfs, "xet": by_xet}


def check_works(alice: TestClient, hub: HubForTests) -> None:
    """All that was there is there, everything can be brought again, and no part of what failed is left."""
    assert content(alice, "there") == b"before"
    assert list(map(str, check_hub(hub.hub, deep=True))) == []
    assert [path.name for path in (hub.hub.settings.data / "files" / "incoming").iterdir()] == []
    bring(alice, b"l" * 1000, "alice/bert.git")
    sha256 = hashlib.sha256(b"l" * 1000).hexdigest()
    assert commit(alice, file("after", b"works"), large("large", sha256, 1000)).status_code == 200
    assert (content(alice, "after"), content(alice, "large")) == (b"works", b"l" * 1000)
    uploader = Uploader(alice, "alice/bert")
    assert uploader.shard(uploader.whole([b"x" * 10_000])).status_code == 200
    pack = Pack()
    head = pack.commit(("100644", b"a", pack.add(BLOB, b"hello")))
    assert "ok refs/heads/after" in push(alice, pack.bytes(), head, "refs/heads/after")
    assert list(map(str, check_hub(hub.hub, deep=True))) == []


@pytest.mark.parametrize("left", [0, 40_000, 1_500_000])
@pytest.mark.parametrize("road", ROADS)
def test_what_does_not_fit_is_refused_and_the_hub_goes_on(
    disk: Path, hub: HubForTests, alice: TestClient, road: str, left: int
) -> None:
    send = ROADS[road](alice, random.Random(1).randbytes(SIZE))
    filling = fill(disk, left)
    for _ in range(2):
        answer = send()
        assert answer.status_code == 507, answer.text
        assert "full" in answer.json()["error"]
        assert content(alice, "there") == b"before"
    filling.unlink()
    assert [item["path"] for item in alice.get("/api/models/alice/bert/tree/main").json()] == [
        ".gitattributes",
        "there",
    ]
    assert send().status_code == 200
    check_works(alice, hub)


@pytest.mark.parametrize("left", [0, 40_000, 1_500_000])
def test_a_push_that_does_not_fit_is_refused_and_the_hub_goes_on(
    disk: Path, hub: HubForTests, alice: TestClient, left: int
) -> None:
    data, pack = random.Random(2).randbytes(SIZE), Pack()
    blobs = [pack.add(BLOB, data[start : start + LARGE_FROM // 2]) for start in range(0, SIZE, LARGE_FROM // 2)]
    head = pack.commit(*(("100644", b"%d" % number, blob) for number, blob in enumerate(blobs)))
    filling = fill(disk, left)
    from tests.server.git_packs import NOTHING, push_body, send

    answer = send(alice, push_body((NOTHING, head, "refs/heads/new"), pack=pack.bytes()))
    assert "full" in answer.text
    assert "ok refs/heads/new" not in answer.text
    assert content(alice, "there") == b"before"
    filling.unlink()
    assert "ok refs/heads/new" in push(alice, pack.bytes(), head, "refs/heads/new")
    check_works(alice, hub)


def test_an_lfs_client_is_told_before_it_sends(disk: Path, alice: TestClient) -> None:
    fill(disk, 100_000)
    (answer,) = ask(alice, bytes(SIZE), repository="alice/bert.git").json()["objects"]
    assert answer["error"]["code"] == 507


def test_on_a_full_disk_everything_can_still_be_read_and_nothing_else_be_written(disk: Path, alice: TestClient) -> None:
    fill(disk, 0)
    statuses = {alice.post("/api/repos/create", json={"name": f"r{number}"}).status_code for number in range(20)}
    assert statuses <= {200, 507}
    assert alice.post("/api/repos/create", json={"name": "last"}).status_code == 507
    assert alice.get("/api/models").status_code == 200
    assert content(alice, "there") == b"before"
    assert alice.post(COMMIT, content=b"").status_code == 400
