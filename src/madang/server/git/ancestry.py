"""How two lines of commits hang together: where they parted, and what one has that the other has not."""

import heapq
from collections.abc import Iterable

from madang.server.errors import Unprocessable
from madang.server.git.objects import Commit
from madang.server.git.store import Objects

# A walk stops after so many commits: whoever pushes histories without an end gets an answer, not the hub's time.
MOST_VISITED = 50_000

_OURS, _THEIRS, _BELOW = 1, 2, 4


class Ancestry:
    """The commits that lead to `ours` and those that lead to `theirs`, down to where the two meet."""

    def __init__(self, objects: Objects, ours: Iterable[str], theirs: Iterable[str]) -> None:
        self._objects = objects
        self._marks: dict[str, int] = {}
        self._waiting: list[tuple[int, int, str]] = []
        self._commits: dict[str, Commit] = {}
        self._order: list[str] = []
        self._done: dict[str, int] = {}
        # what must be looked at before the walk may end: all but what lies below a meeting point
        self._open: set[str] = set()
        for oid in ours:
            self._mark(oid, _OURS)
        for oid in theirs:
            self._mark(oid, _THEIRS)
        self._walk()

    def meeting_points(self) -> list[str]:
        """The commits both have that lead to no other such commit, the newest first."""
        return [oid for oid in self._order if self._marks[oid] == _OURS | _THEIRS]

    def only_ours(self) -> list[tuple[str, Commit]]:
        """The commits `theirs` has not, the newest first."""
        return [(oid, self._commits[oid]) for oid in self._order if self._marks[oid] == _OURS]

    def _mark(self, oid: str, marks: int) -> None:
        before = self._marks.get(oid, 0)
        if before | marks == before:
            return
        self._marks[oid] = before | marks
        commit = self._commits.get(oid)
        if commit is None:
            commit = self._commits[oid] = self._objects.commit(oid)
        # a commit that was passed is visited again with its new mark: clocks that differ put children below parents
        if oid in self._done or not self._marks[oid] & _BELOW:
            self._open.add(oid)
        else:
            self._open.discard(oid)
        heapq.heappush(self._waiting, (-commit.committer.seconds, len(self._commits), oid))

    def _walk(self) -> None:
        while self._open:
            _, _, oid = heapq.heappop(self._waiting)
            self._open.discard(oid)
            marks = self._marks[oid]
            if self._done.get(oid) == marks:
                continue
            if oid not in self._done:
                self._order.append(oid)
            self._done[oid] = marks
            if len(self._done) > MOST_VISITED:
                raise Unprocessable(
                    f"these two lines of commits have nothing in common within {MOST_VISITED:,} commits."
                )
            both = marks & _OURS and marks & _THEIRS
            for parent in self._commits[oid].parents:
                self._mark(parent, marks | _BELOW if both else marks)


def merge_base(objects: Objects, ours: str, theirs: str) -> str | None:
    """The commit where two lines parted last; None when they have nothing in common.

    After merges in both directions there can be several: the newest is taken.
    """
    return next(iter(Ancestry(objects, [ours], [theirs]).meeting_points()), None)


def new_commits(objects: Objects, head: str, known: Iterable[str]) -> list[tuple[str, Commit]]:
    """The commits that lead to `head` and to none of `known`, the newest first."""
    return Ancestry(objects, [head], known).only_ours()
