"""Likes: who likes what, and the number on the repository."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from madang.testing.hub import HubForTests
from tests.server.two_people import run_client

Clients = Callable[..., TestClient]
LIKE = "/api/models/alice/bert/like"


@pytest.fixture
def alice(client: Clients) -> TestClient:
    """The owner of a public and of a private repository."""
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    made.post("/api/repos/create", json={"name": "secret", "private": True, "type": "dataset"})
    return made


def count(user: TestClient) -> int:
    return int(user.get("/api/models/alice/bert").json()["likes"])


def test_liking_twice_counts_once(alice: TestClient, client: Clients) -> None:
    for user in (alice, client("bob"), client("bob")):
        assert user.post(LIKE).status_code == 200
    assert count(alice) == 2
    assert [item["user"] for item in alice.get("/api/models/alice/bert/likers").json()] == ["bob", "alice"]


def test_unliking_twice_takes_one_back(alice: TestClient, client: Clients) -> None:
    alice.post(LIKE)
    client("bob").post(LIKE)
    assert [alice.delete(LIKE).status_code for _ in range(2)] == [200, 200]
    assert count(alice) == 1
    assert [item["user"] for item in alice.get("/api/models/alice/bert/likers").json()] == ["bob"]


def test_lists_by_likes_follow_at_once(alice: TestClient) -> None:
    def order() -> list[str]:
        return [item["id"] for item in alice.get("/api/models?sort=likes&author=alice").json()]

    alice.post("/api/repos/create", json={"name": "other"})
    for name in ("bert", "other"):
        alice.post(f"/api/models/alice/{name}/like")
        assert order()[0] == f"alice/{name}"
        alice.delete(f"/api/models/alice/{name}/like")


def test_likers_say_what_clients_read(alice: TestClient) -> None:
    alice.post(LIKE)
    (found,) = alice.get("/api/models/alice/bert/likers").json()
    assert (found["user"], found["fullname"]) == ("alice", "alice")
    assert found["avatarUrl"].startswith("http")


def test_private_repositories_are_missing_from_others_lists(alice: TestClient, client: Clients) -> None:
    alice.post(LIKE)
    alice.post("/api/datasets/alice/secret/like")
    own = [item["repo"] for item in alice.get("/api/users/ALICE/likes").json()]
    assert own == [{"name": "alice/secret", "type": "dataset"}, {"name": "alice/bert", "type": "model"}]
    for stranger in (client("bob"), client()):
        seen = [item["repo"]["name"] for item in stranger.get("/api/users/alice/likes").json()]
        assert seen == ["alice/bert"]


def test_a_private_repository_cannot_be_liked_by_strangers(alice: TestClient, client: Clients) -> None:
    answer = client("bob").post("/api/datasets/alice/secret/like")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RepoNotFound")


def test_only_accounts_like(alice: TestClient, client: Clients) -> None:
    assert client().post(LIKE).status_code == 401
    for token in ({"role": "read"}, {"role": "fineGrained", "scopes": [scope("model", "alice/bert")]}):
        assert client("bob", **token).post(LIKE).status_code == 403
        assert client("bob", **token).delete(LIKE).status_code == 403
    assert count(alice) == 0


def scope(type: str, name: str) -> dict[str, object]:
    return {"entity": {"type": type, "name": name}, "permissions": ["repo.content.read"]}


@pytest.mark.parametrize("kind", ["likers", "likes"])
def test_long_lists_come_in_pages(alice: TestClient, client: Clients, kind: str) -> None:
    names = [f"user{number}" for number in range(5)]
    for name in names:
        client(name).post(LIKE)
        alice.post("/api/repos/create", json={"name": name})
        alice.post(f"/api/models/alice/{name}/like")
    address = "/api/models/alice/bert/likers?limit=2" if kind == "likers" else "/api/users/alice/likes?limit=2"
    seen, pages = [], 0
    while address:
        answer = alice.get(address.removeprefix("http://testserver"))
        seen += [item["user"] if kind == "likers" else item["repo"]["name"].split("/")[1] for item in answer.json()]
        found = re.fullmatch('<(.*)>; rel="next"', answer.headers.get("link", ""))
        address, pages = (found.group(1) if found else ""), pages + 1
    assert (seen, pages) == (names[::-1], 3)


@pytest.mark.parametrize("cursor", ["x", "W10", "WzEsIm4iXQ", "bnVsbA", "WzEsOTk5OTk5OTk5OTk5OTk5OTk5OTk5OTld"])
def test_cursors_nobody_gave_out_are_refused(alice: TestClient, cursor: str) -> None:
    alice.post(LIKE)
    answer = alice.get("/api/models/alice/bert/likers", params={"cursor": cursor})
    assert answer.status_code in ((200, 400) if cursor == "bnVsbA" else (400,))


def test_the_likes_of_nobody_are_not_found(client: Clients) -> None:
    assert client().get("/api/users/nobody/likes").status_code == 404


@pytest.mark.loopback
def test_the_public_client_reads_likes_and_takes_them_back(served: HubForTests, tmp_path: Path) -> None:
    run_client("likes.py", served, tmp_path)
