"""Uploads by Xet: tickets on the hub's side, and the chunk store that clients are sent to."""

import json
import tempfile
from collections.abc import Iterator
from typing import IO, Annotated, Any

from fastapi import Depends, Query, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse
from starlette.concurrency import run_in_threadpool

from madang.server.api.asking import Content, SignedIn, TheHub
from madang.server.api.bodies import announced_size, in_pieces_of, pieces
from madang.server.errors import NotFound, Refusal
from madang.server.git.refs import resolve
from madang.server.large_files.xet import deduplication, tickets
from madang.server.large_files.xet.errors import InvalidShard, InvalidXorb
from madang.server.large_files.xet.hashing import from_text
from madang.server.large_files.xet.rebuilding import Progress, register
from madang.server.large_files.xet.service import ArrivingXorb, size_of
from madang.server.large_files.xet.shards import LARGEST_SHARD
from madang.server.large_files.xet.tickets import Asking
from madang.server.large_files.xet.xorbs import LARGEST_BODY
from madang.server.routing import Router

router = Router(tags=["xet"])
STORE = "/xet/{generation:piece}/{account:number}"
# shards up to this size stay in memory while they arrive
IN_MEMORY = 1024 * 1024
PIECE = 1024 * 1024


def ticket(request: Request, hub: TheHub) -> Asking:
    """Who asks the chunk store in the address."""
    return tickets.read(hub, request.headers.get("authorization"), int(request.path_params["account"]))


WithTicket = Annotated[Asking, Depends(ticket)]


@router.get("/api/{type:plural}/{name:repository}/xet-write-token/{revision:piece}")
def write_token(
    hub: TheHub, caller: SignedIn, found: Content, revision: str, create_pr: Annotated[bool, Query()] = False
) -> JSONResponse:
    """A ticket to bring content for a repository. Anybody who may read it can have one: pull requests need it too."""
    if not create_pr:  # else clients name the revision "None": the pull request has none yet
        with hub.database.read() as connection:
            resolve(connection, found.repository.id, revision)
    given = tickets.give(hub, caller, found.repository)
    headers = {
        "X-Xet-Access-Token": given.token,
        "X-Xet-Token-Expiration": str(given.ends),
        "X-Xet-Cas-Url": given.address,
        "Cache-Control": "no-store",
    }
    return JSONResponse({"accessToken": given.token, "exp": given.ends, "casUrl": given.address}, headers=headers)


@router.get(STORE + "/v1/chunks/{prefix:piece}/{hash:piece}")
def chunks(hub: TheHub, asking: WithTicket, hash: str) -> Response:
    """What the hub has that goes with a chunk of the caller's."""
    shard = deduplication.answer(hub, asking, from_text(hash))
    if shard is None:
        raise NotFound("this hub does not have this chunk for you.")
    return Response(shard, media_type="application/octet-stream")


@router.head(STORE + "/v1/xorbs/{prefix:piece}/{hash:piece}")
def xorb_size(hub: TheHub, asking: WithTicket, hash: str) -> Response:
    """Whether the caller may use a xorb."""
    size = size_of(hub, asking, from_text(hash))
    if size is None:
        raise NotFound("this hub does not have this xorb for you.")
    return Response(headers={"Content-Length": str(size)})


@router.post(STORE + "/v1/xorbs/{prefix:piece}/{hash:piece}")
async def take_xorb(request: Request, hub: TheHub, asking: WithTicket, hash: str) -> dict[str, bool]:
    """Take a xorb."""
    announced = announced_size(request)
    if announced is not None and announced > LARGEST_BODY:
        raise InvalidXorb(f"the xorb has {announced:,} bytes; the most this hub takes is {LARGEST_BODY:,}.")
    arriving = await run_in_threadpool(ArrivingXorb, hub, from_text(hash))
    try:
        async for piece in in_pieces_of(PIECE, pieces(request)):
            await run_in_threadpool(arriving.feed, piece)
        return {"was_inserted": await run_in_threadpool(arriving.keep, asking)}
    finally:
        await run_in_threadpool(arriving.discard)


@router.post(STORE + "/v2/shards")
async def take_shard(request: Request, hub: TheHub, asking: WithTicket) -> Response:
    """Make files of xorbs, saying how far it is while that takes long."""
    events = shard_events(hub, asking, await received_shard(request))
    # what is refused within the first seconds is refused with its status
    first = await run_in_threadpool(next, events)

    def lines() -> Iterator[str]:
        yield json.dumps(first) + "\n"
        try:
            for event in events:
                yield json.dumps(event) + "\n"
        except Refusal as error:
            yield json.dumps({"type": "error", "message": str(error), "retryable": error.status == 503}) + "\n"

    return StreamingResponse(lines(), media_type="application/x-ndjson")


@router.post(STORE + "/v1/shards")
async def take_shard_at_once(request: Request, hub: TheHub, asking: WithTicket) -> dict[str, int]:
    """The same for clients that wait in silence."""
    events = shard_events(hub, asking, await received_shard(request))
    await run_in_threadpool(list, events)
    return {"result": 1}


@router.post("/v1/telemetry")
@router.post(STORE + "/v1/telemetry")
def telemetry() -> Response:
    """Clients send figures about their transfers; this hub does not collect any."""
    return Response(status_code=204)


def shard_events(hub: TheHub, asking: Asking, shard: IO[bytes]) -> Iterator[dict[str, Any]]:
    """What the client is told while its files are put together."""
    with shard:
        for progress in register(hub, asking, shard):
            yield event_of(progress)
    yield {"type": "result", "result": 1}


def event_of(progress: Progress) -> dict[str, Any]:
    return {"type": "validating", "verified": progress.done, "total": progress.total}


async def received_shard(request: Request) -> IO[bytes]:
    """The body of the request. Raises InvalidShard when it is too large."""
    shard = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 - who reads it closes it
    size = 0
    try:
        async for piece in in_pieces_of(PIECE, pieces(request)):
            size += len(piece)
            if size > LARGEST_SHARD:
                raise InvalidShard(f"the shard is larger than {LARGEST_SHARD:,} bytes, the most this hub takes.")
            await run_in_threadpool(shard.write, piece)
    except BaseException:
        shard.close()
        raise
    return shard
