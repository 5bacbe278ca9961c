"""The tables of discussions and pull requests."""

from dataclasses import dataclass, fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from madang.server.database import HexBytes, Key, metadata
from madang.server.git.refs import PULL_REQUESTS

# pull requests are discussions with a ref: both share one numbering
discussions = sa.Table(
    "discussions",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # 1, 2, 3 … within the repository
    sa.Column("is_pull_request", sa.Boolean, nullable=False),
    sa.Column("title", sa.String(200), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),  # open, closed; of pull requests also draft, merged
    sa.Column("author_id", sa.ForeignKey("accounts.id", ondelete="SET NULL"), index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("weight", sa.BigInteger, nullable=False),  # about how many characters an answer with all of it has
    # of pull requests: what refs/pr/N pointed at last; after a merge its commit, and where the two lines had parted
    sa.Column("head", HexBytes),
    sa.Column("merge_commit", HexBytes),
    sa.Column("merge_base", HexBytes),
    sa.UniqueConstraint("repository_id", "number"),
)

events = sa.Table(
    "discussion_events",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("discussion_id", sa.ForeignKey("discussions.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", sa.String(16), nullable=False),  # comment, status-change, title-change, commit
    sa.Column("author_id", sa.ForeignKey("accounts.id", ondelete="SET NULL")),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("data", sa.JSON, nullable=False, default=dict),  # of all but comments: as clients are told
    sa.Column("hidden", sa.Boolean, nullable=False, default=False),
)

# what a comment said at first and after each edit
versions = sa.Table(
    "comment_versions",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("event_id", sa.ForeignKey("discussion_events.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("author_id", sa.ForeignKey("accounts.id", ondelete="SET NULL")),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("html", sa.Text, nullable=False),
    sa.Column("rendered_by", sa.SmallInteger, nullable=False),  # rendering.VERSION when `html` was made
)

attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("sha256", HexBytes, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="SET NULL"), index=True),
    sa.Column("media_type", sa.String(32), nullable=False),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)


@dataclass(frozen=True)
class Discussion:
    """One discussion or pull request, without what was said in it."""

    id: int
    repository_id: int
    number: int
    is_pull_request: bool
    title: str
    status: str
    author_id: int | None
    created_at: int
    weight: int
    head: str | None = None
    merge_commit: str | None = None
    merge_base: str | None = None

    @property
    def ref(self) -> str:
        """What its commits are pushed to."""
        return f"{PULL_REQUESTS}{self.number}"

    @property
    def is_open(self) -> bool:
        return self.status in ("open", "draft")


COLUMNS = tuple(discussions.c[field.name] for field in fields(Discussion))


def from_row(row: "Row[Any]") -> Discussion:
    """A discussion of a row of COLUMNS."""
    return Discussion(*row[: len(COLUMNS)])
