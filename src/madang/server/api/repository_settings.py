"""What owners decide about repositories: names, visibility, copies, large files, and the list of all they have."""

from typing import Annotated, Any, Literal

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field, TypeAdapter

from madang.server.accounts.caller import Caller
from madang.server.accounts.finding import organisation_named
from madang.server.accounts.organisations import role_of
from madang.server.api.asking import Administered, Content, SignedIn, TheHub, Writable
from madang.server.api.bodies import Body
from madang.server.api.paging import Number, Sha256, link_to_next, place_of
from madang.server.api.repositories import Name, RepositoryType, Visibility, existing, private_or_not
from madang.server.clock import iso
from madang.server.errors import Forbidden, NotFound
from madang.server.hub import Hub
from madang.server.repositories import moving, rewriting
from madang.server.repositories.duplicating import duplicate
from madang.server.repositories.errors import RepositoryExists
from madang.server.repositories.owned import owned_page
from madang.server.routing import Router

router = Router(tags=["repositories"])
PAGE = 100
_REPOSITORY: TypeAdapter[int] = TypeAdapter(Number)
_LARGE_FILE = TypeAdapter(tuple[Number, Sha256])


class Settings(Body):
    gated: Literal["auto", "manual", False] | None = None
    visibility: Visibility | None = None
    private: bool | None = None


class Move(Body):
    old: Annotated[Name, Field(alias="fromRepo")]
    new: Annotated[Name, Field(alias="toRepo")]
    type: RepositoryType = "model"


class Copy(Body):
    repository: Name
    visibility: Visibility | None = None
    private: bool | None = None


class Alias(Body):
    alias: Annotated[str, Field(min_length=1, max_length=96)]


class Deletions(Body):
    sha: Annotated[list[Sha256], Field(max_length=10_000)]
    rewrite_history: Annotated[bool, Field(alias="rewriteHistory")] = True


class LargeFileDeletions(Body):
    deletions: Deletions


@router.put("/api/{type:plural}/{name:repository}/settings")
def change_settings(hub: TheHub, caller: SignedIn, found: Administered, asked: Settings) -> dict[str, Any]:
    """Change who sees a repository and who gets its files."""
    visibility = asked.visibility
    if visibility is None and asked.private is not None:
        visibility = "private" if asked.private else "public"
    with hub.database.write() as connection:
        changed = moving.change_settings(connection, caller, found.repository, visibility=visibility, gated=asked.gated)
    return {"private": changed.private, "gated": changed.gated or False}


@router.post("/api/repos/move")
def move(hub: TheHub, caller: SignedIn, asked: Move) -> dict[str, str]:
    """Give a repository another name or owner."""
    with hub.database.write() as connection:
        moved = moving.move(connection, caller, asked.type, asked.old, asked.new)
    return {"url": f"{hub.settings.address}/{moved.path}", "name": moved.name}


@router.post("/api/{type:plural}/{name:repository}/duplicate")
def copy(hub: TheHub, caller: SignedIn, found: Content, asked: Copy) -> dict[str, str]:
    """Make another repository of the same files."""
    source = found.repository
    owner, _, name = asked.repository.rpartition("/")
    private = private_or_not(source.type, asked.visibility, asked.private)
    try:
        with hub.database.write() as connection:
            made = duplicate(connection, caller, source, name, owner=owner or None, private=private)
    except RepositoryExists as error:
        error.body = existing(hub, caller, source.type, owner or None, name)
        raise
    return {"url": f"{hub.settings.address}/{made.path}", "name": made.name}


@router.put("/api/{type:plural}/{name:repository}/canonical")
def add_alias(hub: TheHub, caller: SignedIn, found: Administered, asked: Alias) -> dict[str, str]:
    """Let a name without an owner lead to a repository."""
    moving.check_administrator(caller)
    with hub.database.write() as connection:
        moving.add_alias(connection, caller, found.repository, asked.alias)
    return {"alias": asked.alias, "name": found.repository.name}


@router.delete("/api/{type:plural}/{name:repository}/canonical/{alias:piece}")
def remove_alias(hub: TheHub, caller: SignedIn, found: Administered, alias: str) -> dict[str, str]:
    """Let a name without an owner lead nowhere."""
    moving.check_administrator(caller)
    with hub.database.write() as connection:
        if not moving.remove_alias(connection, caller, found.repository.type, alias):
            raise NotFound(f"{alias[:100]!r} led nowhere.")
    return {"alias": alias}


@router.get("/api/settings/repositories")
def own_repositories(request: Request, hub: TheHub, caller: SignedIn, cursor: str = "") -> JSONResponse:
    """All repositories of the caller, with what they use."""
    return _owned(request, hub, caller, caller.user.id, cursor)


@router.get("/api/organizations/{organization:piece}/settings/repositories")
def repositories_of_organization(
    request: Request, hub: TheHub, caller: SignedIn, organization: str, cursor: str = ""
) -> JSONResponse:
    """All repositories of an organisation, for its members."""
    with hub.database.read() as connection:
        found = organisation_named(connection, organization)
        if role_of(connection, found, caller.user) is None and not caller.user.administrator:
            raise Forbidden(f"Only members of {found.name} see the list of its repositories.")
    return _owned(request, hub, caller, found.id, cursor)


def _owned(request: Request, hub: Hub, caller: Caller, owner_id: int, cursor: str) -> JSONResponse:
    after = place_of(cursor, _REPOSITORY) or 0
    with hub.database.read() as connection:
        items, more = owned_page(connection, caller, owner_id, after, PAGE)
    return JSONResponse(items, headers=link_to_next(request, more) if more is not None else {})


@router.get("/api/{type:plural}/{name:repository}/lfs-files")
def large_files(
    request: Request,
    hub: TheHub,
    found: Writable,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1)] = rewriting.PAGE,
) -> JSONResponse:
    """The large files of a repository, in all its revisions."""
    limit = min(limit, rewriting.PAGE)
    with hub.database.read() as connection:
        files = rewriting.large_files_of(connection, found.repository.id, place_of(cursor, _LARGE_FILE), limit)
    items = [
        {
            "fileOid": file.sha256,
            "oid": file.sha256,
            "filename": file.path or file.sha256,
            "size": file.size,
            "pushedAt": iso(file.uploaded_at),
            **({"ref": file.ref} if file.ref else {}),
        }
        for file in files
    ]
    last = files[-1] if len(files) == limit else None
    return JSONResponse(items, headers=link_to_next(request, [last.uploaded_at, last.sha256]) if last else {})


@router.post("/api/{type:plural}/{name:repository}/lfs-files/batch")
def delete_large_files(hub: TheHub, caller: SignedIn, found: Writable, asked: LargeFileDeletions) -> dict[str, bool]:
    """Delete large files for good."""
    wanted = asked.deletions
    with hub.database.write() as connection:
        rewriting.delete_large_files(
            connection, caller, found.repository, wanted.sha, rewrite_history=wanted.rewrite_history
        )
    return {"success": True}
