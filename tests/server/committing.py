"""Commits as clients send them, for the tests of what changes files."""

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.accounts.records import accounts
from madang.server.large_files import service as large_files
from madang.server.repositories.records import repositories
from madang.testing.hub import HubForTests

Clients = Callable[..., TestClient]
COMMIT = "/api/models/alice/bert/commit/main"


def header(summary: str = "change", **more: Any) -> dict[str, Any]:
    return {"key": "header", "value": {"summary": summary, "description": "", **more}}


def file(path: str, content: bytes | str = b"text\n") -> dict[str, Any]:
    content = content if isinstance(content, bytes) else content.encode()
    return {
        "key": "file",
        "value": {"content": base64.b64encode(content).decode(), "path": path, "encoding": "base64"},
    }


def step(key: str, path: str, **more: Any) -> dict[str, Any]:
    return {"key": key, "value": {"path": path, **more}}


def lines(*items: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)


def commit(client: TestClient, *steps: dict[str, Any], url: str = COMMIT, **said: Any) -> Any:
    return client.post(url, content=lines(header(**said), *steps))


def tree(client: TestClient, revision: str = "main") -> dict[str, dict[str, Any]]:
    listed = client.get(f"/api/models/alice/bert/tree/{revision}?recursive=true").json()
    return {item["path"]: item for item in listed if item["type"] == "file"}


def content(client: TestClient, path: str, revision: str = "main") -> bytes:
    answer = client.get(f"/alice/bert/resolve/{revision}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.content


def uploaded(hub: HubForTests, data: bytes, by: str = "alice", to: str = "alice/bert") -> str:
    """Content that an account brought to a repository; returns its SHA-256."""
    sha256 = hashlib.sha256(data).hexdigest()
    with hub.hub.database.read() as connection:
        account = connection.scalar(sa.select(accounts.c.id).where(accounts.c.name == by))
        repository = connection.scalar(sa.select(repositories.c.id).where(repositories.c.name == to))
    large_files.keep(hub.hub, repository, [data], sha256, len(data), account)
    return sha256


def large(path: str, sha256: str, size: int | None = None) -> dict[str, Any]:
    return step("lfsFile", path, algo="sha256", oid=sha256, **({} if size is None else {"size": size}))
