"""Hubs for the tests of the server."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the server's packages are not installed: pip install 'madang[server]'")

from fastapi.testclient import TestClient

from madang.server.app import create_application
from madang.testing.hub import HubForTests, hub_in, running_hub


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[HubForTests]:
    """A hub in this process, without a port."""
    made = hub_in(tmp_path / "hub")
    yield made
    made.hub.close()


@pytest.fixture
def client(hub: HubForTests) -> Callable[..., TestClient]:
    """`client("alice")`: requests with a token of that user, who is made; `client()`: of nobody."""

    def make(user: str | None = None, **token: object) -> TestClient:
        headers = {"Authorization": f"Bearer {hub.user(user, **token)}"} if user else {}
        return TestClient(create_application(hub.hub), headers=headers, raise_server_exceptions=False)

    return make


@pytest.fixture
def served(tmp_path: Path) -> Iterator[HubForTests]:
    """A hub behind a real port, for clients in processes of their own (mark such tests `loopback`)."""
    with running_hub(tmp_path / "hub") as made:
        yield made
