"""The sessions of whoever looks: where they are signed in, and how to end that."""

from fastapi import Request, Response

from madang.server.accounts.sessions import end_session, sessions_of
from madang.server.api.asking import TheHub
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, Person, go, number_in, page

router = Router(route_class=Page, include_in_schema=False)


@router.get("/settings/sessions")
def show(request: Request, hub: TheHub, caller: Person) -> Response:
    assert caller.account is not None
    with hub.database.read() as connection:
        found = sessions_of(connection, caller.account)
    return page(request, caller, "sessions.html", sessions=found)


@router.post("/settings/sessions/end")
def end(hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    with hub.database.write() as connection:
        end_session(connection, caller, caller.account, number_in(form, "id"))
    return go("/settings/sessions")
