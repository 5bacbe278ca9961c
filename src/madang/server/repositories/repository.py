"""One repository, as the rest of the hub passes it on."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.repositories.names import PREFIXES
from madang.server.repositories.records import repositories


@dataclass(frozen=True)
class Repository:
    """The row of a repository, without its lists of facts."""

    id: int
    type: str
    name: str  # owner/name
    owner_id: int
    creator_id: int | None
    private: bool
    gated: str
    disabled: bool

    @property
    def owner(self) -> str:
        return self.name.partition("/")[0]

    @property
    def hex_id(self) -> str:
        """24 hex digits: what clients expect of `_id`."""
        return f"{self.id:024x}"

    @property
    def path(self) -> str:
        """How addresses of pages, files and git begin: `alice/bert`, `datasets/alice/table`."""
        return PREFIXES[self.type] + self.name


COLUMNS = tuple(
    repositories.c[name] for name in ("id", "type", "name", "owner_id", "creator_id", "private", "gated", "disabled")
)


def from_row(row: "Row[Any]") -> Repository:
    """A repository of a row of COLUMNS."""
    return Repository(*row[: len(COLUMNS)])


def repository_of(connection: Connection, identity: int) -> Repository:
    """The repository with this number."""
    return from_row(connection.execute(sa.select(*COLUMNS).where(repositories.c.id == identity)).one())
