"""Changing the files of a repository over HTTP: one commit."""

from typing import Any

from anyio.to_thread import run_sync
from fastapi import Request

from madang.server.accounts.caller import Caller
from madang.server.api.asking import Content, SignedIn, TheHub
from madang.server.api.bodies import in_pieces_of, pieces
from madang.server.api.commit_body import CommitBody, Header
from madang.server.discussions.events import Text
from madang.server.discussions.service import open_pull_request
from madang.server.git.refs import PULL_REQUESTS, RevisionNotFound, read_ref
from madang.server.hub import Hub
from madang.server.repositories.access import Found
from madang.server.repositories.changes import Draft, check_may_commit, check_still_may_commit, ref_of
from madang.server.repositories.locking import lock
from madang.server.routing import Router

router = Router(tags=["commits"])

# the body is handed to a thread in pieces of about this size
PIECE = 256 * 1024


@router.post("/api/{type:plural}/{name:repository}/commit/{revision:piece}")
async def commit(
    request: Request, hub: TheHub, found: Content, caller: SignedIn, revision: str, create_pr: bool = False
) -> dict[str, Any]:
    """One commit, or a pull request that begins with it. The body has a JSON object on each line."""
    draft = await run_sync(_begin, hub, caller, found, revision, create_pr)
    with CommitBody(draft, hub.settings.data) as body:
        async for piece in in_pieces_of(PIECE, pieces(request)):
            await run_sync(body.feed, piece)
        header = await run_sync(body.finish)
    return await run_sync(_finish, hub, caller, draft, revision, header, create_pr)


def _begin(hub: Hub, caller: Caller, found: Found, revision: str, create_pr: bool) -> Draft:
    """The draft of a commit that the caller may make. Raises what the answer is, before the body is read."""
    with hub.database.read() as connection:
        check_may_commit(connection, caller, found, revision, pull_request=create_pr)
        ref = ref_of(revision)
        if read_ref(connection, found.repository.id, ref) is None or (create_pr and ref.startswith(PULL_REQUESTS)):
            raise RevisionNotFound(revision)
    return Draft(hub, found.repository, caller.user, ref)


def _finish(hub: Hub, caller: Caller, draft: Draft, revision: str, header: Header, create_pr: bool) -> dict[str, Any]:
    repository, address, ref = draft.repository, f"{hub.settings.address}/{draft.repository.path}", ref_of(revision)
    answer: dict[str, Any] = {}
    description = Text.of(header.description if create_pr else "")
    with hub.database.write() as connection:
        lock(connection, repository)
        # the answer may have changed while a large body arrived
        check_still_may_commit(connection, caller, repository, revision, pull_request=create_pr)
        if create_pr:
            made = open_pull_request(connection, repository, draft.author, header.summary, description, base=ref)
            ref, answer["pullRequestUrl"] = made.ref, f"{address}/discussions/{made.number}"
        oid = draft.commit(connection, ref, header.message, header.parent)
    return {"success": True, "commitOid": oid, "commitUrl": f"{address}/commit/{oid}", "hookOutput": "", **answer}
