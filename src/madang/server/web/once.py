"""Signing in by a link that works once. Looking at it does not use it up: mail programs look at links."""

from typing import Any

from fastapi import Request, Response

from madang.server.accounts import links, passwords, users
from madang.server.accounts.caller import Caller
from madang.server.accounts.errors import WeakPassword
from madang.server.accounts.finding import account_of
from madang.server.accounts.sessions import begin_session
from madang.server.api.asking import AnyCaller, TheHub, client_address
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, page, signed_in

router = Router(route_class=Page, include_in_schema=False)


@router.get("/login/once/{secret:piece}")
def ask(request: Request, hub: TheHub, caller: AnyCaller, secret: str) -> Response:
    with hub.database.read() as connection:
        link = links.look(connection, secret, links.SIGN_IN)
        assert link.account_id is not None
        account = account_of(connection, link.account_id)
    return page(request, caller, "once.html", secret=secret, account=account, expires=link.expires_at)


@router.post("/login/once/{secret:piece}")
def enter(request: Request, hub: TheHub, caller: AnyCaller, secret: str, form: PageForm) -> Response:
    address, kept, password = client_address(request), None, form.get("password", "")
    with hub.database.read() as connection:
        link = links.look(connection, secret, links.SIGN_IN)
        assert link.account_id is not None
        account = account_of(connection, link.account_id)
    if password:
        try:
            kept = passwords.prepare(password, account.name)
        except WeakPassword as error:
            values: dict[str, Any] = {"secret": secret, "account": account, "expires": link.expires_at, "error": error}
            return page(request, caller, "once.html", status=error.status, **values)
    with hub.database.write() as connection:
        account = links.sign_in_by(connection, secret)
        if kept is not None:
            users.set_password(connection, Caller(account, None, address), account, kept)
        agent = request.headers.get("user-agent", "")
        begun = begin_session(connection, account, agent=agent, address=address)
    return signed_in(request, begun, "/settings/password" if kept is None else "/settings/tokens")
