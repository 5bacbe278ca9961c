"""What differs between two trees: which files, and of texts which lines, as `git diff` writes them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from madang.server.git.merging import Hunk, Steps, TooDifferent, hunks
from madang.server.git.objects import BLOB, MODULE_MODE, Entry, readable
from madang.server.git.store import Objects

CONTEXT = 3
LARGEST_FILE = 512 * 1024
MOST_STEPS = 10_000_000


@dataclass(frozen=True)
class Change:
    """One path, and what was there before and after: a file, or None."""

    path: str
    old: Entry | None
    new: Entry | None

    @property
    def status(self) -> str:
        if self.old is None:
            return "added"
        return "removed" if self.new is None else "modified"


@dataclass(frozen=True)
class Patch:
    """The lines that differ in one file. Without `text` it is binary, too large, or more than was asked for."""

    binary: bool = False
    text: str | None = None


def changed_files(objects: Objects, old: str | None, new: str | None) -> Iterator[Change]:
    """Every file that differs below two trees, folder by folder; folders that are the same are not read."""
    waiting = [_changed_entries(objects, old, new, "")]
    while waiting:
        found = next(waiting[-1], None)
        if found is None:
            waiting.pop()
            continue
        path, before, after = found
        files = [entry if entry is not None and not entry.is_folder else None for entry in (before, after)]
        if any(files):
            yield Change(path, files[0], files[1])
        folders = [entry.oid if entry is not None and entry.is_folder else None for entry in (before, after)]
        if folders[0] != folders[1]:
            waiting.append(_changed_entries(objects, folders[0], folders[1], path + "/"))


def _changed_entries(
    objects: Objects, old: str | None, new: str | None, within: str
) -> Iterator[tuple[str, Entry | None, Entry | None]]:
    before, after = objects.names(old), objects.names(new)
    different = (name for name in {**before, **after} if before.get(name) != after.get(name))
    for encoded in sorted(different):
        name = encoded.decode("utf-8", "surrogateescape")
        entries = [_entry(name, side.get(encoded)) for side in (before, after)]
        yield within + name, entries[0], entries[1]


def _entry(name: str, found: bytes | None) -> Entry | None:
    return None if found is None else Entry(name, int(found[:-21], 8), found[-20:].hex())


def patch(objects: Objects, change: Change, steps: Steps) -> Patch:
    """The lines of one file that differ. `steps` bounds the work of all patches of a request together."""
    sides = [_lines(objects, entry) for entry in (change.old, change.new)]
    if sides[0] is None or sides[1] is None:
        return Patch(binary=True)
    if change.old is not None and change.new is not None and change.old.oid == change.new.oid:
        return Patch(text="")
    return Patch(text="".join(_hunk_texts(sides[0], sides[1], steps)))


def header(change: Change, content: Patch) -> str:
    """What `git diff` writes above the lines of a file."""
    name = readable(change.path)
    lines = [f"diff --git a/{name} b/{name}"]
    old, new = change.old, change.new
    if old is None and new is not None:
        lines.append(f"new file mode {new.mode:06o}")
    elif new is None and old is not None:
        lines.append(f"deleted file mode {old.mode:06o}")
    elif old is not None and new is not None and old.mode != new.mode:
        lines += [f"old mode {old.mode:06o}", f"new mode {new.mode:06o}"]
    ids = [entry.oid if entry is not None else "0" * 40 for entry in (old, new)]
    if ids[0] != ids[1]:
        lines.append(f"index {ids[0]}..{ids[1]}")
        names = ["/dev/null" if entry is None else f"{side}/{name}" for side, entry in (("a", old), ("b", new))]
        both = f"Binary files {names[0]} and {names[1]} differ"
        lines += [both] if content.binary else [f"--- {names[0]}", f"+++ {names[1]}"]
    return "\n".join(lines) + "\n"


def _lines(objects: Objects, entry: Entry | None) -> list[bytes] | None:
    """The lines of a file, of a large one those of its pointer; None for one that is no text, or too long."""
    if entry is None:
        return []
    if entry.mode == MODULE_MODE:
        return [f"Subproject commit {entry.oid}\n".encode()]
    info = objects.file(entry.oid)
    if info.pointer is None and info.size > LARGEST_FILE:
        return None
    content = objects.get(entry.oid, BLOB).content
    if b"\0" in content[:8000]:
        return None
    whole, _, last = content.rpartition(b"\n")
    lines = [line + b"\n" for line in whole.split(b"\n")] if b"\n" in content else []
    return [*lines, last] if last else lines


def _hunk_texts(old: Sequence[bytes], new: Sequence[bytes], steps: Steps) -> Iterator[str]:
    try:
        found = hunks(old, new, steps)
    except TooDifferent:
        found = [Hunk(0, len(old), 0, len(new))]
    group: list[Hunk] = []
    for hunk in found:
        if group and hunk.start - group[-1].end > 2 * CONTEXT:
            yield _group_text(group, old, new)
            group = []
        group.append(hunk)
    if group:
        yield _group_text(group, old, new)


def _group_text(group: Sequence[Hunk], old: Sequence[bytes], new: Sequence[bytes]) -> str:
    """Hunks that stand close together, with the lines around them."""
    before = min(CONTEXT, group[0].start)
    after = min(CONTEXT, len(old) - group[-1].end)
    start, end = group[0].start - before, group[-1].end + after
    new_start, new_end = group[0].new_start - before, group[-1].new_end + after
    lines = [f"@@ -{_range(start, end)} +{_range(new_start, new_end)} @@\n"]
    position = start
    for hunk in group:
        lines += [_line(" ", line) for line in old[position : hunk.start]]
        lines += [_line("-", line) for line in old[hunk.start : hunk.end]]
        lines += [_line("+", line) for line in new[hunk.new_start : hunk.new_end]]
        position = hunk.end
    lines += [_line(" ", line) for line in old[position:end]]
    return "".join(lines)


def _range(start: int, end: int) -> str:
    """Lines as `git diff` counts them: from 1; an empty range by the line before it."""
    if end == start:
        return f"{start},0"
    return str(start + 1) if end - start == 1 else f"{start + 1},{end - start}"


def _line(sign: str, line: bytes) -> str:
    text = sign + line.decode("utf-8", "replace")
    return text if text.endswith("\n") else text + "\n\\ No newline at end of file\n"
