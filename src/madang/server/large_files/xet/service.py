"""The xorbs of the hub: keeping those that arrive, finding those a caller may use, and where their chunks lie.

A caller may use the xorbs that they sent themselves, and those all of whose chunks lie in large files of repositories
that they may read. All others look as if they were not there.
"""

from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.database import batches, insert_new, put
from madang.server.errors import NotFound
from madang.server.hub import Hub
from madang.server.large_files.errors import FreedMeanwhile
from madang.server.large_files.records import repository_blobs
from madang.server.large_files.xet.errors import InvalidXorb
from madang.server.large_files.xet.hashing import SIZE, remainder, text_of, xorb_hash
from madang.server.large_files.xet.records import known_chunks, places, senders, xorbs
from madang.server.large_files.xet.tickets import Asking
from madang.server.large_files.xet.xorbs import LARGEST_XORB, XorbReader
from madang.server.repositories.access import visible_to
from madang.server.repositories.records import repositories
from madang.server.storage.blobs import blob_key

# clients ask for a chunk in a file if its hash leaves nothing when divided by this
ASKED_FOR = 1024
STAGING = "xet/"


@dataclass(frozen=True)
class Place:
    """Where the chunks from `first` up to and without `end` lie: one after the other, from byte `start` of a file."""

    first: int
    end: int
    sha256: str
    start: int


@dataclass(frozen=True)
class Xorb:
    """The chunks of a xorb, and where they are."""

    hash: bytes
    hashes: bytes
    lengths: NDArray[np.uint32]
    staged: bool
    places: tuple[Place, ...]  # by their first chunk

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """At which byte of the unpacked xorb each chunk begins, and last where all of them end."""
        return np.concatenate(([0], np.cumsum(self.lengths, dtype=np.int64)))

    def __len__(self) -> int:
        return len(self.lengths)

    def hash_of(self, index: int) -> bytes:
        """The hash of one chunk."""
        return self.hashes[index * SIZE : (index + 1) * SIZE]

    def bytes_of(self, first: int, end: int) -> int:
        """How many bytes these chunks are."""
        return int(self.starts[end] - self.starts[first])

    def lying(self) -> NDArray[np.bool_]:
        """For each chunk, whether it lies in a large file."""
        found = np.zeros(len(self), dtype=np.bool_)
        for place in self.places:
            found[place.first : place.end] = True
        return found

    @cached_property
    def complete(self) -> bool:
        """Whether all its chunks can be read."""
        return self.staged or bool(self.lying().all())

    @cached_property
    def _firsts(self) -> list[int]:
        return [place.first for place in self.places]

    def ranges(self, first: int, end: int) -> list[tuple[str, int, int]]:
        """Where to read these chunks: keys of the store, with the first byte and the one after the last.

        Raises NotFound when a file that some of them lay in is gone.
        """
        if self.staged:
            return [(staging_key(self.hash), int(self.starts[first]), int(self.starts[end]))]
        found = []
        while first < end:
            before = bisect_right(self._firsts, first) - 1
            if before < 0 or self.places[before].end <= first:
                raise NotFound(f"chunk {first} of the xorb {text_of(self.hash)} lies nowhere any more.")
            place = self.places[before]
            stop = min(end, place.end)
            start = place.start + self.bytes_of(place.first, first)
            found.append((blob_key(place.sha256), start, start + self.bytes_of(first, stop)))
            first = stop
        return found


def staging_key(hash: bytes) -> str:
    """Where the chunks of a xorb are kept until they lie in large files."""
    text = text_of(hash)
    return f"{STAGING}{text[:2]}/{text}"


class ArrivingXorb:
    """A xorb on its way in: unpacked and hashed as it comes. Leaving the block without `keep` drops it."""

    def __init__(self, hub: Hub, hash: bytes) -> None:
        self._hub, self.hash = hub, hash
        self._reader = XorbReader()
        self._writer = hub.storage.writer(staging_key(hash), LARGEST_XORB)

    def feed(self, data: bytes) -> None:
        """The next bytes. Raises InvalidXorb, StorageFull."""
        self._writer.write(b"".join(self._reader.feed(data)))

    def keep(self, asking: Asking) -> bool:
        """Keep it, if it is what it was announced as, and note who sent it; whether it was new.

        Raises InvalidXorb, StorageFull, FreedMeanwhile.
        """
        self._reader.finish()
        if xorb_hash(zip(self._reader.hashes, self._reader.lengths, strict=True)) != self.hash:
            raise InvalidXorb(f"the chunks that came are not those of the xorb {text_of(self.hash)}.")
        with self._hub.database.read() as connection:
            there = load(connection, [self.hash]).get(self.hash)
        new = there is None or not there.complete
        if new:
            self._writer.commit()
        with self._hub.database.write() as connection:
            there = load(connection, [self.hash], lock=True).get(self.hash)
            missing = there is None or not there.complete
            if missing and new:
                _note(connection, self.hash, self._reader)
            staged = missing or (there is not None and there.staged)
            if (missing and not new) or (staged and self._hub.storage.size(staging_key(self.hash)) is None):
                raise FreedMeanwhile(f"xorb {text_of(self.hash)}")
            _note_sender(connection, self.hash, asking)
        if not staged:
            self._hub.storage.delete(staging_key(self.hash))
        return new

    def discard(self) -> None:
        self._writer.discard()


def load(connection: Connection, hashes: Iterable[bytes], *, lock: bool = False) -> dict[bytes, Xorb]:
    """The xorbs with these hashes, as far as they are known; with `lock` they stay as they are in this transaction."""
    found: dict[bytes, Xorb] = {}
    for some in batches(sorted(set(hashes))):
        where: dict[bytes, list[Place]] = {}
        query = sa.select(xorbs).where(xorbs.c.hash.in_(some)).order_by(xorbs.c.hash)
        rows = connection.execute(query.with_for_update() if lock else query).all()
        lying = sa.select(places).where(places.c.xorb.in_(some)).order_by(places.c.xorb, places.c.first)
        for xorb, *place in connection.execute(lying):
            where.setdefault(xorb, []).append(Place(*place))
        for row in rows:
            lengths = np.frombuffer(row.lengths, dtype="<u4")
            found[row.hash] = Xorb(row.hash, row.hashes, lengths, row.staged, tuple(where.get(row.hash, ())))
    return found


def lock(connection: Connection, hashes: Iterable[bytes]) -> None:
    """Keep these xorbs as they are in this transaction; always in one order, so that no two wait for each other."""
    for some in batches(sorted(set(hashes))):
        connection.execute(
            sa.select(xorbs.c.hash).where(xorbs.c.hash.in_(some)).order_by(xorbs.c.hash).with_for_update()
        ).all()


def usable(connection: Connection, asking: Asking, hashes: Iterable[bytes]) -> set[bytes]:
    """Those of these xorbs that the caller may use. Whether they can still be read, `Xorb.complete` says."""
    allowed: set[bytes] = set()
    for some in batches(sorted(set(hashes))):
        mine = sa.select(senders.c.xorb).where(senders.c.xorb.in_(some), senders.c.account_id == asking.account.id)
        closed = sa.select(places.c.xorb).where(places.c.xorb.in_(some), ~readable(asking, places.c.sha256))
        lying = sa.select(xorbs.c.hash).where(xorbs.c.hash.in_(some), xorbs.c.staged.is_(False))
        allowed.update(connection.scalars(mine))
        allowed.update(connection.scalars(lying.where(xorbs.c.hash.not_in(closed))))
    return allowed


def size_of(hub: Hub, asking: Asking, hash: bytes) -> int | None:
    """How many bytes a xorb had when it was sent; None when there is none that the caller may use."""
    with hub.database.read() as connection:
        there = load(connection, usable(connection, asking, [hash])).get(hash)
        if there is None or not there.complete:
            return None
        return connection.scalar(sa.select(xorbs.c.size).where(xorbs.c.hash == hash))


def readable(asking: Asking, sha256: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """The condition that a large file is in a repository whose content the caller may read."""
    visible = sa.and_(visible_to(asking.caller), repositories.c.gated == "", repositories.c.disabled.is_(False))
    return sa.exists().where(
        repository_blobs.c.sha256 == sha256,
        repository_blobs.c.repository_id == repositories.c.id,
        # that the caller may read the one they upload for was checked with their ticket
        sa.or_(repositories.c.id == asking.repository.id, visible),
    )


def _note(connection: Connection, hash: bytes, reader: XorbReader) -> None:
    # it may have been known, and a file its chunks lay in is gone: what came now is complete again
    connection.execute(xorbs.delete().where(xorbs.c.hash == hash))
    row = {
        "hash": hash,
        "size": reader.received,
        "hashes": b"".join(reader.hashes),
        "lengths": np.array(reader.lengths, dtype="<u4").tobytes(),
        "staged": True,
        "created_at": now(),
    }
    insert_new(connection, xorbs, [row])
    asked = {reader.hashes[0], *(chunk for chunk in reader.hashes if remainder(chunk, ASKED_FOR) == 0)}
    insert_new(connection, known_chunks, [{"chunk": chunk, "xorb": hash} for chunk in sorted(asked)])


def _note_sender(connection: Connection, hash: bytes, asking: Asking) -> None:
    row = {"xorb": hash, "account_id": asking.account.id, "repository_id": asking.repository.id, "sent_at": now()}
    put(connection, senders, [row], change=["repository_id", "sent_at"])
