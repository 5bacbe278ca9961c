"""Users: who calls, what is known of people, the audit log."""

from typing import Annotated, Any

from fastapi import Query, Request, Response
from fastapi.responses import JSONResponse

from madang.server.accounts import audit, describing
from madang.server.accounts.finding import user_named
from madang.server.api.asking import AnyCaller, SignedIn, TheHub
from madang.server.api.paging import link
from madang.server.clock import iso
from madang.server.errors import Forbidden
from madang.server.routing import Router

router = Router(tags=["accounts"])
EVENTS = 100
LAST = 2**62  # databases count no further than a little beyond


@router.get("/api/whoami-v2")
def whoami(hub: TheHub, caller: SignedIn) -> dict[str, Any]:
    """Whose token this is."""
    with hub.database.read() as connection:
        return describing.who_am_i(connection, caller, hub.settings.address)


@router.get("/api/users/{name:piece}/overview")
def overview(hub: TheHub, caller: AnyCaller, name: str) -> dict[str, Any]:
    """What anybody may know of a user."""
    with hub.database.read() as connection:
        return describing.user_overview(connection, caller, user_named(connection, name), hub.settings.address)


@router.get("/api/users/{name:piece}/followers")
@router.get("/api/users/{name:piece}/following")
def followers(hub: TheHub, caller: AnyCaller, name: str) -> list[dict[str, Any]]:
    """Nobody: people don't follow one another on this hub."""
    with hub.database.read() as connection:
        user_named(connection, name)
    return []


@router.get("/api/audit")
def events(
    request: Request,
    hub: TheHub,
    caller: SignedIn,
    before: Annotated[int | None, Query(ge=0, le=LAST)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = EVENTS,
) -> JSONResponse:
    """Who did what, the newest first; for administrators of the hub."""
    if not caller.user.administrator or not caller.may_manage:
        raise Forbidden("Only administrators of this hub may read its audit log, signed in or with a write token.")
    with hub.database.read() as connection:
        found = audit.events(connection, before=before, limit=limit)
    headers = link(request, before=found[-1].id) if len(found) == limit else {}
    return JSONResponse([{**vars(event), "at": iso(event.at)} for event in found], headers=headers)


@router.get("/api/agent-harnesses")
def agent_harnesses() -> dict[str, Any]:
    """What a fresh client asks first: by which variables it may know that an agent runs it. This hub needs none."""
    return {"standardEnvVars": [], "harnesses": {}}


@router.head("/api/telemetry/{topic:rest}")
def telemetry(topic: str) -> Response:
    """Clients announce what they are used for; it is not kept."""
    return Response(status_code=204)
