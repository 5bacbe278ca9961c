"""Requests of Git LFS, for tests: what is asked in a batch, and a file that is brought."""

import hashlib
from typing import Any

from fastapi.testclient import TestClient


def name_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def ask(
    caller: Any, *contents: bytes, operation: str = "upload", repository: str = "alice/big.git", **more: Any
) -> Any:
    """The answer to a batch request, a refusal being one too."""
    objects = [{"oid": name_of(content), "size": len(content)} for content in contents]
    body = {"operation": operation, "transfers": ["basic"], "objects": objects, "hash_algo": "sha256", **more}
    return caller.post(f"/{repository}/info/lfs/objects/batch", json=body)


def actions(caller: Any, content: bytes, **more: Any) -> dict[str, Any]:
    """What the caller may do with one file."""
    found: dict[str, Any] = ask(caller, content, **more).json()["objects"][0]["actions"]
    return found


def bring(caller: Any, content: bytes, repository: str = "alice/big.git") -> None:
    sent = TestClient(caller.app).put(
        actions(caller, content, repository=repository)["upload"]["href"], content=content
    )
    assert sent.status_code == 200, sent.text
