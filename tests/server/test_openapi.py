"""The hub does what its own OpenAPI document says, whatever is sent to it."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings

from madang.server.app import create_application
from madang.testing.hub import hub_in


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The document, with requests of alice to a hub that has her repositories."""
    hub = hub_in(Path(tmp_path_factory.mktemp("openapi")))
    token = hub.user("alice")
    application = create_application(hub.hub)
    with TestClient(application, headers={"Authorization": f"Bearer {token}"}) as client:
        for kind in ("model", "dataset", "space"):
            client.post("/api/repos/create", json={"name": "bert", "type": kind, "sdk": "static"}).raise_for_status()
    loaded = schemathesis.openapi.from_asgi("/api/openapi.json", application)

    @loaded.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        """Every second request is about what is there: the others rarely get further than "not found"."""
        known = {"name": "alice/bert", "revision": "main"}
        for name, value in known.items():
            if path_parameters and name in path_parameters and len(str(path_parameters[name])) % 2:
                path_parameters[name] = value
        return path_parameters

    loaded.token = token
    yield loaded
    hub.hub.close()


def test_nothing_that_can_be_sent_makes_the_hub_fail(api: Any) -> None:
    failed: list[str] = []
    for found in api.get_all_operations():
        operation = found.ok()

        @given(case=operation.as_strategy())
        @settings(
            max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
        )
        def ask(case: Any) -> None:
            answer = case.call(headers={"Authorization": f"Bearer {api.token}"})
            if answer.status_code >= 500:
                failed.append(f"{case.as_curl_command()} -> {answer.status_code} {answer.text[:500]}")
            elif answer.status_code >= 400 and case.method != "HEAD":
                assert isinstance(answer.json()["error"], str)

        ask()
    assert failed == []


def test_every_address_is_described(client: Callable[..., TestClient]) -> None:
    described = client().get("/api/openapi.json").json()
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description") or operation.get("summary"), f"{method} {path}"
            named = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
            assert named == {piece.partition("}")[0] for piece in path.split("{")[1:]}, f"{method} {path}"
