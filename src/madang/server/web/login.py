"""Signing in with name and password, and signing out."""

from fastapi import Request, Response

from madang.server.accounts.errors import SignInRefused, TooManyAttempts
from madang.server.accounts.sessions import end_session
from madang.server.accounts.sign_in import sign_in
from madang.server.api.asking import AnyCaller, TheHub, client_address
from madang.server.routing import Router
from madang.server.web.pages import (
    HOME,
    Page,
    PageForm,
    Person,
    begin_session,
    go,
    page,
    safe_path,
    signed_in,
    signed_out,
)

router = Router(route_class=Page, include_in_schema=False)


@router.get("/login")
def ask(request: Request, caller: AnyCaller, next: str = HOME) -> Response:
    if caller.session is not None:
        return go(safe_path(next))
    return page(request, caller, "login.html", next=safe_path(next), name="")


@router.post("/login")
def enter(request: Request, hub: TheHub, caller: AnyCaller, form: PageForm) -> Response:
    path, name, address = safe_path(form.get("next", HOME)), form.get("name", "").strip(), client_address(request)
    try:
        account = sign_in(hub.database, request.app.state.sign_in_attempts, name, form.get("password", ""), address)
    except (SignInRefused, TooManyAttempts) as error:
        return page(request, caller, "login.html", next=path, name=name, error=error)
    with hub.database.write() as connection:
        secret = begin_session(request, connection, account)
    return signed_in(request, secret, path)


@router.post("/logout")
def leave(request: Request, hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    assert caller.session is not None
    with hub.database.write() as connection:
        end_session(connection, caller, caller.account, caller.session)
    return signed_out(request)
