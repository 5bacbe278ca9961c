"""Packs on their way out: objects as the database keeps them, one after the other (gitformat-pack)."""

import hashlib
from collections.abc import Iterator

from madang.server.database import Database, batches
from madang.server.errors import Refusal
from madang.server.git.protocol.raw_objects import RawObjects
from madang.server.git.protocol.reachability import Lacking


class ObjectsGone(Refusal):
    """The repository was deleted, or its history rewritten, while it was being sent."""

    status = 409

    def __init__(self) -> None:
        super().__init__("the repository changed while it was being sent. Please repeat.")


def object_header(kind: int, size: int) -> bytes:
    """Kind and size of an object in a pack: 4 bits of size, then 7 in each byte that follows."""
    first = kind << 4 | size & 15
    size >>= 4
    header = bytearray()
    while size:
        header.append(first | 128)
        first = size & 127
        size >>= 7
    header.append(first)
    return bytes(header)


def pack_header(count: int) -> bytes:
    return b"PACK" + (2).to_bytes(4, "big") + count.to_bytes(4, "big")


def pack_of(database: Database, repository_id: int, lacking: Lacking) -> Iterator[bytes]:
    """A pack of these objects, in pieces of some megabytes at most (one object may be larger).

    Each group is read in a transaction of its own: objects never change, and a slow client must not hold one open.
    Raises ObjectsGone.
    """
    digest = hashlib.sha1(usedforsecurity=False)
    header = pack_header(len(lacking))
    digest.update(header)
    yield header
    sent = 0
    for some in batches(lacking, 2000):
        with database.read() as connection:
            groups = list(RawObjects(connection, repository_id).groups(some))
        for group in groups:
            with database.read() as connection:
                rows = RawObjects(connection, repository_id).packed(group)
            piece = b"".join([part for row in rows for part in (object_header(row.kind, row.size), row.data)])
            sent += len(rows)
            digest.update(piece)
            yield piece
    if sent != len(lacking):
        raise ObjectsGone
    yield digest.digest()
