"""Bodies of requests: read as they come, and no further than they may be long."""

from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from fastapi import Request
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from madang.server.errors import InvalidRequest, Refusal


class Body(BaseModel):
    """A JSON body. Keys nobody knows are let through: clients send more than this hub has."""

    model_config = ConfigDict(extra="ignore")


def what_is_wrong(problems: Iterable[Mapping[str, Any]]) -> str:
    """What pydantic found, as one sentence: where, and what was expected there."""
    return "; ".join(f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}" for item in problems)


async def pieces(request: Request) -> AsyncIterator[bytes]:
    """The body as it comes. Raises InvalidRequest when the other side goes away before its end."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect:
        raise InvalidRequest("the connection ended before the request did. Nothing of it was kept.") from None


async def in_pieces_of(size: int, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    """A body in pieces of about this size: handing one to a thread costs a change of threads."""
    waiting: list[bytes] = []
    length = 0
    async for piece in body:
        waiting.append(piece)
        length += len(piece)
        if length >= size:
            yield b"".join(waiting)
            waiting, length = [], 0
    if waiting:
        yield b"".join(waiting)


async def whole(body: AsyncIterator[bytes], limit: int, refusal: Refusal) -> bytes:
    """All of a body. Raises `refusal` as soon as it is longer than `limit`, without reading the rest."""
    read = bytearray()
    async for piece in body:
        read += piece
        if len(read) > limit:
            raise refusal
    return bytes(read)


def announced_size(request: Request) -> int | None:
    """How many bytes the body is said to have. Raises InvalidRequest for what is no number."""
    text = request.headers.get("content-length")
    if text is None:
        return None
    if not (text.isascii() and text.isdigit()):
        raise InvalidRequest(f"Content-Length is {text[:40]!r}: a number of bytes is expected.")
    return int(text[:20])  # what has more digits is more than anything may have
