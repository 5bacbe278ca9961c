"""Pictures for comments: brought by whoever is signed in, seen by whoever knows the address."""

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse

from madang.server.accounts.caller import Account
from madang.server.api.asking import SignedIn, TheHub
from madang.server.discussions import attachments
from madang.server.errors import Forbidden, InvalidRequest
from madang.server.hub import Hub
from madang.server.routing import Router

router = Router(tags=["discussions"])
TOO_LARGE = f"A picture has at most {attachments.LARGEST // 2**20} MiB."


@router.post("/uploads")
async def upload(request: Request, hub: TheHub, caller: SignedIn) -> PlainTextResponse:
    """Keep a picture; answers with its address."""
    if caller.token is not None and caller.token.role == "read":
        raise Forbidden(f"Your token {caller.token.name!r} may only read. Use one that may write.")
    declared = request.headers.get("content-length", "0")
    if not declared.isascii() or not declared.isdigit() or int(declared[:20]) > attachments.LARGEST:
        raise InvalidRequest(TOO_LARGE)
    content = bytearray()
    async for piece in request.stream():
        content += piece
        if len(content) > attachments.LARGEST:
            raise InvalidRequest(TOO_LARGE)
    assert caller.account is not None
    sha256 = await run_in_threadpool(_keep, hub, caller.account, bytes(content))
    return PlainTextResponse(f"{hub.settings.address}/uploads/{sha256}")


def _keep(hub: Hub, account: Account, content: bytes) -> str:
    media_type = attachments.check_picture(content)
    with hub.database.read() as connection:
        attachments.check_allowance(connection, account, len(content))
    # written outside of a transaction: nobody waits for the disk
    sha256 = attachments.store(hub.storage, content)
    with hub.database.write() as connection:
        attachments.note(connection, account, sha256, media_type, len(content))
    return sha256


@router.get("/uploads/{sha256:piece}")
def download(hub: TheHub, sha256: str) -> StreamingResponse:
    """A picture, served so that a browser draws it and does nothing else with it."""
    with hub.database.read() as connection:
        media_type, size = attachments.find(connection, sha256)
    return StreamingResponse(
        hub.storage.read(attachments.attachment_key(sha256)),
        media_type=media_type,
        headers={
            "Content-Length": str(size),
            "X-Content-Type-Options": "nosniff",
            "Content-Security-Policy": "default-src 'none'; sandbox",
            "Cache-Control": "public, max-age=31536000, immutable",
            "ETag": f'"{sha256}"',
        },
    )
