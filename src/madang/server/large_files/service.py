"""Large files: bringing them into the store, knowing who may use which, and freeing those that nothing names.

Content and database change one after the other, so the order matters. Bringing content:

1. `announce`, in a transaction of its own: from here on `collect` leaves this content alone;
2. `receive`: the bytes, checked, into the store;
3. `add_received`, in the transaction that needs it: this repository has the content from here on.

`keep` does all three. Who commits a pointer to content that is there already asks `known` and calls `add`, both in the
transaction of the commit.
"""

import hashlib
from collections.abc import Iterable
from types import TracebackType
from typing import Self

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.database import batches, put
from madang.server.errors import InvalidRequest
from madang.server.hub import Hub
from madang.server.large_files.errors import FreedMeanwhile
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.storage.blobs import BlobStore, blob_key


def known(connection: Connection, repository_id: int, sha256: str, account_id: int | None) -> int | None:
    """The size of this content, if the repository has it or the account brought it to any repository; else None.

    The content stays until the transaction ends, however a collection runs meanwhile.
    """
    return known_sizes(connection, repository_id, [sha256], account_id).get(sha256)


def known_sizes(
    connection: Connection, repository_id: int, sha256s: Iterable[str], account_id: int | None
) -> dict[str, int]:
    """The sizes of those of these contents that are `known`."""
    brought = repository_blobs.c.repository_id == repository_id
    if account_id is not None:
        brought = sa.or_(brought, repository_blobs.c.uploaded_by == account_id)
    there = sa.exists().where(repository_blobs.c.sha256 == blobs.c.sha256, brought)
    sizes: dict[str, int] = {}
    for some in batches(sorted(set(sha256s))):
        query = sa.select(blobs.c.sha256, blobs.c.size).where(blobs.c.sha256.in_(some), there)
        # the lock is PostgreSQL's; SQLite lets nobody write beside a transaction that writes
        query = query.with_for_update(read=True, key_share=True, of=blobs)
        sizes.update((sha256, size) for sha256, size in connection.execute(query))
    return sizes


def size_in(connection: Connection, repository_id: int, sha256: str) -> int | None:
    """The size of this content, if the repository has it: for downloads, which lock nothing."""
    query = (
        sa.select(blobs.c.size)
        .join_from(blobs, repository_blobs)
        .where(repository_blobs.c.repository_id == repository_id, repository_blobs.c.sha256 == sha256)
    )
    size: int | None = connection.scalar(query)
    return size


def announce(connection: Connection, sha256: str, size: int) -> None:
    """Say that this content is about to arrive: a collection does not free it for the hub's grace period."""
    put(connection, blobs, [{"sha256": sha256, "size": size, "created_at": now()}], change=["created_at"])


def add(connection: Connection, repository_id: int, sha256: str, size: int, account_id: int | None) -> None:
    """The repository has this content, which is in the store, from here on; `account_id` brought it.

    Raises InvalidRequest for another size than the content is known to have.
    """
    there = sa.exists().where(repository_blobs.c.sha256 == blobs.c.sha256)
    true_size = connection.scalar(sa.select(blobs.c.size).where(blobs.c.sha256 == sha256, there))
    if true_size is not None and true_size != size:
        raise InvalidRequest(f"the file with the SHA-256 {sha256} has {true_size} bytes, not {size}.")
    put(connection, blobs, [{"sha256": sha256, "size": size, "created_at": now()}], change=["size", "created_at"])
    row = {"repository_id": repository_id, "sha256": sha256, "uploaded_by": account_id, "uploaded_at": now()}
    put(connection, repository_blobs, [row], change=["uploaded_at"])


def add_received(
    connection: Connection, storage: BlobStore, repository_id: int, sha256: str, size: int, account_id: int | None
) -> None:
    """`add` what was just received. Raises FreedMeanwhile when a collection was quicker, however short its grace."""
    add(connection, repository_id, sha256, size, account_id)
    # asked while the row is locked: what is there now stays
    if storage.size(blob_key(sha256)) != size:
        raise FreedMeanwhile(f"file {sha256}")


def forget(connection: Connection, repository_id: int, sha256s: Iterable[str]) -> None:
    """The repository has these contents no more; the next collections free what nobody has."""
    for some in batches(sha256s):
        connection.execute(
            repository_blobs.delete().where(
                repository_blobs.c.repository_id == repository_id, repository_blobs.c.sha256.in_(some)
            )
        )


class Arrival:
    """Bytes on their way to a key, counted as they come and hashed when their SHA-256 is known beforehand.

    Leaving the block without `finish` drops them.
    """

    def __init__(self, storage: BlobStore, key: str, size: int, sha256: str | None = None) -> None:
        self.size, self._sha256 = size, sha256
        self._hash, self._count = hashlib.sha256(), 0
        self._writer = storage.writer(key, size)

    def write(self, data: bytes | memoryview) -> None:
        """Raises InvalidRequest as soon as there is too much, StorageFull when the disk is."""
        self._count += len(data)
        if self._count > self.size:
            raise InvalidRequest(f"more bytes came than the {self.size} that were announced. Nothing was kept.")
        if self._sha256 is not None:
            self._hash.update(data)
        self._writer.write(data)

    def finish(self) -> None:
        """Make it visible, if it is what was announced. Raises InvalidRequest."""
        if self._count != self.size:
            raise InvalidRequest(f"{self._count} bytes came of the {self.size} that were announced. Nothing was kept.")
        found = self._hash.hexdigest()
        if self._sha256 is not None and found != self._sha256:
            raise InvalidRequest(f"what came has the SHA-256 {found}, not {self._sha256}. Nothing was kept.")
        self._writer.commit()

    def discard(self) -> None:
        self._writer.discard()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


def receive(storage: BlobStore, pieces: Iterable[bytes], sha256: str, size: int) -> None:
    """Put content into the store while checking it. Raises InvalidRequest, StorageFull; then nothing of it is kept."""
    with Arrival(storage, blob_key(sha256), size, sha256) as arrival:
        for piece in pieces:
            arrival.write(piece)
        arrival.finish()


def keep(hub: Hub, repository_id: int, pieces: Iterable[bytes], sha256: str, size: int, account_id: int | None) -> None:
    """Bring content into a repository: announced, received, added. Raises as `receive` and `add_received`."""
    with hub.database.write() as connection:
        announce(connection, sha256, size)
    receive(hub.storage, pieces, sha256, size)
    with hub.database.write() as connection:
        add_received(connection, hub.storage, repository_id, sha256, size, account_id)
