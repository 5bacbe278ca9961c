"""The objects of a pack, on their way into the database."""

from collections.abc import Iterator

from sqlalchemy.engine import Connection

from madang.server.database import insert_new
from madang.server.git.protocol.incoming import IncomingPack
from madang.server.git.protocol.raw_objects import GROUP_BYTES, Packed, RawObjects
from madang.server.git.records import objects


def store_pack(connection: Connection, repository_id: int, raw: RawObjects, incoming: IncomingPack) -> None:
    """Keep those objects of a pack that the repository does not have."""
    there = raw.sizes(incoming.entries)
    new = sorted(oid for oid in incoming.entries if oid not in there)
    for group in _grouped(incoming.packed(new)):
        rows = [{"repository_id": repository_id, **item._asdict(), "oid": item.oid.hex()} for item in group]
        insert_new(connection, objects, rows)


def _grouped(items: Iterator[Packed]) -> Iterator[list[Packed]]:
    """Objects in groups small enough to be in memory."""
    group: list[Packed] = []
    size = 0
    for item in items:
        group.append(item)
        size += len(item.data)
        if size > GROUP_BYTES or len(group) == 500:
            yield group
            group, size = [], 0
    if group:
        yield group
