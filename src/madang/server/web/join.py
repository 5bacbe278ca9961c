"""Making an account: by oneself where the hub is open, else by invitation."""

from fastapi import Request, Response

from madang.server.accounts import links, passwords, users
from madang.server.accounts.caller import Caller
from madang.server.accounts.errors import AccountExists, SignUpRefused, TooManyAttempts, WeakPassword
from madang.server.api.asking import AnyCaller, TheHub, client_address
from madang.server.errors import InvalidRequest
from madang.server.hub import Hub
from madang.server.repositories.names import check_name
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, begin_session, page, signed_in

router = Router(route_class=Page, include_in_schema=False)


@router.get("/join/{secret:piece}")
@router.get("/join")
def ask(request: Request, hub: TheHub, caller: AnyCaller, secret: str = "") -> Response:
    return page(request, caller, "join.html", first=_check(hub, secret), name="", email="")


@router.post("/join/{secret:piece}")
@router.post("/join")
def join(request: Request, hub: TheHub, caller: AnyCaller, form: PageForm, secret: str = "") -> Response:
    first = _check(hub, secret)
    name, email = form.get("name", "").strip(), form.get("email", "").strip()
    try:
        # each try costs as much as one to sign in, and tells which names are taken
        request.app.state.sign_in_attempts.count(f"join {client_address(request)}", client_address(request))
        check_name(name)
        kept = passwords.prepare(form.get("password", ""), name)
        begun = _make(request, hub, secret, name, email, kept)
    except (AccountExists, InvalidRequest, WeakPassword, TooManyAttempts) as error:
        return page(request, caller, "join.html", first=first, name=name, email=email, error=error)
    return signed_in(request, begun, "/settings/tokens")


def _check(hub: Hub, secret: str) -> bool:
    """Whether it is the hub's first administrator who joins. Raises LinkOver or SignUpRefused."""
    if secret:
        with hub.database.read() as connection:
            first = links.look(connection, secret, links.JOIN).administrator
        if first or hub.settings.sign_up != "closed":
            return first
    elif hub.settings.sign_up == "open":
        return False
    raise SignUpRefused("New people are let in by invitation only: ask an administrator of this hub for one.")


def _make(request: Request, hub: Hub, secret: str, name: str, email: str, kept: passwords.PasswordHash) -> str:
    """Make the account: the secret of its first session."""
    address = client_address(request)
    with hub.database.write() as connection:
        if secret:
            account = links.join_by(connection, secret, name, kept, email=email, address=address)
        else:
            account = users.create_user(connection, Caller(address=address), name, email=email, password=kept)
        return begin_session(request, connection, account)
