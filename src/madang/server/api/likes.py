"""Likes."""

from typing import Annotated, Any

from fastapi import Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.describing import listed
from madang.server.accounts.finding import user_named
from madang.server.api.asking import AnyCaller, Known, SignedIn, TheHub
from madang.server.api.paging import link_to_next, place_of
from madang.server.errors import Forbidden, InvalidRequest
from madang.server.repositories import likes
from madang.server.routing import Router

router = Router(tags=["likes"])
PAGE = 1000
Limit = Annotated[int, Query(ge=1, le=PAGE)]


def liker(caller: Caller) -> Account:
    """Who likes something. Raises Forbidden for tokens that are for repositories only."""
    if not caller.may_manage:
        raise Forbidden("This token may not like in your name: use one with the role write.")
    assert caller.account is not None
    return caller.account


@router.post("/api/{type:plural}/{name:repository}/like")
def like(hub: TheHub, caller: SignedIn, found: Known) -> PlainTextResponse:
    """Like a repository."""
    account = liker(caller)
    with hub.database.write() as connection:
        likes.like(connection, account, found.repository)
    return PlainTextResponse("OK")


@router.delete("/api/{type:plural}/{name:repository}/like")
def unlike(hub: TheHub, caller: SignedIn, found: Known) -> PlainTextResponse:
    """Take it back."""
    account = liker(caller)
    with hub.database.write() as connection:
        likes.unlike(connection, account, found.repository)
    return PlainTextResponse("OK")


@router.get("/api/{type:plural}/{name:repository}/likers")
def likers(request: Request, hub: TheHub, found: Known, cursor: str = "", limit: Limit = PAGE) -> JSONResponse:
    """Who likes a repository, page by page."""
    with hub.database.read() as connection:
        rows = likes.likers(connection, found.repository, _place(cursor), limit + 1)
    return _page(request, [(place, listed(account, hub.settings.address)) for place, account in rows], limit)


@router.get("/api/users/{user:piece}/likes")
def liked(
    request: Request, hub: TheHub, caller: AnyCaller, user: str, cursor: str = "", limit: Limit = PAGE
) -> JSONResponse:
    """What somebody likes, page by page: the repositories the caller may know of."""
    with hub.database.read() as connection:
        account = user_named(connection, user)
        rows = likes.liked_by(connection, caller, account, _place(cursor), limit + 1)
    return _page(request, rows, limit)


def _page(request: Request, rows: list[tuple[likes.Place, dict[str, Any]]], limit: int) -> JSONResponse:
    page = rows[:limit]
    headers = link_to_next(request, page[-1][0]) if len(rows) > limit else {}
    return JSONResponse([item for _, item in page], headers=headers)


def _place(cursor: str) -> likes.Place | None:
    place = place_of(cursor) if cursor else None
    if place is None:
        return None
    if not isinstance(place, list) or len(place) != 2 or not all(_is_number(number) for number in place):
        raise InvalidRequest("the cursor is of another list. Begin again at the first page.")
    return (place[0], place[1])


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
