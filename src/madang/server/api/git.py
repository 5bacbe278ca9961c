"""Git over HTTP: clone, fetch and push at `/alice/bert`, with and without `.git` at the end."""

import re
import zlib
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Annotated, Any, BinaryIO

from fastapi import Depends, Request, Response
from fastapi.responses import PlainTextResponse, StreamingResponse
from fastapi.routing import APIRoute
from starlette.concurrency import run_in_threadpool

from madang.server.api.asking import REALM, AnyCaller, Content, TheHub
from madang.server.api.bodies import in_pieces_of, pieces, whole
from madang.server.errors import InvalidRequest, Refusal
from madang.server.git.protocol.advertisement import RECEIVE, UPLOAD, advertise
from madang.server.git.protocol.receive_pack import check_may_push, receive
from madang.server.git.protocol.room import temporary_file
from madang.server.git.protocol.upload_pack import answer
from madang.server.repositories.access import Found
from madang.server.routing import Router

# wants and haves, 50 bytes each; gunzipped
LONGEST_REQUEST = 16 * 1024 * 1024
PIECE = 1024 * 1024
_NOT_KEPT = {"Cache-Control": "no-cache, max-age=0, must-revalidate"}


class GitRoute(APIRoute):
    """Refusals as git takes them: it shows plain text to people, and asks them for a token when told how."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as error:
                headers = {**_NOT_KEPT, **error.answer_headers}
                if error.status == 401:
                    headers["WWW-Authenticate"] = REALM
                return PlainTextResponse(f"{error}\n", error.status, headers)

        return answered


def pushable(hub: TheHub, caller: AnyCaller, found: Content) -> Found:
    """The repository in the address, if the caller can push to any ref of it: which ones is decided at each."""
    with hub.database.read() as connection:
        check_may_push(connection, caller, found)
    return found


Pushable = Annotated[Found, Depends(pushable)]
# not in the OpenAPI document: what is said here is git's, not JSON
router = Router(tags=["git"], route_class=GitRoute, include_in_schema=False)


@router.get("/{type:prefix}{name:repository}/info/refs")
def refs(request: Request, hub: TheHub, caller: AnyCaller, found: Content, service: str = "") -> Response:
    """What `git clone`, `git fetch` and `git push` ask first."""
    if service not in (UPLOAD, RECEIVE):
        raise InvalidRequest(
            "this hub speaks git's smart protocol only. Update git, or ask for service=git-upload-pack."
        )
    with hub.database.read() as connection:
        if service == RECEIVE:
            check_may_push(connection, caller, found)
        body = advertise(connection, found.repository.id, service, asked_version(request))
    return Response(body, media_type=f"application/x-{service}-advertisement", headers=_NOT_KEPT)


@router.post("/{type:prefix}{name:repository}/git-upload-pack")
async def upload_pack(request: Request, hub: TheHub, found: Content) -> Response:
    """Objects, to somebody who clones or fetches."""
    body = await whole_body(request)
    objects = answer(hub.database, found.repository.id, body, asked_version(request))
    return StreamingResponse(objects, media_type="application/x-git-upload-pack-result", headers=_NOT_KEPT)


@router.post("/{type:prefix}{name:repository}/git-receive-pack")
async def receive_pack(request: Request, hub: TheHub, caller: AnyCaller, found: Pushable) -> Response:
    """Commits, from somebody who pushes."""
    with temporary_file(hub.settings.data / "incoming") as file:
        await save_body(request, file, hub.settings.largest_push_bytes)
        said = await run_in_threadpool(receive, hub, caller, found, file.fileno())
    return Response(said, media_type="application/x-git-receive-pack-result", headers=_NOT_KEPT)


def asked_version(request: Request) -> int:
    """The newest version of the protocol the client and the hub know."""
    versions = re.findall(r"(?:^|:)version=([012])(?=:|$)", request.headers.get("git-protocol", ""))
    return max(map(int, versions), default=0)


class BodyTooLarge(Refusal):
    """More than the hub takes in one request."""

    status = 413

    def __init__(self, limit: int) -> None:
        super().__init__(f"the request is larger than the {limit:,} bytes this hub takes at once.")


async def whole_body(request: Request) -> bytes:
    """The body, gunzipped if it is said to be gzip. Raises BodyTooLarge."""
    body = unzipped(pieces(request), encoding_of(request))
    return await whole(body, LONGEST_REQUEST, BodyTooLarge(LONGEST_REQUEST))


async def save_body(request: Request, file: BinaryIO, limit: int) -> None:
    """The body, gunzipped, into a file. Raises BodyTooLarge."""
    size = 0
    async for piece in in_pieces_of(PIECE, unzipped(pieces(request), encoding_of(request))):
        size += len(piece)
        if size > limit:
            raise BodyTooLarge(limit)
        await run_in_threadpool(file.write, piece)
    await run_in_threadpool(file.flush)


def encoding_of(request: Request) -> str:
    """How the body is encoded: gzip or identity. Raises InvalidRequest for anything else."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip", "x-gzip"):
        raise InvalidRequest(f"this hub does not know the content encoding {encoding[:40]!r}: send gzip, or none.")
    return encoding.removeprefix("x-")


async def unzipped(body: AsyncIterator[bytes], encoding: str) -> AsyncIterator[bytes]:
    """A body in pieces of at most about a megabyte each. Raises InvalidRequest for gzip that is none or is cut off."""
    if encoding == "identity":
        async for piece in body:
            yield piece
        return
    engine = zlib.decompressobj(wbits=31)
    try:
        async for piece in body:
            rest = piece
            while rest and not engine.eof:
                yield engine.decompress(rest, PIECE)
                rest = engine.unconsumed_tail
        # what the engine still holds when its input ended where a piece was full
        while not engine.eof and (more := engine.decompress(b"", PIECE)):
            yield more
    except zlib.error as error:
        raise InvalidRequest(f"the body is no gzip: {error}.") from error
    if not engine.eof:
        raise InvalidRequest("the gzip body ends too early.")
