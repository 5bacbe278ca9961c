"""Repositories as clients are told of them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import iso
from madang.server.git.refs import resolve
from madang.server.git.store import Objects
from madang.server.git.trees import walk
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository


def describe(
    connection: Connection, repository: Repository, *, revision: str | None = None, blobs: bool = False
) -> dict[str, Any]:
    """The answer to `GET /api/models/alice/bert`."""
    row = connection.execute(sa.select(repositories).where(repositories.c.id == repository.id)).one()
    commit = resolve(connection, repository.id, revision or "main")
    answer: dict[str, Any] = {
        "_id": repository.hex_id,
        "id": repository.name,
        "author": repository.owner,
        "sha": commit,
        "private": repository.private,
        "gated": repository.gated or False,
        "disabled": repository.disabled,
        "createdAt": iso(row.created_at),
        "lastModified": iso(row.modified_at),
        "downloads": row.downloads,
        "likes": row.likes,
        "tags": row.tags,
        "cardData": row.card,
        "siblings": siblings(Objects(connection, repository.id), commit, blobs=blobs),
    }
    if repository.type == "model":
        answer["modelId"] = repository.name
    return answer


def siblings(objects: Objects, commit: str, *, blobs: bool) -> list[dict[str, Any]]:
    """All files of a commit; with `blobs` their sizes and ids too."""
    found = [
        (path, entry)
        for path, entry in walk(objects, objects.commit(commit).tree, recursive=True)
        if not entry.is_folder
    ]
    if not blobs:
        return [{"rfilename": path} for path, _ in found]
    infos = objects.files(entry.oid for _, entry in found)
    answer = []
    for path, entry in found:
        info = infos[entry.oid]
        item: dict[str, Any] = {"rfilename": path, "blobId": entry.oid, "size": info.size}
        if info.pointer is not None:
            size = len(info.pointer.encode())
            item["lfs"] = {"sha256": info.pointer.sha256, "size": info.size, "pointerSize": size}
        answer.append(item)
    return answer
