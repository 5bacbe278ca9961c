"""Branches, tags and other refs of a repository."""

from typing import Annotated, Any

from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import Field

from madang.server.api.asking import Content, SignedIn, TheHub, Writable
from madang.server.api.bodies import Body
from madang.server.repositories import branches
from madang.server.repositories.branches import Ref
from madang.server.routing import Router

router = Router(tags=["refs"])
Text = Annotated[str, Field(max_length=20_000)]


class NewBranch(Body):
    start: Annotated[Annotated[str, Field(max_length=500)] | None, Field(alias="startingPoint")] = None


class NewTag(Body):
    tag: Annotated[str, Field(max_length=500)]
    message: Text | None = None


class Squash(Body):
    message: Text | None = None


class Revert(Body):
    branch: Annotated[str, Field(min_length=1, max_length=500)] = "main"
    message: Text | None = None


@router.get("/api/{type:plural}/{name:repository}/refs")
def refs(hub: TheHub, found: Content, include_prs: bool = False) -> dict[str, Any]:
    """All refs by kind."""
    with hub.database.read() as connection:
        all_refs = branches.refs_of(connection, found.repository)
    answer = {
        "branches": _listed(all_refs.branches),
        "converts": _listed(all_refs.converts),
        "tags": _listed(all_refs.tags),
    }
    return answer | ({"pullRequests": _listed(all_refs.pull_requests)} if include_prs else {})


def _listed(found: list[Ref]) -> list[dict[str, str]]:
    return [{"name": ref.name, "ref": ref.ref, "targetCommit": ref.commit} for ref in found]


@router.post("/api/{type:plural}/{name:repository}/branch/{branch:rest}")
def create_branch(
    hub: TheHub, caller: SignedIn, found: Writable, branch: str, asked: NewBranch | None = None
) -> JSONResponse:
    """Make a branch."""
    start = asked.start if asked is not None else None
    with hub.database.write() as connection:
        ref = branches.create_branch(connection, found.repository, branch, start, author=caller.account)
    return JSONResponse({"ref": ref}, 201)


@router.delete("/api/{type:plural}/{name:repository}/branch/{branch:rest}")
def delete_branch(hub: TheHub, caller: SignedIn, found: Writable, branch: str) -> PlainTextResponse:
    """Remove a branch."""
    with hub.database.write() as connection:
        branches.delete_branch(connection, found.repository, branch, author=caller.account)
    return PlainTextResponse("OK")


@router.post("/api/{type:plural}/{name:repository}/tag/{revision:rest}")
def create_tag(hub: TheHub, caller: SignedIn, found: Writable, revision: str, asked: NewTag) -> JSONResponse:
    """Tag a revision; with a message the tag says who made it, when and why."""
    with hub.database.write() as connection:
        ref = branches.create_tag(
            connection, found.repository, asked.tag, revision, author=caller.user, message=asked.message
        )
    return JSONResponse({"ref": ref}, 201)


@router.delete("/api/{type:plural}/{name:repository}/tag/{tag:rest}")
def delete_tag(hub: TheHub, caller: SignedIn, found: Writable, tag: str) -> PlainTextResponse:
    """Remove a tag."""
    with hub.database.write() as connection:
        branches.delete_tag(connection, found.repository, tag, author=caller.account)
    return PlainTextResponse("OK")


@router.post("/api/{type:plural}/{name:repository}/super-squash/{branch:rest}")
def squash(hub: TheHub, caller: SignedIn, found: Writable, branch: str, asked: Squash | None = None) -> dict[str, str]:
    """Leave one commit of a branch."""
    message = (asked.message if asked is not None else None) or f"Super-squash branch '{branch}'"
    with hub.database.write() as connection:
        oid = branches.squash(connection, found.repository, branch, author=caller.user, message=message)
    return {"commitOid": oid}


@router.post("/api/{type:plural}/{name:repository}/revert/{revision:piece}")
def revert(
    hub: TheHub, caller: SignedIn, found: Writable, revision: str, asked: Revert | None = None
) -> dict[str, str]:
    """Undo a commit by another one."""
    wanted = asked or Revert()
    with hub.database.write() as connection:
        oid = branches.revert(
            connection,
            found.repository,
            revision,
            wanted.branch,
            author=caller.user,
            message=wanted.message,
        )
    return {"commitOid": oid, "commitUrl": f"{hub.settings.address}/{found.repository.path}/commit/{oid}"}
