"""Forgetting xorbs: uploads that were never finished, and those whose chunks lay in files that are gone."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import DAY, now
from madang.server.database import batches
from madang.server.hub import Hub
from madang.server.large_files.xet.hashing import from_text
from madang.server.large_files.xet.records import places, senders, xorbs
from madang.server.large_files.xet.service import STAGING, load, staging_key
from madang.server.large_files.xet.tickets import LASTS_SECONDS, forget_what_clients_know

# freed in one transaction: others wait to write meanwhile
FREED_AT_ONCE = 20


def collect_xorbs(hub: Hub) -> int:
    """Forget xorbs that no file was made of within the hub's grace period, and those that cannot be read any more.

    Returns how many. Never touches what came within the time a ticket lasts, and a day.
    """
    older_than = now() - max(hub.settings.grace_seconds * 1000, LASTS_SECONDS * 1000 + DAY)
    with hub.database.read() as connection:
        waiting = list(connection.scalars(sa.select(xorbs.c.hash).where(_abandoned(older_than))))
    forgotten = 0
    for some in batches(waiting, FREED_AT_ONCE):
        with hub.database.write() as connection:
            load(connection, some, lock=True)
            # asked again, now that they are locked: one may have been sent anew
            still = sa.select(xorbs.c.hash).where(xorbs.c.hash.in_(some), _abandoned(older_than))
            forgotten += _forget(hub, connection, list(connection.scalars(still)))
    _sweep(hub)
    return forgotten


def forget_unreadable(hub: Hub, hashes: Iterable[bytes]) -> list[bytes]:
    """Forget those of these xorbs whose bytes the store does not have; returns them."""
    lost = []
    for some in batches(hashes, FREED_AT_ONCE):
        with hub.database.write() as connection:
            for digest, xorb in load(connection, some, lock=True).items():
                keys = {key for key, _, _ in xorb.ranges(0, len(xorb))} if xorb.complete else set()
                if not keys or any(hub.storage.size(key) is None for key in keys):
                    lost.append(digest)
            _forget(hub, connection, [digest for digest in some if digest in lost])
    return lost


def _abandoned(older_than: int) -> sa.ColumnElement[bool]:
    """Sent long ago and in no file; or in files, and not all of those are there."""
    recent = sa.exists().where(senders.c.xorb == xorbs.c.hash, senders.c.sent_at >= older_than)
    waited = sa.and_(xorbs.c.staged, xorbs.c.created_at < older_than, ~recent)
    lying = (
        sa.select(sa.func.coalesce(sa.func.sum(places.c.end - places.c.first), 0))
        .where(places.c.xorb == xorbs.c.hash)
        .scalar_subquery()
    )
    broken = sa.and_(xorbs.c.staged.is_(False), lying * 4 < sa.func.length(xorbs.c.lengths))
    return sa.or_(waited, broken)


def _forget(hub: Hub, connection: Connection, hashes: list[bytes]) -> int:
    senders_of = sa.select(senders.c.account_id).where(senders.c.xorb.in_(hashes)).distinct()
    for account_id in sorted(connection.scalars(senders_of)):
        forget_what_clients_know(connection, account_id)
    connection.execute(xorbs.delete().where(xorbs.c.hash.in_(hashes)))
    for digest in hashes:
        hub.storage.delete(staging_key(digest))
    return len(hashes)


def _sweep(hub: Hub) -> None:
    """Delete bytes of xorbs that the database does not know, or whose chunks lie in files: a crash left them."""
    before = now() - DAY
    left = (key for key, _, written in hub.storage.keys(STAGING) if written < before)
    for some in batches(left):
        hashes = {from_text(key.rpartition("/")[2]): key for key in some}
        with hub.database.read() as connection:
            staged = sa.select(xorbs.c.hash).where(xorbs.c.hash.in_(list(hashes)), xorbs.c.staged)
            needed = set(connection.scalars(staged))
        for digest, key in hashes.items():
            if digest not in needed:
                hub.storage.delete(key)
