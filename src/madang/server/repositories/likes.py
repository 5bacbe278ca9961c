"""Likes: who likes which repository. The number on the row of the repository is kept in the same transaction."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts
from madang.server.clock import iso, now
from madang.server.repositories.access import visible_to
from madang.server.repositories.records import likes, repositories
from madang.server.repositories.repository import Repository
from madang.server.search import index

# Where a list goes on: the time and the other side's number of the last item
Place = tuple[int, int]


def like(connection: Connection, account: Account, repository: Repository) -> None:
    """Note that somebody likes a repository; liking it twice counts once."""
    values = {"account_id": account.id, "repository_id": repository.id, "created_at": now()}
    try:
        with connection.begin_nested():
            connection.execute(likes.insert().values(**values))
    except sa.exc.IntegrityError:
        return
    _count(connection, repository, 1)


def unlike(connection: Connection, account: Account, repository: Repository) -> None:
    """Take it back; nothing happens when there was nothing."""
    gone = likes.delete().where(likes.c.account_id == account.id, likes.c.repository_id == repository.id)
    if connection.execute(gone).rowcount:
        _count(connection, repository, -1)


def _count(connection: Connection, repository: Repository, change: int) -> None:
    connection.execute(
        repositories.update().where(repositories.c.id == repository.id).values(likes=repositories.c.likes + change)
    )
    index.reorder(connection, [repository.id])


def likers(
    connection: Connection, repository: Repository, after: Place | None = None, limit: int = 1000
) -> list[tuple[Place, Account]]:
    """Up to `limit` people who like a repository, the newest like first, each with its place in the list."""
    query = (
        sa.select(*ACCOUNT, likes.c.created_at.label("liked_at"))
        .join(accounts, accounts.c.id == likes.c.account_id)
        .where(likes.c.repository_id == repository.id, accounts.c.disabled.is_(False))
    )
    rows = connection.execute(_page(query, likes.c.account_id, after, limit))
    return [((row.liked_at, row.id), from_row(row)) for row in rows]


def liked_by(
    connection: Connection, caller: Caller, account: Account, after: Place | None = None, limit: int = 1000
) -> list[tuple[Place, dict[str, Any]]]:
    """Up to `limit` repositories somebody likes, of those the caller may know of, the newest like first."""
    query = (
        sa.select(likes.c.created_at, likes.c.repository_id, repositories.c.name, repositories.c.type)
        .join(repositories, repositories.c.id == likes.c.repository_id)
        .where(likes.c.account_id == account.id, visible_to(caller))
    )
    rows = connection.execute(_page(query, likes.c.repository_id, after, limit))
    return [
        ((moment, identity), {"createdAt": iso(moment), "repo": {"name": name, "type": kind}})
        for moment, identity, name, kind in rows
    ]


def _page(query: "sa.Select[Any]", identity: "sa.Column[int]", after: Place | None, limit: int) -> "sa.Select[Any]":
    if after is not None:
        moment, last = after
        query = query.where(sa.or_(likes.c.created_at < moment, sa.and_(likes.c.created_at == moment, identity < last)))
    return query.order_by(likes.c.created_at.desc(), identity.desc()).limit(limit)
