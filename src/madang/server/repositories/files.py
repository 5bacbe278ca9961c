"""The files of a commit: found, and read wherever they are kept."""

import json
from collections.abc import Iterator
from typing import Any

from madang.server.database import storage_of
from madang.server.errors import NotFound
from madang.server.git.objects import BLOB, Entry
from madang.server.git.store import FileInfo, Objects
from madang.server.repositories.paths import IllegalPath, check_path
from madang.server.storage.blobs import blob_key


def entry_at(objects: Objects, tree: str, path: str) -> Entry | None:
    """What is at a path as it is spelled, or as it would be composed: `한` typed on a Mac is three characters."""
    found = objects.find(tree, path)
    if found is not None:
        return found
    try:
        return objects.find(tree, check_path(path))
    except IllegalPath:
        return None


def read_file(objects: Objects, tree: str, path: str, limit: int) -> bytes | None:
    """The content of a file; None when there is none or it is larger than `limit`."""
    return read_entry(objects, objects.find(tree, path), limit)


def read_text(objects: Objects, entry: Entry | None, limit: int) -> str:
    """The text of a file; empty when there is none or it is larger than `limit` bytes."""
    content = read_entry(objects, entry, limit)
    return "" if content is None else content.decode("utf-8", "replace")


def read_entry(objects: Objects, entry: Entry | None, limit: int) -> bytes | None:
    """The content of a file; None when there is none or it is larger than `limit`."""
    info = objects.files([entry.oid]).get(entry.oid) if entry is not None and not entry.is_folder else None
    if info is None or info.size > limit:
        return None
    return b"".join(read_part(objects, info, 0, info.size))


def read_part(objects: Objects, info: FileInfo, start: int, end: int) -> Iterator[bytes]:
    """A part of a file, in pieces; nothing when the store does not have it."""
    if info.pointer is None:
        yield objects.get(info.oid, BLOB).content[start:end]
        return
    storage = storage_of(objects.connection)
    if storage is None:
        return
    try:
        yield from storage.read(blob_key(info.pointer.sha256), start, end)
    except NotFound:
        return


def as_json(content: bytes) -> Any:
    """What a file says; None when it is no JSON."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None
