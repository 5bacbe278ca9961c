"""The tokens of whoever looks: list, make, revoke."""

from fastapi import Request, Response

from madang.server.accounts.caller import Caller
from madang.server.accounts.scopes import OF_OWNERS, OF_REPOSITORIES, parse_scope
from madang.server.accounts.tokens import ROLES, give_token, revoke_token, tokens_of
from madang.server.api.asking import TheHub
from madang.server.errors import InvalidRequest
from madang.server.hub import Hub
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, Person, go, number_in, page

router = Router(route_class=Page, include_in_schema=False)
DAYS = ("", "7", "30", "90", "365")


@router.get("/settings")
def settings(caller: Person) -> Response:
    return go("/settings/tokens")


@router.get("/settings/tokens")
def show(request: Request, hub: TheHub, caller: Person) -> Response:
    return _page(request, hub, caller)


@router.post("/settings/tokens")
def make(request: Request, hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    try:
        days = form.get("days", "")
        if days not in DAYS:
            raise InvalidRequest("Choose from the list how long the token lasts.")
        role = form.get("role", "")
        lines = form.get("scopes", "").splitlines() if role == "fineGrained" else []
        scopes = [parse_scope(line) for line in lines if line.strip()]
        with hub.database.write() as connection:
            name = form.get("name", "")
            secret = give_token(
                connection, caller, caller.account, name, role, scopes, days=int(days) if days else None
            )
    except InvalidRequest as error:
        return _page(request, hub, caller, error=error, typed=form)
    return _page(request, hub, caller, secret=secret)


@router.post("/settings/tokens/revoke")
def revoke(hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    with hub.database.write() as connection:
        revoke_token(connection, caller, number_in(form, "id"), caller.account)
    return go("/settings/tokens")


def _page(
    request: Request,
    hub: Hub,
    caller: Caller,
    *,
    secret: str | None = None,
    error: InvalidRequest | None = None,
    typed: dict[str, str] | None = None,
) -> Response:
    with hub.database.read() as connection:
        found = tokens_of(connection, caller.account)
    return page(
        request,
        caller,
        "tokens.html",
        tokens=found,
        roles=ROLES,
        secret=secret,
        days=DAYS,
        typed=typed or {},
        permissions=OF_REPOSITORIES + OF_OWNERS,
        error=error,
    )
