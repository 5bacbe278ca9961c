"""Is everything there, and is it what its name says? Reads only; what is found is told, not mended."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.database import batches
from madang.server.git.objects import BLOB, GitObject, named_by
from madang.server.git.pointers import read_pointer
from madang.server.git.records import refs
from madang.server.git.store import Objects
from madang.server.hub import Hub
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.repositories.records import repositories
from madang.server.storage.blobs import blob_key


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be, and where."""

    place: str
    said: str

    def __str__(self) -> str:
        return f"{self.place}: {self.said}"


def check_hub(
    hub: Hub, *, deep: bool = False, progress: Callable[[str, int, int], None] = lambda what, done, total: None
) -> Iterator[Problem]:
    """All problems: objects that are missing or are not what their name says, refs that lead nowhere, large files that
    are missing, cut off or, with `deep` (which reads all of them), changed."""
    with hub.database.read() as connection:
        every = list(connection.execute(sa.select(repositories.c.id, repositories.c.type, repositories.c.name)))
        for done, (identity, kind, name) in enumerate(every):
            progress("repositories", done, len(every))
            yield from _check_repository(connection, identity, f"{kind} {name}")
    yield from _check_large_files(hub, deep=deep, progress=progress)


def _check_repository(connection: Connection, identity: int, place: str) -> Iterator[Problem]:
    objects = Objects(connection, identity)
    targets = dict(
        tuple(row)
        for row in connection.execute(sa.select(refs.c.name, refs.c.target).where(refs.c.repository_id == identity))
    )
    if "refs/heads/main" not in targets:
        yield Problem(place, "it has no branch main.")
    brought = set(
        connection.scalars(sa.select(repository_blobs.c.sha256).where(repository_blobs.c.repository_id == identity))
    )
    waiting = set(targets.values())
    seen: set[str] = set()
    while waiting:
        some = list(waiting)[:400]
        waiting.difference_update(some)
        seen.update(some)
        found = set()
        for item in objects.get_many(some):
            found.add(item.oid)
            if GitObject.of(item.kind, item.content).oid != item.oid:
                yield Problem(place, f"object {item.oid} holds other bytes than its name says.")
                continue
            waiting.update(named_by(item) - seen)
            pointer = read_pointer(item.content) if item.kind == BLOB else None
            if pointer is not None and pointer.sha256 not in brought:
                yield Problem(place, f"the large file {pointer.sha256} was never brought to it.")
        for oid in set(some) - found:
            yield Problem(place, f"object {oid} is missing.")


def _check_large_files(hub: Hub, *, deep: bool, progress: Callable[[str, int, int], None]) -> Iterator[Problem]:
    with hub.database.read() as connection:
        # content that was announced and has not come yet belongs to no repository
        belongs = sa.exists().where(repository_blobs.c.sha256 == blobs.c.sha256)
        every = list(connection.execute(sa.select(blobs.c.sha256, blobs.c.size).where(belongs)))
    done = 0
    for some in batches(every, 100):
        progress("large files", done, len(every))
        done += len(some)
        for sha256, size in some:
            there = hub.storage.size(blob_key(sha256))
            if there is None:
                yield Problem(f"large file {sha256}", "it is missing in the blob store.")
            elif there != size:
                yield Problem(f"large file {sha256}", f"it has {there} bytes in the blob store instead of {size}.")
            elif deep and _digest(hub, sha256) != sha256:
                yield Problem(f"large file {sha256}", "its content has changed: its SHA-256 is another.")


def _digest(hub: Hub, sha256: str) -> str:
    digest = hashlib.sha256()
    for piece in hub.storage.read(blob_key(sha256)):
        digest.update(piece)
    return digest.hexdigest()
