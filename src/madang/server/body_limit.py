"""How large a body may be that is read into memory as a whole. Files come as streams, with limits of their own."""

import re

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

LARGEST_BYTES = 8 * 1024 * 1024
WHOLE = ("application/json", "application/x-www-form-urlencoded", "application/vnd.git-lfs+json")

# Addresses of files on their way in: clients send them without a type. Their endpoints read them as streams.
STREAMED = re.compile(rb"/xet/[^/]+/[^/]+/(?:v1/xorbs/.+|v[12]/shards)|/lfs/upload/[^/]+(?:/[^/]+)?")


class LimitedBodies:
    """Refuses JSON and forms above the limit with 413, whatever length they claim to have."""

    def __init__(self, application: ASGIApp, limit: int = LARGEST_BYTES) -> None:
        self.application, self.limit = application, limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        streamed = STREAMED.fullmatch(scope.get("raw_path") or b"") is not None
        # without a type, the framework takes a body for JSON
        if scope["type"] != "http" or streamed or not headers.get("content-type", WHOLE[0]).lower().startswith(WHOLE):
            return await self.application(scope, receive, send)
        came = 0

        async def counted() -> Message:
            nonlocal came
            message = await receive()
            came += len(message.get("body", b""))
            if came > self.limit:
                raise HTTPException(413, f"a request like this may have {self.limit:,} bytes at most.")
            return message

        return await self.application(scope, counted, send)
