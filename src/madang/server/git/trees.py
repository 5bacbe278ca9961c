"""Walking through the files of a tree, and making the tree that a change leads to."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from madang.server.errors import Unprocessable
from madang.server.git.objects import EMPTY_TREE, FOLDER_MODE, Entry, GitObject, encode_name, encode_tree
from madang.server.git.store import Objects

DEEPEST = 200


def walk(
    objects: Objects, tree: str, folder: str = "", *, recursive: bool, after: str = ""
) -> Iterator[tuple[str, Entry]]:
    """Paths and entries below `tree`, in git's order, folders before what is in them.

    `folder` is the path of `tree` itself. What comes up to and with the path `after` (with a slash at its end if it is
    a folder) is left out without being read: a page does not cost what the pages before it cost.
    """
    waiting = [_part(objects, tree, folder, after)]
    while waiting:
        entry, path, rest = next(waiting[-1], (None, "", ""))
        if entry is None:
            waiting.pop()
            continue
        if rest is None:
            yield path, entry
        if recursive and entry.is_folder:
            waiting.append(_part(objects, entry.oid, path, rest or ""))


def _part(objects: Objects, tree: str, folder: str, after: str) -> Iterator[tuple[Entry, str, str | None]]:
    """Entries and paths of one folder. With the one that leads to `after` comes `after`, or "" if that is its end."""
    within = folder + "/" if folder else ""
    first, slash, rest = after.removeprefix(within).partition("/")
    last_seen = encode_name(first + slash)
    for entry in objects.entries(tree, last_seen):
        on_the_way = bool(after) and entry.sort_key == last_seen
        yield entry, within + entry.name, (after if rest else "") if on_the_way else None


@dataclass
class _Folder:
    files: dict[str, Entry | None] = field(default_factory=dict)
    folders: dict[str, "_Folder"] = field(default_factory=dict)


def change_tree(objects: Objects, tree: str | None, changes: Mapping[str, Entry | None]) -> tuple[str, list[GitObject]]:
    """The tree that comes of putting `changes` (path -> entry, None removes) into `tree`, and the new tree objects.

    Nothing is stored. A file put where a folder is replaces it, and the other way round; folders left empty go.
    """
    root = _Folder()
    for path, entry in changes.items():
        if path.count("/") > DEEPEST:
            raise Unprocessable(f"{path[:100]}… lies in more than {DEEPEST} folders. Put it less deep.")
        folder, (*parents, name) = root, path.split("/")
        for parent in parents:
            folder = folder.folders.setdefault(parent, _Folder())
        folder.files[name] = entry
    made: list[GitObject] = []
    top = _changed(objects, tree, root, made)
    return (EMPTY_TREE.oid, [*made, EMPTY_TREE]) if top is None else (top, made)


def _changed(objects: Objects, tree: str | None, folder: _Folder, made: list[GitObject]) -> str | None:
    """The new id of one folder; None when nothing is left in it."""
    entries = {entry.name: entry for entry in objects.tree(tree)} if tree else {}
    for name, entry in folder.files.items():
        entries.pop(name, None)
        if entry is not None:
            entries[name] = Entry(name, entry.mode, entry.oid)
    for name, below in folder.folders.items():
        old = entries.pop(name, None)
        oid = _changed(objects, old.oid if old is not None and old.is_folder else None, below, made)
        if oid is not None:
            entries[name] = Entry(name, FOLDER_MODE, oid)
        elif old is not None and not old.is_folder:
            entries[name] = old  # nothing was put below it: only removals of what was never there
    if not entries:
        return None
    item = encode_tree(entries.values())
    if item.oid != tree:
        made.append(item)
    return item.oid
