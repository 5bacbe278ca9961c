"""What is in a repository: folders, files, refs, commits."""

from typing import Any
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from madang.server.api.asking import Content, TheHub
from madang.server.git.objects import Entry
from madang.server.git.refs import resolve
from madang.server.git.store import FileInfo, Objects
from madang.server.git.trees import walk
from madang.server.repositories.errors import EntryNotFound

router = APIRouter(tags=["files"])
PAGE = 1000


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
    limit: int = PAGE,
) -> JSONResponse:
    """A folder, page by page."""
    path = path.strip("/")
    limit = max(1, min(limit, PAGE))
    with hub.database.read() as connection:
        objects = Objects(connection, found.repository.id)
        commit = resolve(connection, found.repository.id, revision)
        folder = objects.find(objects.commit(commit).tree, path)
        if folder is None or not folder.is_folder:
            raise EntryNotFound(path, commit)
        page: list[tuple[str, Entry]] = []
        more = False
        for item in walk(objects, folder.oid, path, recursive=recursive, after=cursor):
            more = len(page) == limit
            if more:
                break
            page.append(item)
        infos = objects.files(entry.oid for _, entry in page if not entry.is_folder)
        items = [described(path, entry, infos.get(entry.oid)) for path, entry in page]
    headers = {}
    if more:
        last, entry = page[-1]
        query = dict(request.query_params, cursor=last + "/" if entry.is_folder else last)
        headers["Link"] = f'<{hub.settings.address}{request.url.path}?{urlencode(query)}>; rel="next"'
    return JSONResponse(items, headers=headers)


def described(path: str, entry: Entry, info: FileInfo | None) -> dict[str, Any]:
    """One line of a listing."""
    if entry.is_folder or info is None:
        return {"type": "directory", "oid": entry.oid, "size": 0, "path": path}
    item: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": info.size, "path": path}
    if info.pointer is not None:
        item["lfs"] = {"oid": info.pointer.sha256, "size": info.size, "pointerSize": len(info.pointer.encode())}
    return item
