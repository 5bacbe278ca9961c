"""Signing in by a link that works once. Looking at it does not use it up: mail programs look at links."""

from fastapi import Request, Response

from madang.server.accounts import links, passwords, users
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import WeakPassword
from madang.server.accounts.finding import account_of
from madang.server.api.asking import AnyCaller, TheHub, client_address
from madang.server.hub import Hub
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, begin_session, page, signed_in

router = Router(route_class=Page, include_in_schema=False)


@router.get("/login/once/{secret:piece}")
def ask(request: Request, hub: TheHub, caller: AnyCaller, secret: str) -> Response:
    account, until = _look(hub, secret)
    return page(request, caller, "once.html", account=account, until=until)


@router.post("/login/once/{secret:piece}")
def enter(request: Request, hub: TheHub, caller: AnyCaller, secret: str, form: PageForm) -> Response:
    kept, password = None, form.get("password", "")
    if password:
        account, until = _look(hub, secret)
        try:
            kept = passwords.prepare(password, account.name)
        except WeakPassword as error:
            return page(request, caller, "once.html", account=account, until=until, error=error)
    with hub.database.write() as connection:
        account = links.sign_in_by(connection, secret)
        if kept is not None:
            users.set_password(connection, Caller(account, None, client_address(request)), account, kept)
        begun = begin_session(request, connection, account)
    return signed_in(request, begun, "/settings/password" if kept is None else "/settings/tokens")


def _look(hub: Hub, secret: str) -> tuple[Account, int]:
    """Whom a link signs in, and until when. Raises LinkOver."""
    with hub.database.read() as connection:
        link = links.look(connection, secret, links.SIGN_IN)
        assert link.account_id is not None
        return account_of(connection, link.account_id), link.expires_at
