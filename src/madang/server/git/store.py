"""The objects of one repository, kept in the database.

Objects never change, so small ones are also kept in memory: a bounded cache that all requests share.
"""

import zlib
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from threading import Lock

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.database import batches, insert_new
from madang.server.errors import NotFound
from madang.server.git.objects import (
    BLOB,
    COMMIT,
    FOLDER_MODE,
    TREE,
    Commit,
    Entry,
    GitObject,
    find_in_tree,
    iterate_tree,
    parse_commit,
    parse_tree,
    tree_names,
)
from madang.server.git.pointers import LONGEST_POINTER, Pointer, read_pointer
from madang.server.git.records import objects

CACHED_BYTES = 64 * 1024 * 1024
# the tree of a folder with 100,000 files has 4 MB
LARGEST_CACHED = 8 * 1024 * 1024


class ObjectCache:
    """The objects used last, up to a number of bytes."""

    def __init__(self, limit: int = CACHED_BYTES) -> None:
        self._limit, self._size = limit, 0
        self._kept: OrderedDict[tuple[int, str], GitObject] = OrderedDict()
        self._lock = Lock()

    def get(self, repository_id: int, oid: str) -> GitObject | None:
        with self._lock:
            found = self._kept.get((repository_id, oid))
            if found is not None:
                self._kept.move_to_end((repository_id, oid))
            return found

    def put(self, repository_id: int, item: GitObject) -> None:
        if len(item.content) > LARGEST_CACHED:
            return
        with self._lock:
            if (repository_id, item.oid) not in self._kept:
                self._kept[repository_id, item.oid] = item
                self._size += len(item.content) + 200
            while self._size > self._limit:
                _, dropped = self._kept.popitem(last=False)
                self._size -= len(dropped.content) + 200


CACHE = ObjectCache()


@dataclass(frozen=True)
class FileInfo:
    """What a listing says of a file: its size as people see it, and where its content is."""

    oid: str
    size: int
    pointer: Pointer | None = None


class Objects:
    """The objects of the repository `repository_id`, within one transaction."""

    def __init__(self, connection: Connection, repository_id: int) -> None:
        self.connection, self.repository_id = connection, repository_id

    def get(self, oid: str, kind: int | None = None) -> GitObject:
        """The object of that name. Raises NotFound when there is none, or none of that kind."""
        found = CACHE.get(self.repository_id, oid)
        if found is None:
            found = next(self.get_many([oid]), None)
        if found is None or (kind is not None and found.kind != kind):
            raise NotFound(f"this repository has no object {oid}.")
        return found

    def get_many(self, oids: Iterable[str]) -> Iterator[GitObject]:
        """Those of these objects that are there, a few hundred per question to the database."""
        for some in batches(oids):
            query = sa.select(objects.c.oid, objects.c.kind, objects.c.data).where(
                objects.c.repository_id == self.repository_id, objects.c.oid.in_(some)
            )
            for row in self.connection.execute(query):
                yield self._unpacked(*row)

    def _unpacked(self, oid: str, kind: int, data: bytes) -> GitObject:
        """An object as it is kept; what every page needs stays in memory."""
        item = GitObject(kind, zlib.decompress(data), oid)
        if kind != BLOB or len(item.content) <= LONGEST_POINTER:
            CACHE.put(self.repository_id, item)
        return item

    def commit(self, oid: str) -> Commit:
        return parse_commit(self.get(oid, COMMIT).content)

    def tree(self, oid: str) -> list[Entry]:
        """The entries of a folder."""
        return parse_tree(self.get(oid, TREE).content)

    def entries(self, oid: str, start: bytes = b"") -> Iterator[Entry]:
        """The entries of a folder from the sort key `start` on, one by one."""
        return iterate_tree(self.get(oid, TREE).content, start)

    def names(self, oid: str | None) -> dict[bytes, bytes]:
        """What is in a folder (none: nothing), in the form that is quickest to compare."""
        return {} if oid is None else tree_names(self.get(oid, TREE).content)

    def find(self, tree: str, path: str) -> Entry | None:
        """What is at `path` below a tree; the tree itself for the empty path."""
        found = Entry("", FOLDER_MODE, tree)
        for part in path.split("/") if path else []:
            if not found.is_folder:
                return None
            below = find_in_tree(self.get(found.oid, TREE).content, part)
            if below is None:
                return None
            found = below
        return found

    def files(self, oids: Iterable[str]) -> dict[str, FileInfo]:
        """Size and pointer of blobs, reading the content only of those small enough to be pointers."""
        infos: dict[str, FileInfo] = {}
        unknown = []
        for oid in dict.fromkeys(oids):
            known = CACHE.get(self.repository_id, oid)
            if known is not None:
                infos[oid] = _info(known)
            else:
                unknown.append(oid)
        for some in batches(unknown):
            data = sa.case((objects.c.size <= LONGEST_POINTER, objects.c.data))
            query = sa.select(objects.c.oid, objects.c.kind, objects.c.size, data).where(
                objects.c.repository_id == self.repository_id, objects.c.oid.in_(some)
            )
            for oid, kind, size, small in self.connection.execute(query):
                infos[oid] = FileInfo(oid, size) if small is None else _info(self._unpacked(oid, kind, small))
        return infos

    def file(self, oid: str) -> FileInfo:
        """Size and pointer of one blob. Raises NotFound."""
        found = self.files([oid]).get(oid)
        if found is None:
            raise NotFound(f"this repository has no object {oid}.")
        return found

    def put(self, items: Iterable[GitObject]) -> None:
        """Keep these objects; those that are there already are left."""
        for some in batches({item.oid: item for item in items}.values(), 500):
            rows = [
                {
                    "repository_id": self.repository_id,
                    "oid": item.oid,
                    "kind": item.kind,
                    "size": len(item.content),
                    # level 1: a third of the time of zlib's default, a few percent more bytes
                    "data": zlib.compress(item.content, 1),
                }
                for item in some
            ]
            insert_new(self.connection, objects, rows)

    def commits_among(self, oids: Iterable[str]) -> set[str]:
        """Those of these names that are commits of this repository."""
        found: set[str] = set()
        for some in batches(oids):
            query = sa.select(objects.c.oid).where(
                objects.c.repository_id == self.repository_id, objects.c.oid.in_(some), objects.c.kind == COMMIT
            )
            found.update(self.connection.scalars(query))
        return found

    def starting_with(self, prefix: str) -> list[str]:
        """Up to two commits whose names start with these hex digits."""
        low, high = prefix.ljust(40, "0"), prefix.ljust(40, "f")
        query = (
            sa.select(objects.c.oid)
            .where(
                objects.c.repository_id == self.repository_id,
                objects.c.oid.between(low, high),
                objects.c.kind == COMMIT,
            )
            .limit(2)
        )
        return list(self.connection.scalars(query))


def _info(item: GitObject) -> FileInfo:
    pointer = read_pointer(item.content)
    return FileInfo(item.oid, len(item.content) if pointer is None else pointer.size, pointer)
