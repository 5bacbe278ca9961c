"""How many bytes a folder holds, as people count them: large files by their own size."""

from collections import OrderedDict
from threading import Lock

from madang.server.git.store import Objects

REMEMBERED = 100_000

_known: OrderedDict[tuple[int, str], int] = OrderedDict()
_lock = Lock()


def tree_size(objects: Objects, tree: str) -> int:
    """The sum of the sizes of all files below a tree. Each folder is read once, however many places it is at."""
    waiting = [tree]
    sizes: dict[str, int] = {}
    while waiting:
        folder = waiting[-1]
        if folder in sizes or _remembered(objects, folder, sizes):
            waiting.pop()
            continue
        entries = objects.tree(folder)
        below = [entry.oid for entry in entries if entry.is_folder]
        unread = [oid for oid in below if oid not in sizes and not _remembered(objects, oid, sizes)]
        if unread:
            waiting += unread
            continue
        files = [entry.oid for entry in entries if not entry.is_folder]
        infos = objects.files(files)
        own = sum(infos[oid].size for oid in files if oid in infos)
        sizes[folder] = own + sum(sizes[oid] for oid in below)
        _remember(objects, folder, sizes[folder])
    return sizes[tree]


def _remembered(objects: Objects, tree: str, sizes: dict[str, int]) -> bool:
    with _lock:
        size = _known.get((objects.repository_id, tree))
    if size is not None:
        sizes[tree] = size
    return size is not None


def _remember(objects: Objects, tree: str, size: int) -> None:
    with _lock:
        _known[objects.repository_id, tree] = size
        while len(_known) > REMEMBERED:
            _known.popitem(last=False)
