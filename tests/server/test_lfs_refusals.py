"""Git LFS: what is refused, and that refusals say nothing of what is somebody else's."""

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.testing.hub import HubForTests
from tests.server.lfs_requests import actions, ask, bring, name_of

CONTENT = os.urandom(300_000)


@pytest.fixture
def alice(client: Callable[..., TestClient]) -> TestClient:
    """Alice, who has the repository `alice/big`."""
    made = client("alice")
    assert made.post("/api/repos/create", json={"name": "big"}).status_code == 200
    return made


def kept(hub: HubForTests) -> list[str]:
    return [key for key, _, _ in hub.hub.storage.keys("")]


def test_content_of_a_private_repository_looks_absent_everywhere_else(
    client: Callable[..., TestClient], alice: TestClient
) -> None:
    alice.post("/api/repos/create", json={"name": "secret", "private": True})
    bring(alice, CONTENT, repository="alice/secret.git")
    bob = client("bob")
    bob.post("/api/repos/create", json={"name": "mine"})
    other = os.urandom(len(CONTENT))
    for operation in ("upload", "download"):
        there, absent = ask(bob, CONTENT, other, repository="bob/mine.git", operation=operation).json()["objects"]
        assert set(there) == set(absent)
        assert set(there.get("actions", {})) == set(absent.get("actions", {}))
        assert there.get("error") == absent.get("error")
    for stranger, status in ((bob, 404), (client(), 401)):
        assert ask(stranger, CONTENT, repository="alice/secret.git").status_code == status
        assert ask(stranger, CONTENT, repository="alice/nothing.git").status_code == status


def test_anybody_signed_in_who_reads_may_send_and_nobody_else(
    client: Callable[..., TestClient], alice: TestClient
) -> None:
    bring(client("bob"), CONTENT)
    refused = ask(client(), CONTENT)
    assert refused.status_code == 401
    assert refused.headers["lfs-authenticate"] == refused.headers["www-authenticate"]
    assert refused.headers["lfs-authenticate"].startswith("Basic realm=")
    assert "message" in refused.json()
    assert ask(client("bob", role="read"), os.urandom(5)).status_code == 403
    bad = client()
    bad.headers["Authorization"] = "Bearer hf_wrong"
    assert ask(bad, CONTENT).headers["lfs-authenticate"]


@pytest.mark.parametrize("size", [-1, 6 * 1024**4, 10**30, 1.5, "7", None, True])
def test_sizes_that_no_file_has_are_refused(alice: TestClient, size: object) -> None:
    assert ask(alice, objects=[{"oid": "a" * 64, "size": size}]).status_code == 400


@pytest.mark.parametrize(
    "change",
    [
        {"operation": "delete"},
        {"objects": [{"oid": "../../etc/passwd", "size": 1}]},
        {"objects": [{"oid": "A" * 64, "size": 1}]},
        {"objects": [{"oid": "a" * 64 + "\n", "size": 1}]},
        {"objects": [{"oid": f"{number:064x}", "size": 1} for number in range(1001)]},
        {"objects": "many"},
        {"padding": "x" * 1_100_000},
    ],
    ids=["operation", "path", "upper case", "newline", "too many", "no list", "too long"],
)
def test_requests_that_make_no_sense_are_refused(alice: TestClient, change: dict[str, Any]) -> None:
    assert ask(alice, CONTENT, **change).status_code == 400


def test_another_hash_is_refused(alice: TestClient) -> None:
    assert ask(alice, CONTENT, hash_algo="sha512").status_code == 409


def test_a_size_that_is_not_that_of_the_known_file_is_an_error_of_that_file(alice: TestClient) -> None:
    bring(alice, CONTENT)
    (item,) = ask(alice, objects=[{"oid": name_of(CONTENT), "size": 5}]).json()["objects"]
    assert (item["error"]["code"], "actions" in item) == (422, False)


def test_tickets_that_are_forged_over_or_for_something_else_open_nothing(
    alice: TestClient, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    bring(alice, b"other")
    upload, verify = (actions(alice, CONTENT)[kind]["href"] for kind in ("upload", "verify"))
    body, _, mac = upload.rpartition(".")
    for forged in (f"{body}.{'0' * 64}", f"{body[:-2]}AA.{mac}", f"{body}.", body, f"{body}.é"):
        assert alice.put(forged, content=CONTENT).status_code == 403
    assert alice.get(upload.replace("/lfs/upload/", "/lfs/download/")).status_code == 403
    answer = alice.post(verify, json={"oid": name_of(b"other"), "size": 5})
    assert answer.status_code == 404
    monkeypatch.setattr("madang.server.security.time.time", lambda: 4e9)
    assert alice.put(upload, content=CONTENT).status_code == 403
    assert kept(hub) == [key for key in kept(hub) if name_of(b"other") in key]


def test_tickets_end_with_their_repository(alice: TestClient, hub: HubForTests) -> None:
    upload = actions(alice, CONTENT)["upload"]["href"]
    assert alice.request("DELETE", "/api/repos/delete", json={"name": "big"}).status_code == 200
    assert alice.put(upload, content=CONTENT).status_code == 403
    assert kept(hub) == []


def test_a_repository_deleted_during_the_upload_gets_nothing(
    alice: TestClient, hub: HubForTests, client: Callable[..., TestClient]
) -> None:
    upload = actions(alice, CONTENT)["upload"]["href"]

    def pieces() -> Iterator[bytes]:
        yield CONTENT[:1000]
        assert client("alice").request("DELETE", "/api/repos/delete", json={"name": "big"}).status_code == 200
        yield CONTENT[1000:]

    assert alice.put(upload, content=pieces()).status_code == 403


def test_there_are_no_locks(alice: TestClient) -> None:
    assert (
        alice.post("/alice/big.git/info/lfs/locks/verify", json={"ref": {"name": "refs/heads/main"}}).status_code == 404
    )
