"""Likes."""

from typing import Annotated

from fastapi import Query, Request
from fastapi.responses import JSONResponse, PlainTextResponse
from pydantic import TypeAdapter

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.describing import listed
from madang.server.accounts.finding import user_named
from madang.server.api.asking import AnyCaller, Known, SignedIn, TheHub
from madang.server.api.paging import Number, answer, place_of
from madang.server.errors import Forbidden
from madang.server.repositories import likes
from madang.server.routing import Router

router = Router(tags=["likes"])
PAGE = 1000
_PLACE = TypeAdapter(tuple[Number, Number])
Limit = Annotated[int, Query(ge=1, le=PAGE)]


def liker(caller: Caller) -> Account:
    """Who likes something. Raises Forbidden for tokens that are for repositories only."""
    if not caller.may_manage:
        raise Forbidden("This token may not like in your name: use one with the role write.")
    return caller.user


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
        rows = likes.likers(connection, found.repository, place_of(cursor, _PLACE), limit + 1)
    return answer(request, [(place, listed(account, hub.settings.address)) for place, account in rows], limit)


@router.get("/api/users/{user:piece}/likes")
def liked(
    request: Request, hub: TheHub, caller: AnyCaller, user: str, cursor: str = "", limit: Limit = PAGE
) -> JSONResponse:
    """What somebody likes, page by page: the repositories the caller may know of."""
    with hub.database.read() as connection:
        account = user_named(connection, user)
        rows = likes.liked_by(connection, caller, account, place_of(cursor, _PLACE), limit + 1)
    return answer(request, rows, limit)
