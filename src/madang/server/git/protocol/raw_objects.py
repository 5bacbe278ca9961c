"""Objects as the database holds them: packed already, so that clones copy them without unpacking.

Ids are the 20 bytes themselves here, not 40 hex digits: walks hold one for every object of a repository.
"""

import re
import zlib
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.database import batches
from madang.server.git.objects import COMMIT
from madang.server.git.records import objects

OID = sa.type_coerce(objects.c.oid, sa.LargeBinary)
# bytes of contents that are in memory at a time; one object may have more
GROUP_BYTES = 2 * 1024 * 1024

_COMMIT = re.compile(
    rb"tree ([0-9a-f]{40})\n((?:parent [0-9a-f]{40}\n)*)(?:.*\n)*?committer .*> (-?\d{1,18}) [+-]\d{4}\n"
)
_TARGET = re.compile(rb"object ([0-9a-f]{40})\n")


class Size(NamedTuple):
    """What is known of an object without reading it."""

    kind: int
    size: int


class Packed(NamedTuple):
    """One object, its content in zlib's form."""

    oid: bytes
    kind: int
    size: int
    data: bytes


class CommitNode(NamedTuple):
    """What a walk needs of a commit."""

    tree: bytes
    parents: tuple[bytes, ...]
    seconds: int


class RawObjects:
    """The objects of one repository, within one transaction. None of them goes through the cache of small objects:
    a walk through everything would drive out what pages need."""

    def __init__(self, connection: Connection, repository_id: int) -> None:
        self._connection, self._here = connection, objects.c.repository_id == repository_id

    def sizes(self, oids: Iterable[bytes]) -> dict[bytes, Size]:
        """Kind and size of those of these objects that are there."""
        found = {}
        for some in batches(oids):
            query = sa.select(OID, objects.c.kind, objects.c.size).where(self._here, OID.in_(some))
            for oid, kind, size in self._connection.execute(query):
                found[bytes(oid)] = Size(kind, size)
        return found

    def groups(self, oids: Iterable[bytes]) -> Iterator[list[bytes]]:
        """These objects in groups small enough to be read at once; those that are not there are left out."""
        group: list[bytes] = []
        total = 0
        for some in batches(oids):
            sizes = self.sizes(some)
            for oid in some:
                if oid not in sizes:
                    continue
                if group and (total + sizes[oid].size > GROUP_BYTES or len(group) >= 400):
                    yield group
                    group, total = [], 0
                group.append(oid)
                total += sizes[oid].size
        if group:
            yield group

    def packed(self, group: list[bytes]) -> list[Packed]:
        """A group of objects as they are kept."""
        query = sa.select(OID, objects.c.kind, objects.c.size, objects.c.data).where(self._here, OID.in_(group))
        return [Packed(bytes(oid), kind, size, data) for oid, kind, size, data in self._connection.execute(query)]

    def contents(self, oids: Iterable[bytes]) -> Iterator[tuple[bytes, int, bytes]]:
        """Id, kind and content of those of these objects that are there."""
        for group in self.groups(oids):
            for item in self.packed(group):
                yield item.oid, item.kind, zlib.decompress(item.data)

    def all_commits(self) -> Iterator[tuple[bytes, bytes]]:
        """Id and content of every commit."""
        # spelled out: a bound value would not tell SQLite that the index of commits serves
        is_commit = objects.c.kind == sa.literal_column(str(COMMIT))
        query = sa.select(OID, objects.c.data).where(self._here, is_commit)
        with self._connection.execution_options(yield_per=1000).execute(query) as rows:
            for oid, data in rows:
                yield bytes(oid), zlib.decompress(data)


class CommitGraph:
    """The commits of a repository, read as a walk asks for them."""

    # a long history read one commit after the other takes longer than reading all commits of the repository
    STEPS = 40

    def __init__(self, raw: RawObjects) -> None:
        self._raw, self._steps, self._complete = raw, 0, False
        self._nodes: dict[bytes, CommitNode] = {}

    def load(self, oids: Iterable[bytes]) -> None:
        """Read these commits; ids of anything else are passed over."""
        missing = [oid for oid in oids if oid not in self._nodes]
        if not missing or self._complete:
            return
        self._steps += 1
        self._complete = self._steps > self.STEPS
        if self._complete:
            found = self._raw.all_commits()
        else:
            found = ((oid, content) for oid, kind, content in self._raw.contents(missing) if kind == COMMIT)
        for oid, content in found:
            node = parse_node(content)
            if node is not None:
                self._nodes[oid] = node

    def get(self, oid: bytes) -> CommitNode | None:
        """A commit; None for ids of anything else."""
        if oid not in self._nodes:
            self.load([oid])
        return self._nodes.get(oid)

    def parents(self, oid: bytes) -> tuple[bytes, ...]:
        node = self.get(oid)
        return node.parents if node is not None else ()


def parse_node(content: bytes) -> CommitNode | None:
    """Tree, parents and time of a commit; None for bytes that are none."""
    found = _COMMIT.match(content)
    if found is None:
        return None
    tree, parents, seconds = found.groups()
    ids = tuple(bytes.fromhex(line[7:47].decode()) for line in parents.splitlines())
    return CommitNode(bytes.fromhex(tree.decode()), ids, int(seconds))


def tag_target(content: bytes) -> bytes | None:
    """What an annotated tag names."""
    found = _TARGET.match(content)
    return None if found is None else bytes.fromhex(found.group(1).decode())
