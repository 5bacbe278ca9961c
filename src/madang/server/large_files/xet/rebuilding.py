"""Putting files together as a shard lists them, and dropping the xorbs whose chunks then lie in those files.

Everything that can be checked without reading content is checked first, for all files of a shard. Then file after file
is read chunk by chunk, hashed and written; only what has the SHA-256 that the shard says becomes a file of the hub.
"""

import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import IO

import numpy as np
from sqlalchemy.engine import Connection

from madang.server.database import batches, insert_new
from madang.server.errors import InvalidRequest, NotFound, StorageFull
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.large_files.service import Arrival
from madang.server.large_files.xet.collecting import forget_unreadable
from madang.server.large_files.xet.errors import InvalidShard, UnknownXorbs
from madang.server.large_files.xet.hashing import SIZE, HashTree, file_hash, range_hash, text_of
from madang.server.large_files.xet.records import file_xorbs, known_chunks, places, xorbs
from madang.server.large_files.xet.service import Place, Xorb, load, lock, staging_key, usable
from madang.server.large_files.xet.shards import ListedFile, Term, read_files
from madang.server.large_files.xet.tickets import Asking, forget_what_clients_know
from madang.server.storage.blobs import blob_key

LARGEST_FILE = 1024**4
# clients cut chunks of 8 KiB or more, but for the last of a file
SMALLEST_AVERAGE, FEW_CHUNKS = 4096, 16 * 1024
TABLES_AT_ONCE = 64
# clients wait as long as something comes
PROGRESS_SECONDS = 5.0
ATTEMPTS = 3
FILES_AT_ONCE, BYTES_AT_ONCE = 64, 64 * 1024 * 1024


@dataclass(frozen=True)
class Progress:
    """How many of how many bytes are put together."""

    done: int
    total: int


class Tables:
    """The xorbs a shard names, read when they are needed; only a few are kept in memory."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._kept: OrderedDict[bytes, Xorb] = OrderedDict()

    def __getitem__(self, hash: bytes) -> Xorb:
        """Raises UnknownXorbs."""
        if hash not in self._kept:
            with self._hub.database.read() as connection:
                self._kept.update(load(connection, [hash]))
            if hash not in self._kept:
                raise unknown([hash])
        self._kept.move_to_end(hash)
        while len(self._kept) > TABLES_AT_ONCE:
            self._kept.popitem(last=False)
        return self._kept[hash]

    def forget(self) -> None:
        """Read everything again: it changed meanwhile."""
        self._kept.clear()


def register(hub: Hub, asking: Asking, shard: IO[bytes]) -> Iterator[Progress]:
    """Put the files of a shard together. Raises InvalidShard, UnknownXorbs, StorageFull."""
    tables = Tables(hub)
    try:
        total = sum(_checked(hub, asking, tables, file) for file in read_files(shard))
        for some in batches((file.sha256, file.size) for file in read_files(shard)):
            with hub.database.write() as connection:
                for sha256, size in sorted(some):
                    large_files.announce(connection, sha256, size)
        done, told = 0, time.monotonic()
        for group in _groups(read_files(shard)):
            for file in group:
                for size in _written(hub, tables, file):
                    done += size
                    if time.monotonic() - told > PROGRESS_SECONDS:
                        told = time.monotonic()
                        yield Progress(min(done, total), total)
            _add(hub, asking, group)
            tables.forget()
    except UnknownXorbs:
        # the client believes that the hub has them, and would say so at every attempt
        with hub.database.write() as connection:
            forget_what_clients_know(connection, asking.account.id)
        raise


def _groups(files: Iterable[ListedFile]) -> Iterator[list[ListedFile]]:
    """Small files together: the database is written to once for a group."""
    group: list[ListedFile] = []
    for file in files:
        group.append(file)
        if len(group) == FILES_AT_ONCE or sum(item.size for item in group) > BYTES_AT_ONCE:
            yield group
            group = []
    if group:
        yield group


def _checked(hub: Hub, asking: Asking, tables: Tables, file: ListedFile) -> int:
    """The size of a file, everything about which is right that the tables tell."""
    name = text_of(file.hash)
    if file.size > LARGEST_FILE:
        raise InvalidShard(f"file {name} has {file.size:,} bytes; the most this hub takes is {LARGEST_FILE:,}.")
    if file.chunks > FEW_CHUNKS + file.size // SMALLEST_AVERAGE:
        raise InvalidShard(f"file {name} has {file.chunks:,} chunks for {file.size:,} bytes: they are too small.")
    room = hub.storage.room()
    if room is not None and file.size > room:
        raise StorageFull(f"the disk of this hub has no room for a file of {file.size:,} bytes. Nothing was kept.")
    named = file.xorbs()
    with hub.database.read() as connection:
        missing = set(named) - usable(connection, asking, named)
    if missing:
        raise unknown(sorted(missing))
    tree = HashTree()
    for number, term in enumerate(file.terms()):
        xorb = tables[term.xorb]
        if not xorb.complete:
            raise unknown([term.xorb])
        hashes = _hashes(xorb, term)
        if xorb.bytes_of(term.first, term.end) != term.size:
            raise InvalidShard(f"piece {number} of file {name} says {term.size:,} bytes; its chunks have others.")
        if term.check is not None and term.check != range_hash(hashes):
            raise InvalidShard(f"the verification of piece {number} of file {name} does not fit its chunks.")
        for index in range(term.first, term.end):
            place = (index - term.first) * SIZE
            tree.add(hashes[place : place + SIZE], int(xorb.lengths[index]))
    if file_hash(tree.root()) != file.hash:
        raise InvalidShard(f"the chunks that are listed for file {name} make another file.")
    return file.size


def _hashes(xorb: Xorb, term: Term) -> bytes:
    if not term.first < term.end <= len(xorb):
        raise InvalidShard(
            f"chunks {term.first} to {term.end} of xorb {text_of(xorb.hash)} are listed; it has {len(xorb)}."
        )
    return xorb.hashes[term.first * SIZE : term.end * SIZE]


def _written(hub: Hub, tables: Tables, file: ListedFile) -> Iterator[int]:
    """Put one file into the store; gives the sizes of the pieces as they are written."""
    for attempt in range(1, ATTEMPTS + 1):
        try:
            yield from _write(hub, tables, file)
            return
        except NotFound:
            # another upload put the same chunks into a file, and the xorb was dropped while this one was being read
            tables.forget()
            if attempt == ATTEMPTS:
                lost = forget_unreadable(hub, file.xorbs())
                raise unknown(lost or file.xorbs()[:1]) from None


def _add(hub: Hub, asking: Asking, files: list[ListedFile]) -> None:
    """Bring files that are in the store into the repository."""
    released: list[bytes] = []
    files = sorted(files, key=lambda file: file.sha256)
    with hub.database.write() as connection:
        for file in files:
            large_files.add_received(
                connection, hub.storage, asking.repository.id, file.sha256, file.size, asking.account.id
            )
        lock(connection, (digest for file in files for digest in file.xorbs()))
        for file in files:
            released += _note_places(connection, file)
    for digest in released:
        hub.storage.delete(staging_key(digest))


def _write(hub: Hub, tables: Tables, file: ListedFile) -> Iterator[int]:
    with Arrival(hub.storage, blob_key(file.sha256), file.size, file.sha256) as arrival:
        for key, start, end in _ranges(tables, file):
            for piece in hub.storage.read(key, start, end):
                arrival.write(piece)
                yield len(piece)
        try:
            arrival.finish()
        except InvalidRequest:
            raise InvalidShard(
                f"the file whose SHA-256 is said to be {file.sha256} has another one. Nothing of it was kept."
            ) from None


def _ranges(tables: Tables, file: ListedFile) -> Iterator[tuple[str, int, int]]:
    """Where the content of a file is, in order; what lies together is read together."""
    key, start, end = "", 0, 0
    for term in file.terms():
        for next_key, next_start, next_end in tables[term.xorb].ranges(term.first, term.end):
            if next_key == key and next_start == end:
                end = next_end
                continue
            if key:
                yield key, start, end
            key, start, end = next_key, next_start, next_end
    if key:
        yield key, start, end


def _note_places(connection: Connection, file: ListedFile) -> list[bytes]:
    """Write down where the chunks lie that lay in no file yet; returns the xorbs whose own bytes are needed no more."""
    named = file.xorbs()
    lying: dict[bytes, list[tuple[int, int, int]]] = {}
    start = 0
    for term in file.terms():
        lying.setdefault(term.xorb, []).append((term.first, term.end, start))
        start += term.size
    released = []
    for group in batches(enumerate(named), TABLES_AT_ONCE):
        positions = {digest: number for number, digest in group}
        there = load(connection, positions)
        rows = [{"sha256": file.sha256, "xorb": digest, "position": positions[digest]} for digest in there]
        insert_new(connection, file_xorbs, rows)
        for digest, xorb in there.items():
            fresh, everything = _fresh_places(xorb, lying[digest], file.sha256)
            for some in batches(fresh):
                connection.execute(places.insert(), [{"xorb": digest, **vars(place)} for place in some])
            if xorb.staged and everything:
                connection.execute(xorbs.update().where(xorbs.c.hash == digest).values(staged=False))
                released.append(digest)
    for term in islice(file.terms(), 1):
        for xorb in load(connection, [term.xorb]).values():
            insert_new(connection, known_chunks, [{"chunk": xorb.hash_of(term.first), "xorb": xorb.hash}])
    return released


def _fresh_places(xorb: Xorb, parts: list[tuple[int, int, int]], sha256: str) -> tuple[list[Place], bool]:
    """Where chunks lie in a file that lay nowhere, and whether all chunks of the xorb lie somewhere with these.

    The parts are first chunk, end, and the byte of the file where the first one is.
    """
    lying = xorb.lying()
    fresh: list[Place] = []
    for first, end, start in sorted(parts):
        edges = np.flatnonzero(np.diff(lying[first:end], prepend=True, append=True)) + first
        for run, stop in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            at = start + xorb.bytes_of(first, run)
            last = fresh[-1] if fresh else None
            if last is not None and last.end == run and last.start + xorb.bytes_of(last.first, run) == at:
                fresh[-1] = replace(last, end=stop)
            else:
                fresh.append(Place(run, stop, sha256, at))
        lying[first:end] = True
    return fresh, bool(lying.all())


def unknown(hashes: Iterable[bytes]) -> UnknownXorbs:
    """What the caller is told of xorbs that are not there for them."""
    names = [text_of(digest) for digest in hashes]
    more = f" and {len(names) - 3} more" if len(names) > 3 else ""
    return UnknownXorbs(
        f"the shard names xorbs that this hub does not have for you: {', '.join(names[:3])}{more}. Upload again: "
        f"your client begins anew, and sends them."
    )
