"""Bringing two lines of commits together: folders entry by entry, text files line by line.

What only one side changed is taken from it. A file both changed is merged when it is text and the places differ;
pointers to large files, binary files, and the same place changed in two ways are conflicts, and never guessed.
"""

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field

from madang.server.git.objects import BLOB, FILE_MODE, FOLDER_MODE, Entry, GitObject, readable
from madang.server.git.pointers import read_pointer
from madang.server.git.store import Objects
from madang.server.git.trees import DEEPEST

EXECUTABLE = 0o111
LARGEST_TEXT = 1024 * 1024
MOST_LINES = 20_000
MOST_CHANGED_LINES = 2_000  # of one file on one side: beyond that it is another file, not an edit
MOST_STEPS = 20_000_000  # of all comparisons of one merge: some seconds
MOST_CONFLICTS = 1000


@dataclass
class Merge:
    """What `theirs` adds to `ours`: changes (path -> entry, None removes) for `change_tree`, new blobs, conflicts."""

    changes: dict[str, Entry | None] = field(default_factory=dict)
    blobs: list[GitObject] = field(default_factory=list)
    conflicts: list[str] = field(default_factory=list)


class TooDifferent(Exception):
    """Two texts have so little in common that comparing them line by line would take too long."""


def merge_trees(objects: Objects, base: str | None, ours: str, theirs: str | None) -> Merge:
    """Merge the folders `ours` and `theirs`, which both came from `base`; None is an empty one. Nothing is stored."""
    merging = _Merging(objects)
    merging.folders("", *(Entry("", FOLDER_MODE, tree) if tree else None for tree in (base, ours, theirs)))
    merging.result.conflicts.sort()
    return merging.result


class _Merging:
    def __init__(self, objects: Objects) -> None:
        self.objects, self.result = objects, Merge()
        self.steps = Steps(MOST_STEPS)

    def folders(self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> None:
        """Merge what is in three folders; None is an empty one."""
        before, here, there = (self._entries(entry) for entry in (base, ours, theirs))
        for name in sorted({*before, *here, *there}):
            if len(self.result.conflicts) >= MOST_CONFLICTS:
                return
            below = f"{path}/{name}" if path else name
            self.entries(below, before.get(name), here.get(name), there.get(name))

    def entries(self, path: str, base: Entry | None, ours: Entry | None, theirs: Entry | None) -> None:
        """Merge what is at one path."""
        if theirs in (base, ours):
            return
        if ours == base:
            self.result.changes[path] = theirs
            return
        sides = [entry for entry in (base, ours, theirs) if entry is not None]
        if all(entry.is_folder for entry in sides) and path.count("/") < DEEPEST:
            self.folders(path, base, ours, theirs)
        elif base is None or ours is None or theirs is None or any(entry.is_folder for entry in sides):
            self.result.conflicts.append(readable(path))
        else:
            self.files(path, base, ours, theirs)

    def files(self, path: str, base: Entry, ours: Entry, theirs: Entry) -> None:
        """Merge a file both sides changed."""
        mode = theirs.mode if ours.mode == base.mode else ours.mode
        if ours.mode != theirs.mode and base.mode not in (ours.mode, theirs.mode):
            self.result.conflicts.append(readable(path))
            return
        if theirs.oid in (base.oid, ours.oid):
            oid: str | None = ours.oid
        elif ours.oid == base.oid:
            oid = theirs.oid
        else:
            oid = self.texts(base, ours, theirs)
        if oid is None:
            self.result.conflicts.append(readable(path))
        elif (mode, oid) != (ours.mode, ours.oid):
            self.result.changes[path] = Entry(ours.name, mode, oid)

    def texts(self, base: Entry, ours: Entry, theirs: Entry) -> str | None:
        """The id of the merged content; None for a conflict."""
        sides = (base, ours, theirs)
        if any(entry.mode & ~EXECUTABLE != FILE_MODE & ~EXECUTABLE for entry in sides):
            return None  # links and modules have no lines
        infos = self.objects.files(entry.oid for entry in sides)
        if any(infos[entry.oid].size > LARGEST_TEXT or infos[entry.oid].pointer for entry in sides):
            return None
        before, here, there = contents = [self.objects.get(entry.oid, BLOB).content for entry in sides]
        if any(b"\0" in content or read_pointer(content) for content in contents):
            return None
        try:
            merged = merge_lines(before.splitlines(True), here.splitlines(True), there.splitlines(True), self.steps)
        except TooDifferent:
            return None
        if merged is None:
            return None
        blob = GitObject.of(BLOB, b"".join(merged))
        self.result.blobs.append(blob)
        return blob.oid

    def _entries(self, folder: Entry | None) -> dict[str, Entry]:
        if folder is None or not folder.is_folder:
            return {}
        return {entry.name: entry for entry in self.objects.tree(folder.oid)}


class Steps:
    """How many comparisons are left."""

    def __init__(self, left: int) -> None:
        self.left = left

    def take(self, number: int) -> None:
        """Raises TooDifferent when none are left."""
        self.left -= number
        if self.left < 0:
            raise TooDifferent


@dataclass(frozen=True)
class Hunk:
    """The lines from `start` to `end` of the base became the lines from `new_start` to `new_end`."""

    start: int
    end: int
    new_start: int
    new_end: int


def merge_lines(
    base: Sequence[bytes], ours: Sequence[bytes], theirs: Sequence[bytes], steps: Steps | None = None
) -> list[bytes] | None:
    """Both sides' changes to `base`; None where they changed the same lines, or lines next to each other, differently.

    Raises TooDifferent.
    """
    steps = steps or Steps(MOST_STEPS)
    left, right = hunks(base, ours, steps), hunks(base, theirs, steps)
    merged: list[bytes] = []
    position = first = second = 0
    while first < len(left) or second < len(right):
        # a group: hunks of the two sides that touch, grown until nothing more touches it
        some, others = first, second
        starts = [side[at].start for side, at in ((left, first), (right, second)) if at < len(side)]
        start = end = min(starts)
        while True:
            if first < len(left) and left[first].start <= end:
                end, first = max(end, left[first].end), first + 1
            elif second < len(right) and right[second].start <= end:
                end, second = max(end, right[second].end), second + 1
            else:
                break
        merged.extend(base[position:start])
        position = end
        our_text = _text_of(left[some:first], base, ours, start, end)
        their_text = _text_of(right[others:second], base, theirs, start, end)
        if others == second or our_text == their_text:
            merged.extend(our_text)
        elif some == first:
            merged.extend(their_text)
        else:
            return None
    merged.extend(base[position:])
    return merged


def _text_of(
    changes: Sequence[Hunk], base: Sequence[bytes], side: Sequence[bytes], start: int, end: int
) -> Sequence[bytes]:
    """What the lines from `start` to `end` of the base became on one side."""
    if not changes:
        return base[start:end]
    before, after = changes[0].start - start, end - changes[-1].end
    return side[changes[0].new_start - before : changes[-1].new_end + after]


def hunks(old: Sequence[bytes], new: Sequence[bytes], steps: Steps) -> list[Hunk]:
    """The fewest changes that turn `old` into `new`. Raises TooDifferent.

    E. Myers, "An O(ND) Difference Algorithm and Its Variations", 1986.
    """
    if max(len(old), len(new)) > MOST_LINES:
        raise TooDifferent
    head = 0
    while head < min(len(old), len(new)) and old[head] == new[head]:
        head += 1
    tail = 0
    while tail < min(len(old), len(new)) - head and old[-1 - tail] == new[-1 - tail]:
        tail += 1
    # comparing small numbers is quicker than comparing lines
    numbers: dict[bytes, int] = {}
    a = [numbers.setdefault(line, len(numbers)) for line in old[head : len(old) - tail]]
    b = [numbers.setdefault(line, len(numbers)) for line in new[head : len(new) - tail]]
    found: list[Hunk] = []
    for x, y, removes in _edits(a, b, steps):
        x, y = head + x, head + y
        last = found[-1] if found and (found[-1].end, found[-1].new_end) == (x, y) else None
        start, new_start = (last.start, last.new_start) if last else (x, y)
        hunk = Hunk(start, x + 1, new_start, y) if removes else Hunk(start, x, new_start, y + 1)
        found[-1 if last else len(found) :] = [hunk]
    return found


def _edits(a: Sequence[int], b: Sequence[int], steps: Steps) -> list[tuple[int, int, bool]]:
    """The steps of a shortest path through the edit graph that remove a line of `a` (True) or add one of `b`."""
    if not a or not b:
        steps.take(len(a) + len(b))
        return [*((x, 0, True) for x in range(len(a))), *((0, y, False) for y in range(len(b)))]
    size = min(len(a) + len(b), MOST_CHANGED_LINES)
    # of each diagonal k = x - y, at place k + size + 1: the largest x reached with the edits so far
    furthest = array("i", [0]) * (2 * size + 3)
    trail: list[array[int]] = []
    for distance in range(size + 1):
        low, high = size + 1 - distance, size + 1 + distance
        trail.append(furthest[low - 1 : high + 2])
        for place in range(low, high + 1, 2):
            adds = place == low or (place != high and furthest[place - 1] < furthest[place + 1])
            x = start = furthest[place + 1] if adds else furthest[place - 1] + 1
            y = x - (place - size - 1)
            while x < len(a) and y < len(b) and a[x] == b[y]:
                x, y = x + 1, y + 1
            furthest[place] = x
            steps.take(1 + x - start)
            if x >= len(a) and y >= len(b):
                return _walked(trail, x - y)
    raise TooDifferent


def _walked(trail: "list[array[int]]", diagonal: int) -> list[tuple[int, int, bool]]:
    """The edits of the path that ended on `diagonal`, from what was reached before each of them."""
    found: list[tuple[int, int, bool]] = []
    for distance in range(len(trail) - 1, 0, -1):
        before, middle = trail[distance], distance + 1
        left, below = before[middle + diagonal - 1], before[middle + diagonal + 1]
        adds = diagonal == -distance or (diagonal != distance and left < below)
        diagonal += 1 if adds else -1
        x = below if adds else left
        found.append((x, x - diagonal, not adds))
    return found[::-1]
