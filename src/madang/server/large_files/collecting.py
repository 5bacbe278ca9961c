"""Freeing large files that nothing names any more.

Safe beside uploads of the same content: what is freed is locked in the database until it is gone from the store, and
an upload that announced itself is waited for, or waits.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.database import batches, insert_new
from madang.server.git.objects import files_in
from madang.server.git.reachable import reachable
from madang.server.git.refs import list_refs
from madang.server.git.store import Objects
from madang.server.hub import Hub
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.storage.blobs import blob_key

# parts of an upload, and files that were being written, are kept for a day
UNFINISHED_SECONDS = 24 * 3600
PARTS = "parts/"
# blobs freed in one transaction: others wait to write meanwhile
FREED_AT_ONCE = 20


@dataclass(frozen=True)
class Collected:
    """How many files were freed, and how many bytes they had."""

    files: int = 0
    bytes: int = 0


def collect(hub: Hub) -> Collected:
    """Free what no repository has, once it is older than the hub's grace period, and what was never finished."""
    moment = now()
    unfinished = moment - UNFINISHED_SECONDS * 1000
    hub.storage.discard_abandoned(unfinished)
    for key, _, written in hub.storage.keys(PARTS):
        if written < unfinished:
            hub.storage.delete(key)
    older_than = moment - hub.settings.grace_seconds * 1000
    _adopt(hub, older_than)
    with hub.database.read() as connection:
        waiting = list(connection.scalars(sa.select(blobs.c.sha256).where(_unused(older_than))))
    files = size = 0
    for some in batches(waiting, FREED_AT_ONCE):
        for freed in _free(hub, some, older_than):
            files, size = files + 1, size + freed
    return Collected(files, size)


def release_unreachable(connection: Connection, repository_id: int, older_than: int) -> int:
    """The repository forgets content that no commit of any ref names and that came before `older_than` (milliseconds).

    Returns how many contents that were. The next collections free what nobody else has.
    """
    had = sa.select(repository_blobs.c.sha256).where(
        repository_blobs.c.repository_id == repository_id, repository_blobs.c.uploaded_at < older_than
    )
    candidates = set(connection.scalars(had))
    if not candidates:
        return 0
    released = 0
    for some in batches(candidates - set(reachable_contents(connection, repository_id))):
        # the time is asked again: a commit that is being made just now brought it anew
        released += connection.execute(
            repository_blobs.delete().where(
                repository_blobs.c.repository_id == repository_id,
                repository_blobs.c.sha256.in_(some),
                repository_blobs.c.uploaded_at < older_than,
            )
        ).rowcount
    return released


def reachable_contents(connection: Connection, repository_id: int) -> Iterator[str]:
    """The SHA-256 of the large files in all commits that the refs lead to; one may come more than once."""
    objects = Objects(connection, repository_id)
    seen: set[str] = set()
    for item in reachable(objects, (target for _, target in list_refs(connection, repository_id))):
        fresh = files_in(item) - seen
        seen |= fresh
        infos = objects.files(fresh).values()
        yield from (info.pointer.sha256 for info in infos if info.pointer is not None)


def _unused(older_than: int) -> sa.ColumnElement[bool]:
    used = sa.exists().where(repository_blobs.c.sha256 == blobs.c.sha256)
    return sa.and_(blobs.c.created_at < older_than, ~used)


def _adopt(hub: Hub, older_than: int) -> None:
    """Write down content that the database does not know (a crash before it was told), so that it can be freed."""
    stored = (item for item in hub.storage.keys("sha256/") if item[2] < older_than)
    for some in batches(stored):
        rows = [{"sha256": key.rpartition("/")[2], "size": size, "created_at": written} for key, size, written in some]
        with hub.database.read() as connection:
            query = sa.select(blobs.c.sha256).where(blobs.c.sha256.in_([row["sha256"] for row in rows]))
            there = set(connection.scalars(query))
        unknown = [row for row in rows if row["sha256"] not in there]
        if unknown:
            with hub.database.write() as connection:
                insert_new(connection, blobs, unknown)


def _free(hub: Hub, sha256s: list[str], older_than: int) -> list[int]:
    """Free those that are still unused; returns their sizes.

    An upload of the same content that has announced itself is seen here. One that announces itself now waits until the
    content is gone and the row with it, and then brings it again.
    """
    with hub.database.write() as connection:
        mine = sa.select(blobs.c.sha256).where(blobs.c.sha256.in_(sha256s), _unused(older_than))
        locked = list(connection.scalars(mine.with_for_update(of=blobs, skip_locked=True)))
        # asked again: a repository may have got the content between the question and the lock
        unused = sa.select(blobs.c.sha256, blobs.c.size).where(blobs.c.sha256.in_(locked), _unused(older_than))
        freed = dict(tuple(row) for row in connection.execute(unused))
        connection.execute(blobs.delete().where(blobs.c.sha256.in_(list(freed))))
        for sha256 in freed:
            hub.storage.delete(blob_key(sha256))
    return list(freed.values())
