"""The commits of a repository, and what differs between them."""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse
from pydantic import Field, TypeAdapter

from madang.server.api.asking import Content, TheHub
from madang.server.api.paging import link_to_next, place_of
from madang.server.errors import InvalidRequest
from madang.server.repositories import comparing
from madang.server.routing import Router

router = Router(tags=["history"])
MOST = 1000
# the commits a list goes on from
_COMMITS = TypeAdapter(list[Annotated[str, Field(pattern="^[0-9a-f]{40}$")]])


@router.get("/api/{type:plural}/{name:repository}/commits/{revision:piece}")
def commits(
    request: Request,
    hub: TheHub,
    found: Content,
    revision: str,
    path: str = "",
    cursor: str = "",
    limit: Annotated[int, Query(ge=1)] = comparing.PAGE,
    expand: Annotated[list[str] | None, Query()] = None,
    expand_list: Annotated[list[str] | None, Query(alias="expand[]")] = None,
) -> JSONResponse:
    """The commits that lead to a revision, the newest first, page by page."""
    named = [*(expand or ()), *(expand_list or ())]
    if any(name != "formatted" for name in named):
        raise InvalidRequest('Invalid option for `expand`: expected one of "formatted"')
    places = place_of(cursor, _COMMITS)
    with hub.database.read() as connection:
        items, rest = comparing.commits_page(
            connection,
            found.repository.id,
            revision,
            places=places or (),
            path=path.strip("/"),
            limit=min(limit, MOST),
            formatted=bool(named),
        )
    return JSONResponse(items, headers=link_to_next(request, rest) if rest else {})


@router.get("/api/{type:plural}/{name:repository}/commit/{revision:piece}")
def commit(hub: TheHub, found: Content, revision: str) -> dict[str, Any]:
    """One commit, and what it changed."""
    with hub.database.read() as connection:
        return comparing.commit_details(connection, found.repository.id, revision)


@router.get("/api/{type:plural}/{name:repository}/compare/{question:rest}")
def compare(hub: TheHub, found: Content, question: str) -> dict[str, Any]:
    """`base..head`: what differs between two revisions; `base...head`: what head changed since they parted."""
    with hub.database.read() as connection:
        return comparing.compare(connection, found.repository.id, question)
