"""Discussions on their way from one hub to another, without the numbers that mean something in one database only."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.records import accounts
from madang.server.database import insert
from madang.server.discussions.records import discussions, events, versions
from madang.server.rendering import VERSION, render_markdown


def carried(connection: Connection, repository_id: int) -> list[dict[str, Any]]:
    """The discussions of a repository with all that was said in them; authors by their names."""
    names = dict(tuple(row) for row in connection.execute(sa.select(accounts.c.id, accounts.c.name)))

    def portable(row: Any, parent: str) -> dict[str, Any]:
        kept = {name: value for name, value in row.items() if name not in ("id", "author_id", parent)}
        return {**kept, "author": names.get(row["author_id"])}

    def below(table: sa.Table, parent: str, number: int) -> list[Any]:
        query = sa.select(table).where(table.c[parent] == number).order_by(table.c.id)
        return list(connection.execute(query).mappings())

    found = []
    for thread in below(discussions, "repository_id", repository_id):
        said = [
            {
                **portable(event, "discussion_id"),
                "versions": [portable(edit, "event_id") for edit in below(versions, "event_id", event["id"])],
            }
            for event in below(events, "discussion_id", thread["id"])
        ]
        found.append({**portable(thread, "repository_id"), "events": said})
    return found


def unpack(connection: Connection, repository_id: int, threads: list[dict[str, Any]]) -> None:
    """Put what `carried` gave into a repository. Authors are those of the same name on this hub, or nobody."""
    known = dict(tuple(row) for row in connection.execute(sa.select(accounts.c.key, accounts.c.id)))

    def row(table: sa.Table, item: dict[str, Any], **parent: int) -> int:
        values = {column.name: item[column.name] for column in table.c if column.name in item}
        author = known.get(str(item.get("author") or "").lower())
        return insert(connection, table, **values, **parent, author_id=author)

    for thread in threads:
        discussion = row(discussions, thread, repository_id=repository_id)
        for event in thread["events"]:
            said = row(events, event, discussion_id=discussion)
            for version in event["versions"]:
                # HTML from elsewhere is not trusted: it is made again from what was written
                fresh = {"html": render_markdown(str(version["raw"])), "rendered_by": VERSION}
                row(versions, {**version, **fresh}, event_id=said)
