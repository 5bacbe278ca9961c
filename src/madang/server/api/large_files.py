"""Git LFS: what git-lfs and huggingface_hub ask to send and get large files, and the addresses they are told.

The batch request is made with a token and names the repository; what follows goes to addresses with a ticket.
"""

import asyncio
import re
from collections.abc import Callable, Coroutine
from typing import Annotated, Any, Literal, TypeVar

import anyio
from anyio.to_thread import run_sync
from fastapi import Depends, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import Field, ValidationError

from madang.server.accounts.caller import Account, Caller, Right
from madang.server.api.asking import REALM, AnyCaller, Content, TheHub
from madang.server.api.bodies import Body, announced_size, what_is_wrong, whole
from madang.server.api.bodies import pieces as pieces_of
from madang.server.api.paging import Sha256
from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound, NotSignedIn, Refusal
from madang.server.hub import Hub
from madang.server.large_files import service, uploads
from madang.server.large_files.uploads import Upload
from madang.server.repositories.access import Found
from madang.server.routing import Router
from madang.server.sending import StoredFile, safe_headers
from madang.server.storage.blobs import blob_key

MEDIA_TYPE = "application/vnd.git-lfs+json"
MOST_OBJECTS = 1000
LARGEST_REQUEST = 1024 * 1024
# how much of an upload is in memory: a batch that comes and one that is hashed and written meanwhile
BATCH = 4 * 1024 * 1024

Size = Annotated[int, Field(ge=0, le=uploads.LARGEST_FILE, strict=True)]


class LfsRoute(APIRoute):
    """Refusals as git-lfs takes them: `message` is what it shows, and by `LFS-Authenticate` it asks for a token."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def answered(request: Request) -> Response:
            try:
                return await handler(request)
            except Refusal as error:
                error.body = {"message": str(error), **error.body}
                if error.status == 401:
                    error.headers |= {"LFS-Authenticate": REALM, "WWW-Authenticate": REALM}
                raise

        return answered


router = Router(tags=["large files"], route_class=LfsRoute)


class LargeObject(Body):
    oid: Sha256
    size: Size


class Batch(Body):
    operation: Literal["upload", "download"]
    objects: Annotated[list[LargeObject], Field(max_length=MOST_OBJECTS)]
    transfers: Annotated[tuple[str, ...], Field(max_length=20)] = ("basic",)
    hash_algo: str = "sha256"


class Part(Body):
    number: Annotated[int, Field(alias="partNumber", ge=1, le=uploads.MOST_PARTS)]


class Completion(Body):
    oid: Sha256
    parts: Annotated[list[Part], Field(max_length=uploads.MOST_PARTS)]


async def small_body(request: Request) -> bytes:
    """The body of a request that is short. Raises InvalidRequest for a long one, without reading all of it."""
    too_long = InvalidRequest(f"this request has more than {LARGEST_REQUEST:,} bytes. Ask for fewer objects at once.")
    return await whole(pieces_of(request), LARGEST_REQUEST, too_long)


SmallBody = Annotated[bytes, Depends(small_body)]


Kind = TypeVar("Kind", bound=Body)


def parsed(kind: type[Kind], body: bytes) -> Kind:
    """The JSON of a body. Raises InvalidRequest, which says what is wrong where."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        raise InvalidRequest(what_is_wrong(error.errors()[:5])) from None


@router.post("/{type:prefix}{name:repository}/info/lfs/objects/batch")
def batch(hub: TheHub, found: Content, caller: AnyCaller, body: SmallBody) -> Response:
    """Where each file is sent to, or read from."""
    asked = parsed(Batch, body)
    if asked.hash_algo != "sha256":
        raise Conflict(f"this hub names files by their sha256, not by {asked.hash_algo[:20]!r}.")
    transfer = "basic"
    if asked.operation == "download":
        objects = _downloads(hub, found, caller, asked)
    else:
        account = _uploader(caller, found)
        if "multipart" in asked.transfers and any(item.size > uploads.MULTIPART_FROM for item in asked.objects):
            transfer = "multipart"
        objects = _uploads(hub, found, account, asked, in_parts=transfer == "multipart")
    return JSONResponse({"transfer": transfer, "objects": objects, "hash_algo": "sha256"}, media_type=MEDIA_TYPE)


@router.post("/{type:prefix}{name:repository}/info/lfs/locks/verify")
def locks(found: Content) -> Response:
    """git-lfs asks before each push whether somebody locked the files."""
    raise NotFound("this hub has no locks on files.")


def _uploader(caller: Caller, found: Found) -> Account:
    """Anybody who is signed in may send files to a repository that they can read: pull requests need no more.

    The commit is where it is decided who may change a branch.
    """
    if caller.account is None:
        raise NotSignedIn(f"Sign in to send files to {found.repository.name}: use a token as the password.")
    token = caller.token
    if token is not None and token.limit(found.repository.type, found.repository.name) < Right.WRITE:
        raise Forbidden(f"Your token {token.name!r} may only read {found.repository.name}. Use one that may write.")
    return caller.account


def _uploads(hub: Hub, found: Found, account: Account, asked: Batch, *, in_parts: bool) -> list[dict[str, Any]]:
    repository_id = found.repository.id
    with hub.database.write() as connection:
        there = service.known_sizes(connection, repository_id, (item.oid for item in asked.objects), account.id)
        # the client sends nothing of these: they must not be collected before it commits
        for sha256, size in sorted(there.items()):
            service.add(connection, repository_id, sha256, size, account.id)
    room = hub.storage.room()
    answers = []
    for item in asked.objects:
        answer: dict[str, Any] = {"oid": item.oid, "size": item.size}
        needed = item.size * (2 if in_parts else 1)
        if item.oid in there:
            if there[item.oid] != item.size:
                answer["error"] = _error(422, f"this file has {there[item.oid]} bytes, not {item.size}.")
        elif room is not None and needed > room:
            answer["error"] = _error(507, "the disk of this hub has no room for this file. Ask its administrator.")
        else:
            room = None if room is None else room - needed
            part_size = uploads.part_size_for(item.size, len(asked.objects)) if in_parts else 0
            upload = Upload(repository_id, account.id, item.oid, item.size, part_size)
            answer |= {"authenticated": True, "actions": _upload_actions(hub, upload)}
        answers.append(answer)
    return answers


def _upload_actions(hub: Hub, upload: Upload) -> dict[str, Any]:
    ticket, address = uploads.upload_ticket(hub, upload), f"{hub.settings.address}/lfs"
    expiry = {"expires_in": uploads.TICKET_SECONDS}
    verify = {"href": f"{address}/verify/{ticket}", **expiry}
    if not upload.part_size:
        return {"upload": {"href": f"{address}/upload/{ticket}", **expiry}, "verify": verify}
    header = {"chunk_size": str(upload.part_size)}
    header |= {str(number): f"{address}/upload/{ticket}/{number}" for number in range(1, upload.parts + 1)}
    return {"upload": {"href": f"{address}/complete/{ticket}", "header": header, **expiry}, "verify": verify}


def _downloads(hub: Hub, found: Found, caller: Caller, asked: Batch) -> list[dict[str, Any]]:
    repository_id = found.repository.id
    account_id = None if caller.account is None else caller.account.id
    with hub.database.read() as connection:
        there = service.known_sizes(connection, repository_id, (item.oid for item in asked.objects), None)
    answers: list[dict[str, Any]] = []
    for item in asked.objects:
        if item.oid not in there:
            missing = _error(404, "this repository has no such file.")
            answers.append({"oid": item.oid, "size": item.size, "error": missing})
            continue
        seconds = uploads.DOWNLOAD_SECONDS
        address = hub.storage.signed_address(blob_key(item.oid), seconds, file_name=item.oid)
        if address is None:
            ticket = uploads.download_ticket(hub, repository_id, item.oid, account_id)
            address = f"{hub.settings.address}/lfs/download/{ticket}"
        actions = {"download": {"href": address, "expires_in": seconds}}
        answers.append({"oid": item.oid, "size": there[item.oid], "authenticated": True, "actions": actions})
    return answers


def _error(code: int, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}


@router.put("/lfs/upload/{ticket:piece}")
async def put_file(request: Request, hub: TheHub, ticket: str) -> Response:
    """A whole file."""
    upload = await run_sync(uploads.read_upload, hub, ticket)
    if upload.part_size:
        raise InvalidRequest("this file was to come in parts: send them to the addresses of the parts.")
    _check_length(request, upload.size)
    arrival = await run_sync(uploads.begin, hub, upload)

    def finish() -> None:
        arrival.finish()
        uploads.end(hub, upload)

    await pour(request, arrival, finish)
    return Response(headers={"ETag": f'"{upload.sha256}"'})


@router.put("/lfs/upload/{ticket:piece}/{number:piece}")
async def put_part(request: Request, hub: TheHub, ticket: str, number: str) -> Response:
    """One part of a file; the answer has the ETag that clients send back at the end."""
    upload = await run_sync(uploads.read_upload, hub, ticket)
    part = int(number) if re.fullmatch("[0-9]{1,6}", number) else 0
    _check_length(request, upload.size_of(part))
    arrival = await run_sync(uploads.begin_part, hub, upload, part)
    await pour(request, arrival, arrival.finish)
    return Response(headers={"ETag": f'"{upload.sha256[:16]}-{part}"'})


def _check_length(request: Request, size: int) -> None:
    """Refuse a body of the wrong length before it is sent."""
    given = announced_size(request)
    if given is not None and given != size:
        raise InvalidRequest(f"{given} bytes are being sent; {size} were announced. Nothing was kept.")


async def pour(request: Request, arrival: service.Arrival, finish: Callable[[], None]) -> None:
    """Write the body of a request while it comes, hashing and writing in a thread, and `finish`.

    Nothing is kept when it ends early. Raises InvalidRequest, StorageFull.
    """
    writing: asyncio.Task[None] | None = None
    pieces: list[bytes] = []
    count = 0
    try:
        async for piece in pieces_of(request):
            pieces.append(piece)
            count += len(piece)
            if count >= BATCH:
                if writing is not None:
                    await writing
                writing = asyncio.create_task(run_sync(_write, arrival, pieces))
                pieces, count = [], 0
        if writing is not None:
            await writing
        await run_sync(_write, arrival, pieces)
        # once everything has come it is kept, whether somebody still waits for the answer or not
        with anyio.CancelScope(shield=True):
            await run_sync(finish)
    finally:
        with anyio.CancelScope(shield=True):
            if writing is not None:
                await asyncio.wait([writing])
            await run_sync(arrival.discard)


def _write(arrival: service.Arrival, pieces: list[bytes]) -> None:
    for piece in pieces:
        arrival.write(piece)


@router.post("/lfs/complete/{ticket:piece}")
def complete(hub: TheHub, ticket: str, body: SmallBody) -> Response:
    """All parts were sent."""
    upload, asked = uploads.read_upload(hub, ticket), parsed(Completion, body)
    if asked.oid != upload.sha256 or not upload.part_size:
        raise InvalidRequest("this address is for another file, or for a whole one. Ask for a new address.")
    if sorted(part.number for part in asked.parts) != list(range(1, upload.parts + 1)):
        raise InvalidRequest(f"{upload.parts} parts were to be sent, numbered from 1, and each is to be named once.")
    uploads.complete(hub, upload)
    return JSONResponse({"oid": upload.sha256, "size": upload.size}, media_type=MEDIA_TYPE)


@router.post("/lfs/verify/{ticket:piece}")
def verify(hub: TheHub, ticket: str, body: SmallBody) -> Response:
    """Did the file arrive?"""
    upload, asked = uploads.read_upload(hub, ticket), parsed(LargeObject, body)
    with hub.database.read() as connection:
        size = service.known(connection, upload.repository_id, upload.sha256, None)
    if asked.oid != upload.sha256 or size is None:
        raise NotFound("this file has not arrived. Send it again.")
    if asked.size != size:
        raise InvalidRequest(f"this file has {size} bytes, not {asked.size}.")
    return JSONResponse({"oid": upload.sha256, "size": size}, media_type=MEDIA_TYPE)


@router.api_route("/lfs/download/{ticket:piece}", methods=["GET", "HEAD"])
def download(hub: TheHub, ticket: str) -> Response:
    """A file, or a range of it."""
    sha256, size = uploads.read_download(hub, ticket)
    headers = {**safe_headers(sha256, download=True), "ETag": f'"{sha256}"'}
    return StoredFile.of_blob(headers, hub.storage, blob_key(sha256), size)
