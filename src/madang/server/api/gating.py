"""Access to gated repositories: asking for it, and deciding about it."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Annotated, Any, Literal

from fastapi import Depends, Query, Request
from fastapi.responses import JSONResponse, RedirectResponse, Response, StreamingResponse
from pydantic import Field, TypeAdapter

from madang.server.api.asking import Administered, Known, SignedIn, TheHub
from madang.server.api.bodies import Body, pieces, whole
from madang.server.api.forms import LARGEST, small_form
from madang.server.api.paging import Number, answer, place_of
from madang.server.errors import Forbidden, InvalidRequest
from madang.server.hub import Hub
from madang.server.repositories import gating
from madang.server.repositories.repository import Repository
from madang.server.routing import Router

router = Router(tags=["gated access"])
BASE = "/api/{type:plural}/{name:repository}/user-access-request"
PAGE = 500
_PLACE: TypeAdapter[int] = TypeAdapter(Number)

Status = Literal["pending", "accepted", "rejected"]


class Decision(Body):
    user: str | None = None
    request_id: Annotated[str | None, Field(alias="requestId")] = None
    status: Status
    reason: Annotated[str | None, Field(alias="rejectionReason")] = None


class Granted(Body):
    user: str


async def answers(request: Request) -> dict[str, Any]:
    """What was answered to the questions of a card: a form, or a JSON object."""
    if not request.headers.get("content-type", "").startswith("application/json"):
        return dict(await small_form(request))
    body = await whole(pieces(request), LARGEST, InvalidRequest(f"The answers have at most {LARGEST:,} bytes."))
    try:
        found = json.loads(body or b"{}")
    except (ValueError, RecursionError):
        raise InvalidRequest("This is no JSON.") from None
    if not isinstance(found, dict):
        raise InvalidRequest('The answers are an object: {"Company": "…"}.')
    return found


@router.post("/{type:prefix}{name:repository}/ask-access", response_model=None)
def ask(
    request: Request,
    hub: TheHub,
    caller: SignedIn,
    found: Known,
    given: Annotated[dict[str, Any], Depends(answers)],
) -> Response:
    """Ask for access. Pages get back to the repository; programs get the status of the request."""
    # it tells the owner who somebody is: not what a token for files is for
    if not caller.may_manage:
        raise Forbidden("This token may not ask for access in your name. Do it on the page of the repository.")
    with hub.database.write() as connection:
        status = gating.ask(connection, caller, found, given)
    if "text/html" in request.headers.get("accept", ""):
        return RedirectResponse(f"{hub.settings.address}/{found.repository.path}", 303)
    return JSONResponse({"status": status})


@router.get(BASE + "/{status:piece}")
def listing(
    request: Request,
    hub: TheHub,
    found: Administered,
    status: Status,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = PAGE,
    cursor: str = "",
) -> JSONResponse:
    """The requests of one status, page by page."""
    after = place_of(cursor, _PLACE) or 0
    with hub.database.read() as connection:
        rows = gating.requests(connection, found.repository, status, after, limit + 1)
    return answer(request, rows, limit)


@router.post(BASE + "/handle")
def handle(hub: TheHub, caller: SignedIn, found: Administered, asked: Decision) -> dict[str, str]:
    """Accept, reject or cancel a request."""
    with hub.database.write() as connection:
        gating.handle(
            connection,
            caller,
            found.repository,
            asked.status,
            user=asked.user,
            request=asked.request_id,
            reason=asked.reason,
        )
    return {"status": asked.status}


@router.post(BASE + "/grant")
def grant(hub: TheHub, caller: SignedIn, found: Administered, asked: Granted) -> dict[str, str]:
    """Let somebody in who did not ask."""
    with hub.database.write() as connection:
        gating.grant(connection, caller, found.repository, asked.user)
    return {"status": "accepted"}


@router.get("/{type:prefix}{name:repository}/user-access-report")
def report(hub: TheHub, found: Administered) -> StreamingResponse:
    """All requests as a table for spreadsheets."""
    name = found.repository.name.replace("/", "-")
    return StreamingResponse(
        _lines(hub, found.repository),
        media_type="text/csv; charset=utf-8",
        headers={
            "Content-Disposition": f'attachment; filename="access-{name}.csv"',
            "X-Content-Type-Options": "nosniff",
            "Cache-Control": "no-store",
        },
    )


def _lines(hub: Hub, repository: Repository) -> Iterator[str]:
    """The report, a page of the database at a time."""
    with hub.database.read() as connection:
        names = [field.name for field in gating.questions(connection, repository)]
    # the mark by which spreadsheets know UTF-8: without it Korean names come out wrong
    yield "\ufeff" + csv_line([*gating.REPORT, *names, "earlier questions"])
    rows = None
    while rows is None or len(rows) == PAGE:
        # a connection for each page: whoever reads slowly keeps none
        with hub.database.read() as connection:
            rows = gating.requests(connection, repository, None, rows[-1][0] if rows else 0, PAGE)
        yield "".join(csv_line(gating.report_row(item, names)) for _, item in rows)


def csv_line(cells: list[str]) -> str:
    """A line of a table. Cells that a spreadsheet would take for a formula begin with an apostrophe."""
    safe = ["'" + cell if cell.lstrip(" ")[:1] in tuple("=+-@\t\r\n＝＋－＠") else cell for cell in cells]
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_ALL).writerow(safe)
    return text.getvalue()
