"""What endpoints ask for: the hub, who calls, and the repository in the address with the rights it needs.

An endpoint that names a repository takes it by one of these, so none can forget to check:

    def tree(hub: TheHub, found: Content, revision: str): ...
"""

from collections.abc import Callable
from threading import Lock
from typing import Annotated

from fastapi import BackgroundTasks, Depends, Request
from sqlalchemy.engine import Connection

from madang.server.accounts import sessions, tokens
from madang.server.accounts.caller import Caller, Right
from madang.server.api import addresses
from madang.server.clock import now
from madang.server.errors import Forbidden, InvalidToken, NotSignedIn
from madang.server.hub import Hub
from madang.server.rate_limits import RequestLimit
from madang.server.repositories.access import Found, check_content, find
from madang.server.security import same_origin

READING = ("GET", "HEAD", "OPTIONS")
# how git and git-lfs are asked for a token: as the password of a user
REALM = 'Basic realm="Madang", charset="UTF-8"'
_noting = Lock()


def the_hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def client_address(request: Request) -> str:
    return request.client.host if request.client else ""


def session_cookie(hub: Hub) -> str:
    """What the cookie of a session is called; browsers take one with this prefix only over https, for this host."""
    return "__Host-madang" if hub.settings.address.startswith("https://") else "madang-session"


def caller(request: Request, after: BackgroundTasks) -> Caller:
    """Who sent the request, by token or by the session of a browser; nobody without either. Counts the request."""
    limit: RequestLimit = request.app.state.request_limit
    try:
        found = _caller(request, after)
    except InvalidToken:
        limit.count(Caller(address=client_address(request)))
        raise
    request.state.caller = found  # the page about an error shows who looks at it, too
    request.state.rate_limit = limit.count(found)
    return found


def _caller(request: Request, after: BackgroundTasks) -> Caller:
    hub, address = the_hub(request), client_address(request)
    authorization, secret = request.headers.get("authorization"), request.cookies.get(session_cookie(hub))
    with hub.database.read() as connection:
        if authorization or not secret:
            found, stale = tokens.caller_of(connection, authorization, address), False
        else:
            found, stale = sessions.caller_by_session(connection, secret, address)
    if found.session is not None and request.method not in READING:
        check_same_origin(request)
    # noted after the answer, so that reading never waits for somebody who writes
    if found.token is not None and (found.token.used_at or 0) < now() - tokens.USE_NOTED_EVERY:
        after.add_task(_note, hub, tokens.note_use, found.token.id)
    if found.session is not None and stale:
        after.add_task(_note, hub, sessions.note_seen, found.session)
    return found


def check_same_origin(request: Request) -> None:
    """Raises Forbidden when a page that is not of this hub makes a browser send the request."""
    if not same_origin(request.headers, the_hub(request).settings.address):
        raise Forbidden("This request came from a page of another site. Open the page of this hub and do it there.")


def _note(hub: Hub, write: Callable[[Connection, int], None], identity: int) -> None:
    # one at a time: while a long push holds the database, no more than one thread waits for it with such a trifle
    if not _noting.acquire(blocking=False):
        return
    try:
        with hub.database.write() as connection:
            write(connection, identity)
    finally:
        _noting.release()


def account(caller: "AnyCaller") -> Caller:
    """The caller, who must be somebody."""
    if not caller.signed_in:
        raise NotSignedIn("Invalid username or password.")
    return caller


class Asked:
    """The repository in the address (`type` and `name`), if the caller has the right `need`."""

    def __init__(self, need: Right, *, content: bool = True) -> None:
        self.need, self.content = need, content

    def __call__(self, request: Request, caller: "AnyCaller") -> Found:
        pieces = request.path_params
        name = str(pieces["name"])
        with the_hub(request).database.read() as connection:
            found = find(connection, caller, str(pieces.get("type", "model")), name.removesuffix(".git"), self.need)
            if self.content:
                check_content(connection, caller, found)
        return found


# the kinds of pieces that routes are written with are known from here on
addresses.register()

TheHub = Annotated[Hub, Depends(the_hub)]
AnyCaller = Annotated[Caller, Depends(caller)]
SignedIn = Annotated[Caller, Depends(account)]
# what is known about a repository; what is in it; changing it; deciding about it
Known = Annotated[Found, Depends(Asked(Right.READ, content=False))]
Content = Annotated[Found, Depends(Asked(Right.READ))]
Writable = Annotated[Found, Depends(Asked(Right.WRITE))]
Administered = Annotated[Found, Depends(Asked(Right.ADMIN, content=False))]
