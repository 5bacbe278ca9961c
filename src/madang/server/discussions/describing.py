"""Discussions and their events as clients are told of them."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.accounts.records import accounts
from madang.server.clock import iso
from madang.server.database import batches
from madang.server.discussions.merges import CONFLICTS
from madang.server.discussions.records import COLUMNS, Discussion, discussions, events, from_row, versions
from madang.server.git.refs import MAIN
from madang.server.rendering import VERSION, render_markdown
from madang.server.repositories.repository import Repository

PAGE = 50
STATUSES = {"open": ("open", "draft"), "closed": ("closed", "merged")}


@dataclass(frozen=True)
class Asked:
    """Which discussions a list is to hold."""

    type: Literal["all", "discussion", "pull_request"] = "all"
    status: Literal["all", "open", "closed"] = "all"
    author: str | None = None
    page: int = 0


def list_page(connection: Connection, repository: Repository, asked: Asked) -> dict[str, Any]:
    """One page of a repository's discussions, the newest first."""
    conditions = [discussions.c.repository_id == repository.id]
    if asked.type != "all":
        conditions.append(discussions.c.is_pull_request.is_(asked.type == "pull_request"))
    if asked.status != "all":
        conditions.append(discussions.c.status.in_(STATUSES[asked.status]))
    if asked.author is not None:
        named = sa.select(accounts.c.id).where(accounts.c.key == asked.author.lower())
        conditions.append(discussions.c.author_id.in_(named))
    count = connection.scalar(sa.select(sa.func.count()).select_from(discussions).where(*conditions)) or 0
    start = PAGE * asked.page
    query = sa.select(*COLUMNS).where(*conditions).order_by(discussions.c.number.desc()).offset(start).limit(PAGE)
    found = [from_row(row) for row in connection.execute(query)] if start < count else []
    people = people_of(connection, (item.author_id for item in found))
    comments = _comments(connection, [item.id for item in found])
    items = [{**head(repository, item, people), "numComments": max(comments.get(item.id, 0) - 1, 0)} for item in found]
    return {"count": count, "start": start, "discussions": items}


def details(connection: Connection, repository: Repository, discussion: Discussion) -> dict[str, Any]:
    """All of one discussion but its diff."""
    query = sa.select(events).where(events.c.discussion_id == discussion.id).order_by(events.c.id)
    rows = list(connection.execute(query))
    answer = head(repository, discussion, people_of(connection, [discussion.author_id]))
    answer["events"] = described(connection, rows)
    answer["locked"] = False
    if discussion.is_pull_request:
        answer["filesWithConflicts"] = CONFLICTS.of(connection, repository, discussion)
        answer["changes"] = {"base": MAIN}
        if discussion.merge_commit is not None:
            answer["changes"]["mergeCommitId"] = discussion.merge_commit
    return answer


def event(connection: Connection, number: int) -> dict[str, Any]:
    """One event."""
    return described(connection, list(connection.execute(sa.select(events).where(events.c.id == number))))[0]


def head(repository: Repository, discussion: Discussion, people: dict[int, dict[str, Any]]) -> dict[str, Any]:
    """What lists and details say of a discussion."""
    answer: dict[str, Any] = {
        "_id": f"{discussion.id:024x}",
        "num": discussion.number,
        "title": discussion.title,
        "status": discussion.status,
        "createdAt": iso(discussion.created_at),
        "isPullRequest": discussion.is_pull_request,
        "repo": {"name": repository.name, "type": repository.type},
    }
    # the account of an author may be gone: then there is none
    if discussion.author_id in people:
        answer["author"] = people[discussion.author_id]
    return answer


def described(connection: Connection, rows: list["Row[Any]"]) -> list[dict[str, Any]]:
    """Events with what was said in them."""
    said: dict[int, list[Row[Any]]] = defaultdict(list)
    comments = [row.id for row in rows if row.kind == "comment"]
    for some in batches(comments):
        query = sa.select(versions).where(versions.c.event_id.in_(some)).order_by(versions.c.id)
        for version in connection.execute(query):
            said[version.event_id].append(version)
    writers = (version.author_id for texts in said.values() for version in texts)
    people = people_of(connection, [*(row.author_id for row in rows), *writers])
    answer = []
    for row in rows:
        item: dict[str, Any] = {"id": f"{row.id:024x}", "type": row.kind, "createdAt": iso(row.created_at)}
        if row.author_id in people:
            item["author"] = people[row.author_id]
        if row.kind == "comment":
            *earlier, latest = (_version(version, people) for version in said[row.id])
            item["data"] = {
                "edited": bool(earlier) and not row.hidden,
                "hidden": row.hidden,
                "latest": latest,
                "history": earlier,
            }
        else:
            item["data"] = row.data
        answer.append(item)
    return answer


def _version(version: "Row[Any]", people: dict[int, dict[str, Any]]) -> dict[str, Any]:
    html = version.html if version.rendered_by == VERSION else render_markdown(version.raw)
    item: dict[str, Any] = {"raw": version.raw, "html": html, "updatedAt": iso(version.created_at)}
    if version.author_id in people:
        item["author"] = people[version.author_id]
    return item


def _comments(connection: Connection, identities: list[int]) -> dict[int, int]:
    """How many comments there are in each of these discussions, the description counted."""
    query = (
        sa.select(events.c.discussion_id, sa.func.count())
        .where(events.c.discussion_id.in_(identities), events.c.kind == "comment")
        .group_by(events.c.discussion_id)
    )
    return dict(tuple(row) for row in connection.execute(query))


def people_of(connection: Connection, identities: Iterable[int | None]) -> dict[int, dict[str, Any]]:
    """The accounts of these numbers as authors are shown."""
    wanted = {identity for identity in identities if identity is not None}
    found = {}
    for some in batches(wanted):
        query = sa.select(accounts.c.id, accounts.c.name, accounts.c.fullname, accounts.c.kind)
        for identity, name, fullname, kind in connection.execute(query.where(accounts.c.id.in_(some))):
            found[identity] = {"_id": f"{identity:024x}", "name": name, "fullname": fullname or name, "type": kind}
    return found
