"""Lists of repositories, their facets, and suggestions while somebody types."""

from typing import Any, Literal

from fastapi import Request
from fastapi.responses import JSONResponse

from madang.server.api.asking import AnyCaller, TheHub
from madang.server.api.paging import link
from madang.server.repositories.names import SINGULARS
from madang.server.routing import Router
from madang.server.search import facets as counting
from madang.server.search import items, suggesting
from madang.server.search.listing import page
from madang.server.search.questions import cursor, known, parse

router = Router(tags=["search"])


@router.get("/api/models")
@router.get("/api/datasets")
@router.get("/api/spaces")
def repositories(request: Request, hub: TheHub, caller: AnyCaller) -> JSONResponse:
    """One page of a list; the header Link leads to the next."""
    kind = SINGULARS[request.url.path.rsplit("/", 1)[1]]
    given = request.query_params.multi_items()
    question = parse(kind, given)
    fields = items.fields_of(question)
    with hub.database.read() as connection:
        found = page(connection, caller, question)
        listed = [items.item(connection, row, fields) for row in found.rows]
    headers = link(request, cursor=cursor(question, found.stop)) if found.stop is not None else {}
    if question.ignored:
        names = ", ".join(question.ignored)
        headers["X-HF-Warning"] = f"filters; this hub does not know {names}: the list is not narrowed by it."
    return JSONResponse(listed, headers=headers)


@router.get("/api/models-tags-by-type")
@router.get("/api/datasets-tags-by-type")
def tags(request: Request, hub: TheHub) -> dict[str, Any]:
    """The tags that repositories have, by facet."""
    plural = request.url.path.rsplit("/", 1)[1].removesuffix("-tags-by-type")
    with hub.database.read() as connection:
        return counting.tags_by_type(connection, SINGULARS[plural])


@router.get("/api/facets")
def facets(request: Request, hub: TheHub) -> dict[str, Any]:
    """How many public repositories of a list have which tags. Takes the parameters that narrow a list, and `type`."""
    given = request.query_params.multi_items()
    kind = known(dict(given).get("type", "model"), tuple(SINGULARS.values()), "type")
    question = parse(kind, [(name, value) for name, value in given if name != "type"])
    with hub.database.read() as connection:
        return counting.facets(connection, question)


@router.get("/api/quicksearch")
def suggestions(
    hub: TheHub,
    caller: AnyCaller,
    q: str = "",
    type: Literal["model", "dataset", "space", "user", "org"] | None = None,
) -> dict[str, Any]:
    """Suggestions for what somebody began to type."""
    with hub.database.read() as connection:
        return suggesting.suggestions(connection, caller, q, type)
