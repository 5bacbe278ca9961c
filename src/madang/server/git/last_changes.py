"""Which commit last changed each entry of a folder.

One walk through the history answers for all entries together: each is followed to the parent that has the same, and
the commit none of whose parents has it is the one. What was found is remembered by commit and folder, so that after a
push only the new commits are looked at.
"""

import heapq
from collections import OrderedDict
from collections.abc import Iterable
from threading import Lock

from madang.server.git.objects import encode_name
from madang.server.git.store import Objects

MOST_COMMITS = 3000
MOST_BYTES = 64 * 1024 * 1024
REMEMBERED_NAMES = 300_000

Place = tuple[int, str, str]  # repository, commit, folder


class Effort:
    """How much one request may still read; entries that are left when it is used up have no answer."""

    def __init__(self, commits: int = MOST_COMMITS, size: int = MOST_BYTES) -> None:
        self.commits, self.size = commits, size

    @property
    def is_over(self) -> bool:
        return self.commits <= 0 or self.size <= 0


class Memory:
    """The answers found last, up to a number of names."""

    def __init__(self, limit: int = REMEMBERED_NAMES) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[Place, dict[bytes, str]] = OrderedDict()
        self._lock = Lock()

    def get(self, place: Place, names: Iterable[bytes]) -> dict[bytes, str]:
        """What is known of these names."""
        with self._lock:
            known = self._kept.get(place)
            if known is None:
                return {}
            self._kept.move_to_end(place)
            return {name: known[name] for name in names if name in known}

    def add(self, place: Place, found: dict[bytes, str]) -> None:
        with self._lock:
            known = self._kept.setdefault(place, {})
            self._size -= len(known)
            known.update(found)
            self._size += len(known)
            while self._size > self._limit and self._kept:
                self._size -= len(self._kept.popitem(last=False)[1])


MEMORY = Memory()


def last_changes(
    objects: Objects, commit: str, folder: str, names: Iterable[str], effort: Effort | None = None
) -> dict[str, str]:
    """Name -> id of the commit that last changed it, for entries of `folder` as it is in `commit`."""
    effort = effort or Effort()
    asked = {encode_name(name): name for name in names}
    found = MEMORY.get((objects.repository_id, commit, folder), asked)
    walk = _Walk(objects, folder, effort)
    found |= walk.run(commit, asked.keys() - found.keys())
    MEMORY.add((objects.repository_id, commit, folder), found)
    return {asked[name]: oid for name, oid in found.items()}


class _Walk:
    """One walk through the history of a folder."""

    def __init__(self, objects: Objects, folder: str, effort: Effort) -> None:
        self.objects, self.folder, self.effort = objects, folder, effort
        # commits that names have come to, the newest first
        self.waiting: list[tuple[int, str]] = []
        self.names_at: dict[str, set[bytes]] = {}
        # the two folders compared last: the parent of one commit is the next one
        self.read: OrderedDict[str, dict[bytes, bytes]] = OrderedDict()

    def run(self, commit: str, names: set[bytes]) -> dict[bytes, str]:
        found: dict[bytes, str] = {}
        self.send(commit, set(names))
        while self.waiting and not self.effort.is_over:
            _, oid = heapq.heappop(self.waiting)
            here = self.names_at.pop(oid, set())
            known = MEMORY.get((self.objects.repository_id, oid, self.folder), here)
            found |= known
            found |= dict.fromkeys(self.made_by(oid, here - known.keys()), oid)
        return found

    def send(self, commit: str, names: set[bytes]) -> None:
        if not names:
            return
        if commit not in self.names_at:
            heapq.heappush(self.waiting, (-self.objects.commit(commit).committer.seconds, commit))
        self.names_at.setdefault(commit, set()).update(names)

    def made_by(self, oid: str, names: set[bytes]) -> set[bytes]:
        """Those of the names that this commit made as they are; the others are sent on to its parents."""
        if not names:
            return names
        self.effort.commits -= 1
        commit = self.objects.commit(oid)
        tree = self.tree_of(oid)
        above = [(parent, self.tree_of(parent)) for parent in commit.parents]
        for parent, same in above:
            if same == tree:
                self.send(parent, names)
                return set()
        for parent, other in above:
            old, new = self.names(other), self.names(tree)
            unchanged = {name for name in names if old.get(name) == new.get(name)}
            self.send(parent, unchanged)
            names = names - unchanged
        return names

    def tree_of(self, commit: str) -> str | None:
        entry = self.objects.find(self.objects.commit(commit).tree, self.folder)
        return entry.oid if entry is not None and entry.is_folder else None

    def names(self, tree: str | None) -> dict[bytes, bytes]:
        if tree is None:
            return {}
        if tree not in self.read:
            self.read[tree] = self.objects.names(tree)
            self.effort.size -= len(self.objects.get(tree).content)
            while len(self.read) > 3:
                self.read.popitem(last=False)
        return self.read[tree]
