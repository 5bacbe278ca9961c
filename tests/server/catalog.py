"""Repositories for tests of lists and searches: rows as a push would have left them."""

from typing import Any

import sqlalchemy as sa

from madang.server.accounts.records import accounts
from madang.server.clock import now
from madang.server.database import insert
from madang.server.repositories.downloads import DAY
from madang.server.repositories.records import downloads, repositories
from madang.server.repositories.repository import COLUMNS, from_row
from madang.server.repositories.service import delete
from madang.server.search import index
from madang.testing.hub import HubForTests


class Catalog:
    """Adds, changes and deletes repositories of one hub."""

    def __init__(self, hub: HubForTests) -> None:
        self.hub, self.moment = hub, 1_700_000_000_000

    def add(self, name: str, *tags: str, type: str = "model", **values: Any) -> int:
        """A repository with these tags, a second newer than the one before."""
        owner = name.partition("/")[0]
        self.hub.user(owner)
        self.moment += 1000
        row = {
            "type": type,
            "name": name,
            "key": name.lower(),
            "tags": list(tags),
            "created_at": self.moment,
            "modified_at": self.moment,
            **values,
        }
        with self.hub.hub.database.write() as connection:
            row["owner_id"] = connection.scalar(sa.select(accounts.c.id).where(accounts.c.key == owner.lower()))
            identity = insert(connection, repositories, **row)
            if values.get("downloads"):
                # the counter on the row is drawn from these, by a task that may run meanwhile
                count = {"day": now() // DAY, "count": values["downloads"]}
                connection.execute(downloads.insert().values(repository_id=identity, **count))
            index.update(connection, identity)
        return identity

    def add_many(self, owner: str, count: int) -> None:
        """So many repositories of one owner, in one transaction."""
        self.hub.user(owner)
        with self.hub.hub.database.write() as connection:
            account = connection.scalar(sa.select(accounts.c.id).where(accounts.c.key == owner.lower()))
            for number in range(count):
                name = f"{owner}/m{number}"
                row = {"type": "model", "name": name, "key": name.lower(), "owner_id": account, "tags": []}
                moment = self.moment + number
                index.update(connection, insert(connection, repositories, **row, created_at=moment, modified_at=moment))
        self.moment += count

    def change(self, identity: int, **values: Any) -> None:
        with self.hub.hub.database.write() as connection:
            connection.execute(repositories.update().where(repositories.c.id == identity).values(values))
            index.update(connection, identity)

    def delete(self, identity: int) -> None:
        with self.hub.hub.database.write() as connection:
            row = connection.execute(sa.select(*COLUMNS).where(repositories.c.id == identity)).one()
            delete(connection, from_row(row))
