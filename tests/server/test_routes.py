"""Promises about every address of the hub, drawn from its table of routes: a new one cannot be forgotten."""

from collections.abc import Callable, Iterator
from urllib.parse import quote

import pytest
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.testclient import TestClient

from madang.server.api import ROUTERS
from madang.server.api.asking import Asked
from madang.testing.hub import HubForTests

# what stands in addresses beside the repository, so that requests get as far as the check they are to fail at
VALUES = {
    "revision": "main",
    "path": "README.md",
    "number": "1",
    "branch": "main",
    "comment": "0" * 24,
    "kind": "accepted",
}
TYPES = {"model": "alice/{}", "dataset": "datasets/alice/{}", "space": "spaces/alice/{}"}


def asks_for_repository(dependant: Dependant) -> bool:
    return isinstance(dependant.call, Asked) or any(map(asks_for_repository, dependant.dependencies))


ROUTES = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
NAMED = [route for route in ROUTES if "{name:repository}" in route.path]


def addresses(route: APIRoute, name: str) -> Iterator[str]:
    """The address of a repository's route, for each type it serves."""
    for kind in ("model", "dataset", "space"):
        address = route.path
        plural = {"model": "models", "dataset": "datasets", "space": "spaces"}[kind]
        prefix = {"model": "", "dataset": "datasets/", "space": "spaces/"}[kind]
        if kind != "model" and "{type:plural}" not in address and "{type:prefix}" not in address:
            continue
        address = address.replace("{type:plural}", plural).replace("{type:prefix}", prefix)
        address = address.replace("{name:repository}", name)
        while "{" in address:
            start, end = address.index("{"), address.index("}")
            key = address[start + 1 : end].partition(":")[0]
            address = address[:start] + quote(VALUES.get(key, "x"), safe="/") + address[end + 1 :]
        yield address


def test_there_are_routes() -> None:
    assert len(NAMED) > 30


@pytest.mark.parametrize("route", NAMED, ids=lambda route: f"{min(route.methods)} {route.path}")
def test_a_route_that_names_a_repository_gets_it_by_the_check(route: APIRoute) -> None:
    assert asks_for_repository(route.dependant)


@pytest.fixture
def limited(hub: HubForTests, client: Callable[..., TestClient]) -> TestClient:
    """alice's token for `alice/mine` alone, beside a public and a private repository of each type."""
    alice = client("alice")
    for kind in TYPES:
        for name, private in (("mine", False), ("public", False), ("private", True)):
            body = {"name": name, "type": kind, "private": private, "sdk": "static"}
            assert alice.post("/api/repos/create", json=body).status_code == 200
    scopes = [
        {"entity": {"type": kind, "name": "alice/mine"}, "permissions": ["repo.content.read", "repo.write"]}
        for kind in TYPES
    ]
    return client("alice", role="fineGrained", scopes=scopes)


def test_a_token_for_one_repository_finds_no_other_at_any_address(limited: TestClient) -> None:
    wrong = []
    for route in NAMED:
        for name in ("alice/public", "alice/private"):
            for address in addresses(route, name):
                for method in sorted(route.methods):
                    answer = limited.request(method, address, json={} if method not in ("GET", "HEAD") else None)
                    if answer.status_code != 404 or answer.headers.get("x-error-code") != "RepoNotFound":
                        wrong.append(f"{method} {address}: {answer.status_code} {answer.text[:100]}")
    assert wrong == []


def test_the_same_addresses_know_the_repository_the_token_is_for(limited: TestClient) -> None:
    """Else the test above would pass with addresses that do not exist."""
    wrong = []
    for route in NAMED:
        for address in addresses(route, "alice/mine"):
            for method in sorted(route.methods - {"DELETE"}):
                answer = limited.request(method, address, json={} if method not in ("GET", "HEAD") else None)
                if answer.headers.get("x-error-code") == "RepoNotFound":
                    wrong.append(f"{method} {address}")
    assert wrong == []


@pytest.mark.parametrize("kind", TYPES)
def test_a_token_for_one_repository_cannot_name_another_in_a_body(limited: TestClient, kind: str) -> None:
    for name in ("public", "private"):
        gone = limited.request("DELETE", "/api/repos/delete", json={"name": name, "type": kind})
        assert gone.status_code == 404
        moved = limited.post(
            "/api/repos/move", json={"fromRepo": f"alice/{name}", "toRepo": "alice/taken", "type": kind}
        )
        assert moved.status_code == 404
    assert limited.post("/api/repos/create", json={"name": "new", "type": kind, "sdk": "static"}).status_code == 403


def test_lists_show_a_token_for_one_repository_no_other(limited: TestClient) -> None:
    for plural in ("models", "datasets", "spaces"):
        found = limited.get(f"/api/{plural}", params={"author": "alice"}).json()
        assert [item["id"] for item in found] == ["alice/mine"]
