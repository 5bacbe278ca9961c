"""Approving the login of a command line."""

from fastapi import Request, Response

from madang.server.accounts import devices
from madang.server.accounts.errors import LinkOver
from madang.server.api.asking import TheHub
from madang.server.errors import InvalidRequest
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, Person, page

router = Router(route_class=Page, include_in_schema=False)
ROLES = ("write", "read")


@router.get("/device")
def ask(request: Request, hub: TheHub, caller: Person, code: str = "") -> Response:
    if not code:
        return page(request, caller, "device.html", login=None, code="")
    try:
        with hub.database.read() as connection:
            login = devices.waiting(connection, code)
    except LinkOver as error:
        return page(request, caller, "device.html", login=None, code=code[:20], error=error)
    return page(request, caller, "device.html", login=login, code=login.user_code)


@router.post("/device")
def decide(request: Request, hub: TheHub, caller: Person, form: PageForm) -> Response:
    role, decision = form.get("role", "write"), form.get("decision", "")
    if role not in ROLES or decision not in ("approve", "deny"):
        raise InvalidRequest("Choose what the command line may do, and approve or refuse it.")
    approved = decision == "approve"
    with hub.database.write() as connection:
        devices.decide(connection, caller, form.get("code", ""), approved=approved, role=role)
    return page(request, caller, "device_done.html", approved=approved)
