"""Trending scores, and the downloads of the last 30 days: what changes although nobody changes a repository."""

import math
from collections import defaultdict
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import DAY, now
from madang.server.hub import Hub
from madang.server.jobs.running import State, task
from madang.server.repositories.downloads import RECENT_DAYS
from madang.server.repositories.records import downloads, likes, repositories
from madang.server.search import index
from madang.server.search.records import postings

# A like counts half after so many days, and so does a download; what is older than four times that says nothing.
HALF_LIFE_DAYS = 7
TRENDING_DAYS = 4 * HALF_LIFE_DAYS
REPOSITORIES_PER_STEP = 500
# scores are compared and stored with so many digits: smaller movements write nothing
DIGITS = 2


@task("popularity", every=900)
def popularity(hub: Hub, state: State) -> State | None:
    """Bring the next few hundred repositories up to date; None after the last."""
    done = int(state.get("after", 0))
    with hub.database.read() as connection:
        columns = [repositories.c[name] for name in ("id", "downloads", "trending", "likes")]
        query = sa.select(*columns).where(repositories.c.id > done).order_by(repositories.c.id)
        rows = connection.execute(query.limit(REPOSITORIES_PER_STEP)).all()
        if not rows:
            return None
        span = (rows[0].id, rows[-1].id)
        fresh = _fresh(connection, *span)
        places = _places(connection, *span)
    moved = [
        {"repository": row.id, "recent": recent, "score": score}
        for row in rows
        for recent, score in [fresh.get(row.id, (0, 0.0))]
        if (recent, score, recent, score, row.likes) != (row.downloads, row.trending, *places.get(row.id, (0, 0.0, 0)))
    ]
    if moved:
        with hub.database.write() as connection:
            connection.execute(
                repositories.update()
                .where(repositories.c.id == sa.bindparam("repository"))
                .values(downloads=sa.bindparam("recent"), trending=sa.bindparam("score")),
                moved,
            )
            index.reorder(connection, [change["repository"] for change in moved])
    return {"after": span[1]}


def _fresh(connection: Connection, first: int, last: int) -> dict[int, tuple[int, float]]:
    """Downloads of the last 30 days and trending scores of those repositories that have any."""
    moment = now()
    today = moment // DAY
    recent: dict[int, int] = defaultdict(int)
    by_likes: dict[int, float] = defaultdict(float)
    by_downloads: dict[int, float] = defaultdict(float)
    query = sa.select(downloads.c.repository_id, downloads.c.day, downloads.c.count).where(
        downloads.c.repository_id.between(first, last), downloads.c.day > today - RECENT_DAYS
    )
    for repository_id, day, count in connection.execute(query):
        recent[repository_id] += count
        by_downloads[repository_id] += count * _weight(today - day)
    day_of_like = likes.c.created_at // sa.literal(DAY, sa.BigInteger)
    query = (
        sa.select(likes.c.repository_id, day_of_like, sa.func.count())
        .where(likes.c.repository_id.between(first, last), likes.c.created_at > moment - TRENDING_DAYS * DAY)
        .group_by(likes.c.repository_id, day_of_like)
    )
    for repository_id, day, count in connection.execute(query):
        by_likes[repository_id] += count * _weight(today - day)
    return {
        identity: (recent[identity], trending_score(by_likes[identity], by_downloads[identity]))
        for identity in [*recent, *by_likes]
    }


def _weight(age_in_days: int) -> float:
    return 0.5 ** (max(0, age_in_days) / HALF_LIFE_DAYS) if age_in_days < TRENDING_DAYS else 0.0


def trending_score(likes_lately: float, downloads_lately: float) -> float:
    """One like counts as one; downloads, which scripts repeat, count by their magnitude."""
    return round(likes_lately + math.log2(1 + downloads_lately), DIGITS)


def _places(connection: Connection, first: int, last: int) -> dict[int, tuple[Any, ...]]:
    """Where the lists have these repositories now: by downloads, trending score and likes."""
    of_all = sa.select(
        postings.c.repository_id,
        sa.func.max(postings.c.downloads),
        sa.func.max(postings.c.trending),
        sa.func.max(postings.c.likes),
    ).where(postings.c.repository_id.between(first, last))
    return {row[0]: tuple(row[1:]) for row in connection.execute(of_all.group_by(postings.c.repository_id))}
