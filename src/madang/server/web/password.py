"""Choosing a password, or another one."""

from fastapi import Request, Response

from madang.server.accounts import passwords, users
from madang.server.accounts.errors import SignInRefused, TooManyAttempts, WeakPassword
from madang.server.accounts.sign_in import sign_in
from madang.server.api.asking import TheHub
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, Person, page

router = Router(route_class=Page, include_in_schema=False)


@router.get("/settings/password")
def ask(request: Request, hub: TheHub, caller: Person) -> Response:
    assert caller.account is not None
    with hub.database.read() as connection:
        has_one = users.has_password(connection, caller.account)
    return page(request, caller, "password.html", has_one=has_one, done=False)


@router.post("/settings/password")
def change(request: Request, hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    account = caller.account
    with hub.database.read() as connection:
        has_one = users.has_password(connection, account)
    try:
        if has_one:
            attempts = request.app.state.sign_in_attempts
            sign_in(hub.database, attempts, account.name, form.get("current", ""), caller.address)
        kept = passwords.prepare(form.get("password", ""), account.name)
    except (SignInRefused, WeakPassword, TooManyAttempts) as error:
        return page(request, caller, "password.html", has_one=has_one, done=False, error=error)
    with hub.database.write() as connection:
        users.set_password(connection, caller, account, kept, keep_session=caller.session)
    return page(request, caller, "password.html", has_one=True, done=True)
