"""No request fills the hub's memory with a body that is read as a whole."""

from collections.abc import Callable, Iterator

import pytest
from fastapi.testclient import TestClient


def pieces() -> Iterator[bytes]:
    """A body that does not say how long it is."""
    yield b'{"name": "'
    for _ in range(200):
        yield b"x" * 65536
    yield b'"}'


@pytest.mark.parametrize("content_type", ["application/json", "application/x-www-form-urlencoded", None])
@pytest.mark.parametrize("announced", [True, False])
def test_a_body_above_the_limit_is_refused(
    client: Callable[..., TestClient], content_type: str | None, announced: bool
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    body = b"".join(pieces()) if announced else pieces()
    answer = client("alice").post("/api/repos/create", content=body, headers=headers)
    assert answer.status_code == 413
    assert "8,388,608 bytes" in answer.json()["error"]


def test_files_may_be_larger(client: Callable[..., TestClient]) -> None:
    alice = client("alice")
    alice.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
    body = b'{"key":"header","value":{"summary":"x"}}\n' + (
        b'{"key":"file","value":{"path":"a","content":"' + b"eHh4" * 3_000_000 + b'","encoding":"base64"}}'
    )
    answer = alice.post(
        "/api/models/alice/bert/commit/main", content=body, headers={"Content-Type": "application/x-ndjson"}
    )
    assert answer.status_code == 200
