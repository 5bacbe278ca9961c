"""Listings: what is in a folder of a repository at a revision, page by page."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection

from madang.server.clock import iso
from madang.server.git.last_changes import Effort, last_changes
from madang.server.git.objects import Entry, readable
from madang.server.git.pointers import Pointer
from madang.server.git.refs import resolve
from madang.server.git.sizes import tree_size
from madang.server.git.store import FileInfo, Objects
from madang.server.git.trees import walk
from madang.server.repositories.errors import EntryNotFound

PAGE = 1000
PAGE_EXPANDED = 100

# no scanner looks at files on this hub; clients need every key
NOT_SCANNED = {"status": "unscanned", "avScan": None, "pickleImportScan": None}


@dataclass(frozen=True)
class Page:
    """Some lines of a listing, the commit they were read in, and the path to go on after (None: that was all)."""

    items: list[dict[str, Any]]
    commit: str
    after: str | None = None


def folder_page(
    connection: Connection,
    repository_id: int,
    revision: str,
    path: str = "",
    *,
    recursive: bool = False,
    expand: bool = False,
    after: str = "",
    limit: int = PAGE,
) -> Page:
    """A page of what is in a folder. Raises RevisionNotFound, and EntryNotFound where there is no folder."""
    objects = Objects(connection, repository_id)
    commit = resolve(connection, repository_id, revision)
    folder = objects.find(objects.commit(commit).tree, path)
    if folder is None or not folder.is_folder:
        raise EntryNotFound(path, commit)
    found: list[tuple[str, Entry]] = []
    last = None
    for item in walk(objects, folder.oid, path, recursive=recursive, after=after):
        if len(found) == limit:
            before, entry = found[-1]
            last = before + "/" if entry.is_folder else before
            break
        found.append(item)
    return Page(describe(objects, commit, found, expand=expand), commit, last)


def paths_info(
    connection: Connection, repository_id: int, revision: str, paths: Iterable[str], *, expand: bool = False
) -> list[dict[str, Any]]:
    """The lines of these paths; those that are not there are left out."""
    objects = Objects(connection, repository_id)
    commit = resolve(connection, repository_id, revision)
    tree = objects.commit(commit).tree
    asked = [path.strip("/") for path in dict.fromkeys(paths)]
    entries = [(path, objects.find(tree, path)) for path in asked if path]
    found = [(path, entry) for path, entry in entries if entry is not None]
    return describe(objects, commit, found, expand=expand)


def folder_size(connection: Connection, repository_id: int, revision: str, path: str = "") -> int:
    """The bytes of a file, or of all files below a folder."""
    objects = Objects(connection, repository_id)
    commit = resolve(connection, repository_id, revision)
    entry = objects.find(objects.commit(commit).tree, path)
    if entry is None:
        raise EntryNotFound(path, commit)
    return tree_size(objects, entry.oid) if entry.is_folder else objects.file(entry.oid).size


def describe(
    objects: Objects, commit: str, found: list[tuple[str, Entry]], *, expand: bool = False
) -> list[dict[str, Any]]:
    """Lines of a listing as clients read them; with `expand` also which commit changed each last."""
    infos = objects.files(entry.oid for _, entry in found if not entry.is_folder)
    lines = [line(path, entry, infos.get(entry.oid)) for path, entry in found]
    if expand:
        changes = changed_last(objects, commit, [path for path, _ in found])
        for (path, _), item in zip(found, lines, strict=True):
            if path in changes:
                item["lastCommit"] = changes[path]
            if item["type"] == "file":
                item["securityFileStatus"] = dict(NOT_SCANNED)
    return lines


def line(path: str, entry: Entry, info: FileInfo | None) -> dict[str, Any]:
    """One line of a listing. A commit of another repository (a submodule) looks like a folder nobody can open."""
    if entry.is_folder or info is None:
        return {"type": "directory", "oid": entry.oid, "size": 0, "path": readable(path)}
    item: dict[str, Any] = {"type": "file", "oid": entry.oid, "size": info.size, "path": readable(path)}
    if info.pointer is not None:
        item["lfs"] = large_file(info.pointer)
    return item


def large_file(pointer: Pointer) -> dict[str, Any]:
    """What clients are told of the large file that a small one stands for."""
    return {"oid": pointer.sha256, "size": pointer.size, "pointerSize": pointer.length}


def changed_last(objects: Objects, commit: str, paths: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Path -> id, title and date of the commit that changed it last, as far as one request may look."""
    folders: dict[str, list[str]] = defaultdict(list)
    for path in paths:
        folder, _, name = path.rpartition("/")
        folders[folder].append(name)
    effort, answer = Effort(), {}
    for folder, names in folders.items():
        for name, oid in last_changes(objects, commit, folder, names, effort).items():
            change = objects.commit(oid)
            date = iso(change.committer.milliseconds)
            answer[f"{folder}/{name}" if folder else name] = {"id": oid, "title": change.title, "date": date}
    return answer
