"""All repositories of one owner, for the pages of their settings."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller
from madang.server.clock import iso
from madang.server.repositories.access import visible_to
from madang.server.repositories.moving import visibility_of
from madang.server.repositories.records import repositories


def owned_page(
    connection: Connection, caller: Caller, owner_id: int, after: int, limit: int
) -> tuple[list[dict[str, Any]], int | None]:
    """Those the caller may see, with what they use, the oldest first; and where the next page goes on."""
    mine = repositories.c.owner_id == owner_id
    total = int(connection.scalar(sa.select(sa.func.sum(repositories.c.used_storage)).where(mine)) or 0)
    query = (
        sa.select(repositories)
        .where(mine, visible_to(caller), repositories.c.id > after)
        .order_by(repositories.c.id)
        .limit(limit + 1)
    )
    rows = connection.execute(query).all()
    items = [
        {
            "id": row.name,
            "type": row.type,
            "updatedAt": iso(row.modified_at),
            "visibility": visibility_of(row),
            "storage": row.used_storage,
            "storagePercent": round(100 * row.used_storage / total, 2) if total else 0,
        }
        for row in rows[:limit]
    ]
    return items, rows[limit - 1].id if len(rows) > limit else None
