"""Histories and differences of a repository, as clients are told of them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection

from madang.server.clock import iso
from madang.server.errors import InvalidRequest
from madang.server.git.ancestry import merge_base
from madang.server.git.diffs import Change, changed_files, patch
from madang.server.git.history import history_page
from madang.server.git.merging import Steps
from madang.server.git.objects import Commit, Entry, readable
from madang.server.git.refs import resolve
from madang.server.git.store import FileInfo, Objects
from madang.server.repositories.authors import authors_of
from madang.server.repositories.folders import large_file

PAGE = 50
MOST_FILES = 1000  # of one answer; it says when there are more
MOST_TEXT = 1_000_000  # characters of all patches together; files after that come without
MOST_STEPS = 10_000_000


def commits_page(
    connection: Connection,
    repository_id: int,
    revision: str,
    *,
    places: Sequence[str] = (),
    path: str = "",
    limit: int = PAGE,
    formatted: bool = False,
) -> tuple[list[dict[str, Any]], list[str]]:
    """A page of the commits that lead to a revision, and the places to go on from.

    Raises RevisionNotFound, and InvalidRequest for places that are no commits of the repository.
    """
    objects = Objects(connection, repository_id)
    if places and len(objects.commits_among(places)) != len(set(places)):
        raise InvalidRequest("the cursor is of another list. Begin again at the first page.")
    starts = places or [resolve(connection, repository_id, revision)]
    page = history_page(objects, starts, limit, path)
    return describe_commits(connection, page.commits, formatted=formatted), page.rest


def describe_commits(
    connection: Connection, commits: Sequence[tuple[str, Commit]], *, formatted: bool = False
) -> list[dict[str, Any]]:
    """Commits as clients read them."""
    people = authors_of(connection, [commit for _, commit in commits])
    return [
        _described(oid, commit, names, formatted=formatted)
        for (oid, commit), names in zip(commits, people, strict=True)
    ]


def _described(oid: str, commit: Commit, names: list[str], *, formatted: bool) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "id": oid,
        "title": commit.title,
        "message": commit.description,
        "authors": [{"user": name} for name in names],
        "date": iso(commit.committer.milliseconds),
        "parents": list(commit.parents),
    }
    if formatted:
        answer["formatted"] = {"title": commit.title, "message": commit.description}
    return answer


def commit_details(connection: Connection, repository_id: int, revision: str) -> dict[str, Any]:
    """A commit and what it changed, a merge compared with its first parent."""
    objects = Objects(connection, repository_id)
    oid = resolve(connection, repository_id, revision)
    commit = objects.commit(oid)
    before = objects.commit(commit.parents[0]).tree if commit.parents else None
    return describe_commits(connection, [(oid, commit)])[0] | differences(objects, before, commit.tree)


def compare(connection: Connection, repository_id: int, question: str) -> dict[str, Any]:
    """`base..head`: what differs between two revisions. `base...head`: what head changed since the two parted.

    Raises InvalidRequest for anything else, RevisionNotFound.
    """
    dots = "..." if "..." in question else ".."
    base, found, head = question.partition(dots)
    if not found or not base or not head or ".." in head:
        raise InvalidRequest("what to compare is written `base..head`, with a revision on each side.")
    objects = Objects(connection, repository_id)
    old, new = resolve(connection, repository_id, base), resolve(connection, repository_id, head)
    start = merge_base(objects, old, new) if dots == "..." else old
    tree = objects.commit(start).tree if start is not None else None
    return {"base": start, "head": new, **differences(objects, tree, objects.commit(new).tree)}


def differences(objects: Objects, old: str | None, new: str | None) -> dict[str, Any]:
    """The files that differ between two trees: how, their sizes, and the lines of texts, up to a length."""
    changes: list[Change] = []
    truncated = False
    for change in changed_files(objects, old, new):
        truncated = len(changes) == MOST_FILES
        if truncated:
            break
        changes.append(change)
    entries = [entry for change in changes for entry in (change.old, change.new) if entry is not None]
    infos = objects.files(entry.oid for entry in entries)
    steps, left = Steps(MOST_STEPS), MOST_TEXT
    files = []
    for change in changes:
        item = _file(change, infos)
        found = patch(objects, change, steps) if left > 0 else None
        if found is not None:
            item["binary"] = found.binary
            if found.text is not None and len(found.text) <= left:
                item["patch"] = found.text
                left -= len(found.text)
        files.append(item)
    return {"files": files, "truncated": truncated}


def _file(change: Change, infos: dict[str, FileInfo]) -> dict[str, Any]:
    answer: dict[str, Any] = {"path": readable(change.path), "status": change.status}
    for side, entry in (("old", change.old), ("new", change.new)):
        if entry is not None:
            answer[side] = _side(entry, infos.get(entry.oid))
    return answer


def _side(entry: Entry, info: FileInfo | None) -> dict[str, Any]:
    """One side of a change; a commit of another repository (a submodule) has no size."""
    side: dict[str, Any] = {"oid": entry.oid, "mode": f"{entry.mode:06o}"}
    if info is not None:
        side["size"] = info.size
    if info is not None and info.pointer is not None:
        side["lfs"] = large_file(info.pointer)
    return side
