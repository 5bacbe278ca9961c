"""Freeing what nothing names any more: in each repository first, then in the stores."""

import sqlalchemy as sa

from madang.server.clock import now
from madang.server.hub import Hub
from madang.server.large_files.collecting import Collected, collect, release_unreachable
from madang.server.large_files.xet.collecting import collect_xorbs
from madang.server.repositories.records import repositories


def collect_all(hub: Hub) -> Collected:
    """Free large files and staged uploads whose time of grace is over; safe while the hub is in use."""
    older_than = now() - hub.settings.grace_seconds * 1000
    with hub.database.read() as connection:
        identities = list(connection.scalars(sa.select(repositories.c.id).order_by(repositories.c.id)))
    for identity in identities:
        with hub.database.write() as connection:
            release_unreachable(connection, identity, older_than)
    collect_xorbs(hub)
    return collect(hub)
