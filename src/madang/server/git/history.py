"""Reading a history page by page: where one page ends, the next goes on, however long the history is."""

import heapq
from collections.abc import Sequence
from dataclasses import dataclass

from madang.server.git.objects import Commit
from madang.server.git.store import Objects

# with a path, so many commits are looked at for one page, which may then be short
MOST_VISITED = 2000
# a page that would have to go on at more places than this leaves out the oldest of them
MOST_PLACES = 100
MOST_OF_A_SECOND = 1000


# seconds (the newest first), order of arrival, id
Waiting = tuple[int, int, str, Commit]


@dataclass(frozen=True)
class HistoryPage:
    """Commits, the newest first, and those to go on from (none: that was all)."""

    commits: list[tuple[str, Commit]]
    rest: list[str]


def history_page(objects: Objects, starts: Sequence[str], limit: int, path: str = "") -> HistoryPage:
    """Up to `limit` commits that `starts` lead to; with `path` those that changed what is there.

    As `git log` does with a path, of a merge only the parent that has the same content is followed, if one has.
    """
    found: list[tuple[str, Commit]] = []
    waiting: list[Waiting] = []
    seen: set[str] = set()

    def wait_for(oid: str) -> None:
        if oid not in seen:
            seen.add(oid)
            commit = objects.commit(oid)
            heapq.heappush(waiting, (-commit.committer.seconds, len(seen), oid, commit))

    for oid in starts:
        wait_for(oid)
    visited = 0
    while waiting and len(found) < limit and visited < MOST_VISITED:
        _, _, oid, commit = _next(objects, waiting)
        visited += 1
        parents = _parents_with_same(objects, commit, path) if path else None
        if parents is None:
            found.append((oid, commit))
        for parent in commit.parents if parents is None else parents:
            wait_for(parent)
    return HistoryPage(found, [item[2] for item in sorted(waiting)[:MOST_PLACES]])


def _next(objects: Objects, waiting: list[Waiting]) -> Waiting:
    """The newest commit. Of several of one second the first that does not lead up to another of them: else it would
    come a second time, on the page that begins with that other one."""
    first = heapq.heappop(waiting)
    if not waiting or waiting[0][0] != first[0]:
        return first
    same = [first]
    while waiting and waiting[0][0] == first[0]:
        same.append(heapq.heappop(waiting))
    below = _below(objects, same)
    chosen = next((item for item in same if item[2] not in below), first)
    for item in same:
        if item is not chosen:
            heapq.heappush(waiting, item)
    return chosen


def _below(objects: Objects, commits: Sequence[Waiting]) -> set[str]:
    """What these commits of one second lead to within that second."""
    found: set[str] = set()
    unread = [parent for item in commits for parent in item[3].parents]
    while unread and len(found) < MOST_OF_A_SECOND:
        oid = unread.pop()
        if oid not in found:
            commit = objects.commit(oid)
            if commit.committer.seconds == -commits[0][0]:
                found.add(oid)
                unread += commit.parents
    return found


def _parents_with_same(objects: Objects, commit: Commit, path: str) -> Sequence[str] | None:
    """The parent to follow when one has the same at `path`; None when the commit changed it."""
    here = _at(objects, commit, path)
    for parent in commit.parents:
        if _at(objects, objects.commit(parent), path) == here:
            return (parent,)
    return None if commit.parents or here is not None else ()


def _at(objects: Objects, commit: Commit, path: str) -> tuple[int, str] | None:
    entry = objects.find(commit.tree, path)
    return None if entry is None else (entry.mode, entry.oid)
