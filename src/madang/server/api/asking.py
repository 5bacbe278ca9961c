"""What endpoints ask for: the hub, who calls, and the repository in the address with the rights it needs.

An endpoint that names a repository takes it by one of these, so none can forget to check:

    def tree(hub: TheHub, found: Content, revision: str): ...
"""

from typing import Annotated

from fastapi import Depends, Request

from madang.server.accounts.caller import Caller, Right
from madang.server.accounts.tokens import caller_of
from madang.server.api import addresses
from madang.server.errors import NotSignedIn
from madang.server.hub import Hub
from madang.server.repositories.access import Found, check_content, find


def the_hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def caller(request: Request) -> Caller:
    """Who sent the request; nobody without a token."""
    address = request.client.host if request.client else ""
    with the_hub(request).database.read() as connection:
        return caller_of(connection, request.headers.get("authorization"), address)


def account(caller: "AnyCaller") -> Caller:
    """The caller, who must be somebody."""
    if caller.account is None:
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
