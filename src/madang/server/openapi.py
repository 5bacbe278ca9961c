"""The hub's own description of its addresses, at `/api/openapi.json`."""

import re
import warnings
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from madang.server.repositories.names import PLURALS, PREFIXES

METHODS = {"get", "head", "post", "put", "patch", "delete"}
# what stands for a piece of an address that a route takes from the path without naming it as an argument
PIECES: dict[str, dict[str, Any]] = {
    "plural": {"type": "string", "enum": sorted(PLURALS.values())},
    "prefix": {"type": "string", "enum": sorted(PREFIXES.values())},
    "repository": {"type": "string", "description": "owner/name", "minLength": 1, "maxLength": 193},
    "piece": {"type": "string", "minLength": 1},
    "rest": {"type": "string"},
}
ERROR = {
    "description": "Refused; the headers X-Error-Code and X-Error-Message say why, too.",
    "content": {
        "application/json": {
            "schema": {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}
        }
    },
}


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of the application, made once."""
    if app.openapi_schema is None:
        with warnings.catch_warnings():
            # one route for GET and HEAD has one name; `_complete` gives each method its own
            warnings.simplefilter("ignore", UserWarning)
            schema = get_openapi(title=app.title, version="1", routes=app.routes)
        for path, operations in schema["paths"].items():
            for method, operation in operations.items():
                if method in METHODS:
                    _complete(path, method, operation)
        app.openapi_schema = schema
    return app.openapi_schema


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    """Name the pieces of the path that are not named yet, and the answer to what is refused."""
    operation["operationId"] = re.sub(r"\W+", "_", f"{method}_{path}").strip("_")
    operation["responses"].pop("422", None)
    operation["responses"]["default"] = ERROR
    named = {item["name"] for item in operation.get("parameters", ()) if item["in"] == "path"}
    kinds = {"type": "plural" if path.startswith("/api/") else "prefix", "name": "repository", "path": "rest"}
    for piece in path.split("{")[1:]:
        name = piece.partition("}")[0]
        if name not in named:
            schema = PIECES[kinds.get(name, "piece")]
            operation.setdefault("parameters", []).append(
                {"name": name, "in": "path", "required": True, "schema": schema}
            )
