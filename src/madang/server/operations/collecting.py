"""Freeing what nothing names any more: in each repository first, then in the stores."""

import sqlalchemy as sa

from madang.server.clock import now
from madang.server.hub import Hub
from madang.server.large_files.collecting import Collected, collect, release_unreachable
from madang.server.large_files.xet.collecting import collect_xorbs
from madang.server.repositories.records import repositories

REPOSITORIES_PER_STEP = 20


def collect_all(hub: Hub) -> Collected:
    """Free large files and staged uploads whose time of grace is over; safe while the hub is in use."""
    done: int | None = 0
    while done is not None:
        done = release_some(hub, done)
    return collect_stores(hub)


def release_some(hub: Hub, after: int) -> int | None:
    """Let the next repositories, by number, forget what no commit of theirs names; the last one's number, or None."""
    older_than = now() - hub.settings.grace_seconds * 1000
    query = sa.select(repositories.c.id).where(repositories.c.id > after).order_by(repositories.c.id)
    with hub.database.read() as connection:
        identities = list(connection.scalars(query.limit(REPOSITORIES_PER_STEP)))
    for identity in identities:
        with hub.database.write() as connection:
            release_unreachable(connection, identity, older_than)
    return identities[-1] if identities else None


def collect_stores(hub: Hub) -> Collected:
    """Free what no repository has."""
    collect_xorbs(hub)
    return collect(hub)
