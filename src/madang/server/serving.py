"""The process that answers: uvicorn around the application, with the kernel sending large files."""

import asyncio
import os
from typing import Any, Final

import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from madang.server.sending import ZERO_COPY

# The kernel is asked for this much at a time, while the disk already reads the next piece: a cold disk would keep
# everybody else waiting.
PIECE: Final = 8 * 1024 * 1024
# Address and headers of a request are in memory before anybody looks at them; nobody needs more than a few kilobytes.
LARGEST_HEAD: Final = 256 * 1024
# a client that takes less than a piece in this time holds a connection and an open file for nothing
SECONDS_FOR_PIECE: Final = 600


class FileSendingProtocol(HttpToolsProtocol):
    """HTTP with the ASGI extension `http.response.zerocopysend`: files go from the disk to the socket by themselves."""

    _waiting = 0  # bytes that came since the last of which something was made

    def data_received(self, data: bytes) -> None:
        self._waiting += len(data)
        super().data_received(data)
        if self._waiting > LARGEST_HEAD and not self.transport.is_closing():
            self.send_400_response("The address and the headers of a request are too long.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ZERO_COPY: {}}

    def on_headers_complete(self) -> None:
        super().on_headers_complete()
        self._waiting = 0

    def on_body(self, body: bytes) -> None:
        super().on_body(body)
        self._waiting = 0  # how long a body may be, its endpoint says

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        # uvicorn's own types know no application but a function
        super()._start_asgi_task(cycle, _WithFiles(app, cycle))  # type: ignore[arg-type]


class _WithFiles:
    """An application whose `send` takes files too."""

    def __init__(self, application: ASGIApp, cycle: RequestResponseCycle) -> None:
        self.application, self.cycle = application, cycle

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_or_copy(message: Message) -> None:
            if message["type"] != ZERO_COPY:
                await send(message)
            elif await self._copy(message["file"], message["offset"], message["count"]):
                await send({"type": "http.response.body", "body": b"", "more_body": message["more_body"]})

        await self.application(scope, receive, send_or_copy)

    async def _copy(self, handle: int, offset: int, count: int) -> bool:
        """Whether all of it was sent; False when the client went away."""
        cycle, loop = self.cycle, asyncio.get_running_loop()
        if cycle.chunked_encoding or count > cycle.expected_content_length:
            raise RuntimeError("a file can be sent only within the Content-Length of the answer")
        await cycle.flow.drain()
        with open(handle, "rb", buffering=0, closefd=False) as file:
            end = offset + count
            while offset < end:
                piece = min(PIECE, end - offset)
                _read_ahead(handle, offset + piece, min(PIECE, end - offset - piece))
                try:
                    if cycle.disconnected:
                        return False
                    async with asyncio.timeout(SECONDS_FOR_PIECE):
                        sent = await loop.sendfile(cycle.transport, file, offset, piece)
                except (ConnectionError, TimeoutError, RuntimeError):  # gone, closing, or too slow
                    cycle.disconnected = True
                    cycle.transport.abort()
                    return False
                if sent != piece:
                    raise RuntimeError("the file became shorter while it was sent")
                offset += sent
                cycle.expected_content_length -= sent
        return True


def _read_ahead(handle: int, offset: int, count: int) -> None:
    if count > 0 and hasattr(os, "posix_fadvise"):
        os.posix_fadvise(handle, offset, count, os.POSIX_FADV_WILLNEED)


def server_for(application: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> uvicorn.Server:
    """A server that is ready to run; `server.run(sockets=[…])` or `server.run()`."""
    config = uvicorn.Config(
        application,
        host=host,
        port=port,
        loop="asyncio",  # its sendfile lets the kernel send large files; uvloop has none
        http=FileSendingProtocol,
        log_level="warning",
        server_header=False,
        timeout_graceful_shutdown=5,
    )
    return uvicorn.Server(config)
