"""What is in a repository: folders and files."""

import json
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import Depends, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from pydantic import InstanceOf, TypeAdapter

from madang.server.api.asking import Content, TheHub
from madang.server.api.bodies import pieces, whole
from madang.server.api.paging import link_to_next, place_of
from madang.server.errors import InvalidRequest
from madang.server.repositories import folders
from madang.server.routing import Router

router = Router(tags=["files"])
MOST_PATHS = 500
LARGEST_QUESTION = 4 * 1024 * 1024
_PATH: TypeAdapter[str] = TypeAdapter(InstanceOf[str])


@router.get("/api/{type:plural}/{name:repository}/tree/{revision:piece}/{path:rest}")
@router.get("/api/{type:plural}/{name:repository}/tree/{revision:piece}")
def tree(
    request: Request,
    hub: TheHub,
    found: Content,
    revision: str,
    path: str = "",
    recursive: bool = False,
    expand: bool = False,
    cursor: str = "",
    limit: Annotated[int, Query(ge=1)] = folders.PAGE,
) -> JSONResponse:
    """A folder, page by page."""
    most = folders.PAGE_EXPANDED if expand else folders.PAGE
    with hub.database.read() as connection:
        page = folders.folder_page(
            connection,
            found.repository.id,
            revision,
            path.strip("/"),
            recursive=recursive,
            expand=expand,
            after=place_of(cursor, _PATH) or "",
            limit=min(limit, most),
        )
    headers = {"X-Repo-Commit": page.commit}
    if page.after is not None:
        headers |= link_to_next(request, page.after)
    return JSONResponse(page.items, headers=headers)


async def asked_paths(request: Request) -> dict[str, Any]:
    """`paths` and `expand` of a body, which clients write as a form and browsers as JSON."""
    too_large = InvalidRequest(f"the body is larger than {LARGEST_QUESTION:,} bytes: ask in several requests.")
    body = await whole(pieces(request), LARGEST_QUESTION, too_large)
    return await run_in_threadpool(_read_question, body, request.headers.get("content-type", ""))


def _read_question(body: bytes, kind: str) -> dict[str, Any]:
    try:
        if kind.partition(";")[0].strip() == "application/json":
            asked = json.loads(body)
            paths, expand = asked.get("paths", []), asked.get("expand", False)
        else:
            form = parse_qs(body.decode(), errors="strict", max_num_fields=MOST_PATHS + 10)
            paths, expand = form.get("paths", []), form.get("expand", ["false"])[-1].lower() in ("true", "1")
    except (ValueError, AttributeError, RecursionError):
        raise InvalidRequest(f"the body is no form with at most {MOST_PATHS} `paths`.") from None
    if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
        raise InvalidRequest("`paths` must be a list of texts.")
    if len(paths) > MOST_PATHS:
        raise InvalidRequest(f"{len(paths)} paths were asked for; at most {MOST_PATHS} go into one request.")
    return {"paths": paths, "expand": expand is True}


@router.post("/api/{type:plural}/{name:repository}/paths-info/{revision:piece}")
def paths_info(
    hub: TheHub, found: Content, revision: str, asked: Annotated[dict[str, Any], Depends(asked_paths)]
) -> JSONResponse:
    """The files and folders at these paths; those that are not there are left out."""
    with hub.database.read() as connection:
        return JSONResponse(folders.paths_info(connection, found.repository.id, revision, **asked))


@router.get("/api/{type:plural}/{name:repository}/treesize/{revision:piece}/{path:rest}")
@router.get("/api/{type:plural}/{name:repository}/treesize/{revision:piece}")
def tree_size(hub: TheHub, found: Content, revision: str, path: str = "") -> dict[str, Any]:
    """How many bytes the files of a folder have."""
    path = path.strip("/")
    with hub.database.read() as connection:
        size = folders.folder_size(connection, found.repository.id, revision, path)
    return {"path": "/" + path, "size": size}
