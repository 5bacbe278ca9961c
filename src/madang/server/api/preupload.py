"""Before an upload: which way each file goes, and which need not be sent."""

import base64
import binascii
import codecs
from typing import Annotated, Any, Literal

from pydantic import Field

from madang.server.api.asking import Content, SignedIn, TheHub
from madang.server.api.bodies import Body
from madang.server.git.refs import resolve
from madang.server.git.store import Objects
from madang.server.repositories.attributes import Attributes, Ignored
from madang.server.repositories.changes import check_may_commit, is_large_file, ref_of, text_of
from madang.server.repositories.files import entry_at
from madang.server.repositories.paths import check_path
from madang.server.routing import Router

router = Router(tags=["commits"])


class FileToCome(Body):
    path: Annotated[str, Field(max_length=5000)]
    sample: Annotated[str, Field(max_length=16384)] = ""
    size: Annotated[int, Field(ge=0)]


class FilesToCome(Body):
    files: Annotated[list[FileToCome], Field(max_length=1000)]
    ignore: Annotated[str | None, Field(alias="gitIgnore", max_length=1024 * 1024)] = None


@router.post("/api/{type:plural}/{name:repository}/preupload/{revision:piece}")
def preupload(
    hub: TheHub, found: Content, caller: SignedIn, revision: str, asked: FilesToCome, create_pr: bool = False
) -> dict[str, Any]:
    """Each file: large or regular, whether `.gitignore` leaves it out, and what is at its path already."""
    repository = found.repository
    answers: list[dict[str, Any]] = []
    with hub.database.read() as connection:
        check_may_commit(connection, caller, found, revision, pull_request=create_pr)
        commit = resolve(connection, repository.id, ref_of(revision))
        objects = Objects(connection, repository.id)
        tree = objects.commit(commit).tree
        attributes = Attributes(text_of(objects, tree, ".gitattributes"))
        ignored = Ignored(text_of(objects, tree, ".gitignore") if asked.ignore is None else asked.ignore)
        paths = {file.path: check_path(file.path) for file in asked.files}
        entries = {path: entry_at(objects, tree, path) for path in paths}
        infos = objects.files(entry.oid for entry in entries.values() if entry is not None and not entry.is_folder)
    for file in asked.files:
        answer: dict[str, Any] = {
            "path": file.path,
            "uploadMode": upload_mode(file, attributes, hub.settings.large_from_bytes),
            "shouldIgnore": paths[file.path] in ignored,
        }
        entry = entries[file.path]
        info = infos.get(entry.oid) if entry is not None else None
        if info is not None:
            answer["oid"] = info.oid if info.pointer is None else info.pointer.sha256
        answers.append(answer)
    return {"files": answers, "commitOid": commit}


def upload_mode(file: FileToCome, attributes: Attributes, large_from_bytes: int) -> Literal["lfs", "regular"]:
    """`lfs` for large files: by `.gitattributes`, by their size, by a beginning that is no text."""
    large = is_large_file(check_path(file.path), file.size, attributes, large_from_bytes)
    return "lfs" if large or (file.size > 0 and _is_binary(file.sample)) else "regular"


def _is_binary(sample: str) -> bool:
    """Whether the beginning of a file, in base64, is something else than text. It may end within a character."""
    try:
        beginning = base64.b64decode(sample, validate=True)
        codecs.getincrementaldecoder("utf-8")().decode(beginning)
    except (binascii.Error, ValueError):
        return True
    return b"\0" in beginning
