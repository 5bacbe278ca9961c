"""Routes whose bodies cannot fill the memory."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

LARGEST_BYTES = 8 * 1024 * 1024


class LimitedRequest(Request):
    """A request whose body can be had as a whole only up to a limit. `stream()`, for files, has none of its own."""

    async def body(self) -> bytes:
        if not hasattr(self, "_body"):
            body = bytearray()
            async for piece in self.stream():
                body += piece
                if len(body) > LARGEST_BYTES:
                    raise HTTPException(413, f"a request like this may have {LARGEST_BYTES:,} bytes at most.")
            self._body = bytes(body)
        return self._body


class LimitedRoute(APIRoute):
    """A route that reads its JSON from a LimitedRequest."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def limited(request: Request) -> Response:
            return await handler(LimitedRequest(request.scope, request.receive))

        return limited


class Router(APIRouter):
    """What every file of `api/` and `web/` hangs its routes on."""

    def __init__(self, *, route_class: type[APIRoute] = LimitedRoute, **options: Any) -> None:
        super().__init__(route_class=route_class, **options)
