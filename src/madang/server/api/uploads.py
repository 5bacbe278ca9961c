"""Pictures for comments: brought by whoever is signed in, seen by whoever knows the address."""

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import PlainTextResponse, StreamingResponse

from madang.server.accounts.caller import Account
from madang.server.api.asking import SignedIn, TheHub
from madang.server.api.bodies import announced_size, pieces, whole
from madang.server.discussions import attachments
from madang.server.errors import Forbidden, InvalidRequest
from madang.server.hub import Hub
from madang.server.routing import Router
from madang.server.sending import SAFE

router = Router(tags=["discussions"])


@router.post("/uploads")
async def upload(request: Request, hub: TheHub, caller: SignedIn) -> PlainTextResponse:
    """Keep a picture; answers with its address."""
    if caller.token is not None and caller.token.role == "read":
        raise Forbidden(f"Your token {caller.token.name!r} may only read. Use one that may write.")
    too_large = InvalidRequest(f"A picture has at most {attachments.LARGEST // 2**20} MiB.")
    if (announced_size(request) or 0) > attachments.LARGEST:
        raise too_large
    content = await whole(pieces(request), attachments.LARGEST, too_large)
    sha256 = await run_in_threadpool(_keep, hub, caller.user, content)
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
            **SAFE,
            "Cache-Control": "public, max-age=31536000, immutable",
            "ETag": f'"{sha256}"',
        },
    )
