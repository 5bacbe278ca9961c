"""The application: all addresses of a hub, and how its errors are answered."""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.server import openapi
from madang.server.api import ROUTERS
from madang.server.api.addresses import RawPaths
from madang.server.api.bodies import what_is_wrong
from madang.server.errors import NoSuchAddress, Refusal, StorageFull, is_full
from madang.server.hub import Hub
from madang.server.jobs.all import TASKS
from madang.server.jobs.running import Runner
from madang.server.rate_limits import RateLimitHeaders, RequestLimit, SignInAttempts
from madang.server.web import ROUTERS as PAGES
from madang.server.web.pages import refused, wants_page

log = logging.getLogger("madang.server")


def create_application(hub: Hub) -> ASGIApp:
    """The hub as an ASGI application."""
    app = FastAPI(
        title="Madang hub", docs_url=None, redoc_url=None, openapi_url="/api/openapi.json", lifespan=_with_tasks
    )
    app.state.hub = hub
    app.openapi = lambda: openapi.describe(app)  # type: ignore[method-assign]
    app.state.request_limit = RequestLimit(hub.settings.rate_limit)
    app.state.sign_in_attempts = SignInAttempts()
    app.router.routes.extend(_addresses().routes)
    app.add_exception_handler(Refusal, _refused)
    app.add_exception_handler(RequestValidationError, _not_understood)
    app.add_exception_handler(HTTPException, _no_such_address)
    app.add_exception_handler(sa.exc.DataError, _not_storable)
    app.add_exception_handler(OSError, _from_the_system)
    app.add_exception_handler(Exception, _failed)
    return NamedRequests(RateLimitHeaders(RawPaths(app)))


@cache
def _addresses() -> APIRouter:
    """All routers in one: what their routes need is worked out once, however many hubs a process opens."""
    together = APIRouter()
    for router in (*PAGES, *ROUTERS):
        together.include_router(router)
    return together


@asynccontextmanager
async def _with_tasks(app: FastAPI) -> AsyncIterator[None]:
    """While the application is served, the hub's own tasks run beside it."""
    runner = Runner(app.state.hub, TASKS)
    runner.start()
    yield
    await run_in_threadpool(runner.stop)


class NamedRequests:
    """Every answer names its request: clients print it with errors."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        name = request_id(Headers(scope=scope))

        async def named(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), (b"x-request-id", name.encode())]
            await send(message)

        return await self.application(scope, receive, named)


def request_id(headers: Headers) -> str:
    """The name the client gave to the request, if it can stand in a header, else a new one."""
    given = headers.get("x-request-id") or headers.get("x-amzn-trace-id") or ""
    return given if given.isascii() and given.isprintable() and 0 < len(given) <= 128 else str(uuid4())


def error_answer(status: int, message: str, headers: dict[str, str], body: dict[str, Any]) -> Response:
    """An error in the headers (answers to HEAD have no body) and in the body."""
    message = message.encode("utf-8", "replace").decode()  # JSON can spell halves of characters, which are no text
    return JSONResponse({"error": message, **body}, status, {"X-Error-Message": header_text(message), **headers})


def header_text(text: str) -> str:
    """A message as one line of a header."""
    return "".join(sign if " " <= sign <= "~" else "?" for sign in " ".join(text.split())[:500])


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    if wants_page(request):
        return refused(request, error)
    return error_answer(error.status, str(error), error.answer_headers, error.body)


async def _not_understood(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_answer(400, what_is_wrong(error.errors()), {}, {})


async def _no_such_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 404:
        return await _refused(request, NoSuchAddress())
    return error_answer(error.status_code, str(error.detail), dict(error.headers or {}), {})


async def _not_storable(request: Request, error: Exception) -> Response:
    return error_answer(400, "The request holds text that cannot be kept: NUL characters, or too much of it.", {}, {})


async def _from_the_system(request: Request, error: Exception) -> Response:
    """A full disk is told to who fills it, wherever it was noticed."""
    assert isinstance(error, OSError)
    return await (_refused(request, StorageFull()) if is_full(error) else _failed(request, error))


async def _failed(request: Request, error: Exception) -> Response:
    log.error("request %s failed", request_id(request.headers), exc_info=error)
    return error_answer(500, "The hub failed at this request; its log says why.", {}, {})
