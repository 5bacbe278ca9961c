"""Suggestions while somebody types: repositories, people and organisations."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller
from madang.server.accounts.records import accounts
from madang.server.repositories.names import PLURALS
from madang.server.search.listing import page
from madang.server.search.questions import Question, searched

SUGGESTED = 5


def suggestions(connection: Connection, caller: Caller, typed: str, type: str | None = None) -> dict[str, Any]:
    """What the beginning of a query may mean: `{"models": [...], "datasets": [...], …, "users": [...], "orgs": [...]}`.

    `type` narrows it to one of model, dataset, space, user, org.
    """
    words = tuple(searched("q", typed))
    found: dict[str, Any] = {}
    for kind, plural in PLURALS.items():
        if type in (None, kind):
            asked = Question(kind, names=words, sort="trendingScore", limit=SUGGESTED)
            rows = page(connection, caller, asked).rows if words else []
            found[plural] = [{"_id": f"{row.id:024x}", "id": row.name} for row in rows]
    for kind, plural in (("user", "users"), ("org", "orgs")):
        if type in (None, kind):
            found[plural] = _accounts(connection, kind, " ".join(words))
    return found


def _accounts(connection: Connection, kind: str, typed: str) -> list[dict[str, Any]]:
    """Accounts whose name begins so."""
    if not typed:
        return []
    # a range instead of LIKE, which few databases look up in an index; the end sorts after every name that begins so
    begins = sa.and_(accounts.c.key >= typed, accounts.c.key < typed + "\U0010ffff")
    query = (
        sa.select(accounts.c.id, accounts.c.name, accounts.c.fullname)
        .where(begins, accounts.c.kind == kind, accounts.c.disabled.is_(False))
        .order_by(accounts.c.key)
        .limit(SUGGESTED)
    )
    return [
        {"_id": f"{identity:024x}", "name": name, "fullname": fullname or name}
        for identity, name, fullname in connection.execute(query)
    ]
