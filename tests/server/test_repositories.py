"""Making repositories, looking at them, deleting them."""

from collections.abc import Callable

from fastapi.testclient import TestClient


def test_a_new_repository_has_one_commit_with_gitattributes(client: Callable[..., TestClient]) -> None:
    alice = client("alice")
    made = alice.post("/api/repos/create", json={"name": "bert"}).json()
    assert made["name"] == "alice/bert"
    assert [item["path"] for item in alice.get("/api/models/alice/bert/tree/main").json()] == [".gitattributes"]


def test_making_it_again_says_where_it_is(client: Callable[..., TestClient]) -> None:
    alice = client("alice")
    url = alice.post("/api/repos/create", json={"name": "bert"}).json()["url"]
    again = alice.post("/api/repos/create", json={"name": "bert"})
    assert (again.status_code, again.json()["url"]) == (409, url)


def test_a_private_repository_looks_absent_to_strangers(client: Callable[..., TestClient]) -> None:
    client("alice").post("/api/repos/create", json={"name": "secret", "private": True})
    for stranger, status in ((client("bob"), 404), (client(), 401)):
        hidden = stranger.get("/api/models/alice/secret")
        missing = stranger.get("/api/models/alice/nothing")
        assert hidden.status_code == missing.status_code == status
        assert hidden.headers["x-error-code"] == missing.headers["x-error-code"] == "RepoNotFound"
        assert hidden.json() == missing.json()
