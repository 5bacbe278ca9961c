"""Telling a client what the hub has already, so that it is not sent again.

A client asks for a few of its chunks: the first of each file, and about one in a thousand. The answer names the xorb
with that chunk and those that belong together with it: of the files it is part of, or of the upload that was not
finished. It holds only what the caller may use.
"""

import secrets
from collections.abc import Iterator

import sqlalchemy as sa
from blake3 import blake3
from sqlalchemy.engine import Connection

from madang.server.clock import MINUTE
from madang.server.hub import Hub
from madang.server.large_files.records import blobs
from madang.server.large_files.xet.records import file_xorbs, known_chunks, senders, xorbs
from madang.server.large_files.xet.service import Xorb, load, readable, usable
from madang.server.large_files.xet.shards import known_chunks_shard
from madang.server.large_files.xet.tickets import Asking

# in one answer: about 8 GB of files, and 6 MB of answer
MOST_XORBS = 128
MOST_CHUNKS = 128 * 1024
FILES_LOOKED_AT = 8
# xorbs of one upload arrive side by side, in any order
SIDE_BY_SIDE = 10 * MINUTE
# how long clients may believe an answer
VALID_SECONDS = 24 * 3600


def answer(hub: Hub, asking: Asking, chunk: bytes) -> bytes | None:
    """The shard that answers the question for a chunk; None when the hub has it nowhere for this caller."""
    with hub.database.read() as connection:
        query = sa.select(known_chunks.c.xorb).where(known_chunks.c.chunk == chunk).limit(MOST_XORBS)
        holding = _usable(connection, asking, list(connection.scalars(query)))
        if not holding:
            return None
        named = [xorb.hash for xorb in holding]
        beside = [*_in_files(connection, asking, named), *_in_upload(connection, asking, named)]
        found = _usable(connection, asking, list(dict.fromkeys([named[0], *beside]))[:MOST_XORBS])
    rows = ((xorb.hash, xorb.hashes, xorb.lengths) for xorb in _within_limits(found))
    return known_chunks_shard(rows, key=_key(hub, asking), valid_seconds=VALID_SECONDS)


def _usable(connection: Connection, asking: Asking, hashes: list[bytes]) -> list[Xorb]:
    """Those that the caller may use and that can be read, in the same order."""
    loaded = load(connection, usable(connection, asking, hashes))
    return [loaded[digest] for digest in hashes if digest in loaded and loaded[digest].complete]


def _in_files(connection: Connection, asking: Asking, holding: list[bytes]) -> Iterator[bytes]:
    """The xorbs that come after these in the newest files that consist of them too."""
    newest = (
        sa.select(file_xorbs.c.sha256, sa.func.min(file_xorbs.c.position))
        .join_from(file_xorbs, blobs, file_xorbs.c.sha256 == blobs.c.sha256)
        .where(file_xorbs.c.xorb.in_(holding), readable(asking, file_xorbs.c.sha256))
        .group_by(file_xorbs.c.sha256, blobs.c.created_at)
        .order_by(blobs.c.created_at.desc(), file_xorbs.c.sha256)
        .limit(FILES_LOOKED_AT)
    )
    for sha256, position in connection.execute(newest).all():
        after = (
            sa.select(file_xorbs.c.xorb)
            .where(file_xorbs.c.sha256 == sha256, file_xorbs.c.position >= position)
            .order_by(file_xorbs.c.position)
            .limit(MOST_XORBS)
        )
        yield from connection.scalars(after)


def _in_upload(connection: Connection, asking: Asking, holding: list[bytes]) -> Iterator[bytes]:
    """The xorbs that the caller sent with these for the same repository, and of which no file was made yet."""
    mine = sa.and_(senders.c.account_id == asking.account.id, senders.c.repository_id == asking.repository.id)
    unfinished = sa.select(senders.c.xorb, senders.c.sent_at).join_from(senders, xorbs).where(mine, xorbs.c.staged)
    sent = unfinished.where(senders.c.xorb.in_(holding)).order_by(senders.c.sent_at.desc())
    first = connection.execute(sent).first()
    if first is None:
        return
    after = unfinished.where(senders.c.sent_at >= first.sent_at - SIDE_BY_SIDE)
    yield from connection.scalars(after.order_by(senders.c.sent_at).limit(MOST_XORBS))


def _within_limits(found: list[Xorb]) -> Iterator[Xorb]:
    chunks = 0
    for xorb in found:
        chunks += len(xorb)
        if chunks > MOST_CHUNKS:
            return
        yield xorb


def _key(hub: Hub, asking: Asking) -> bytes:
    """With what the hashes of chunks are hashed in answers: the same for an account, so that clients keep one index."""
    secret = bytes.fromhex(hub.fact("xet-chunk-key", secrets.token_hex(32)))
    return blake3(asking.account.id.to_bytes(8, "little"), key=secret).digest()
