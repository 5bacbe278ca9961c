"""What happens in a discussion, one row each: comments, changes of title and status, commits."""

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import now
from madang.server.database import insert
from madang.server.discussions.errors import CommentNotFound, DiscussionFull
from madang.server.discussions.records import Discussion, discussions, events, versions
from madang.server.errors import InvalidRequest
from madang.server.rendering import VERSION, render_markdown

LONGEST_COMMENT = 65_536
# An answer with a whole discussion stays below some megabytes. What is full can still be closed or merged.
HEAVIEST = 4_000_000
WEIGHT_OF_EVENT = 250


def add_event(connection: Connection, discussion_id: int, kind: str, author_id: int | None, **data: Any) -> int:
    """Note something that happened; returns the number of the event."""
    _add_weight(connection, discussion_id, WEIGHT_OF_EVENT, HEAVIEST * 2 if kind == "status-change" else HEAVIEST)
    return insert(
        connection,
        events,
        discussion_id=discussion_id,
        kind=kind,
        author_id=author_id,
        created_at=now(),
        data=data,
    )


@dataclass(frozen=True)
class Text:
    """What somebody says, and how it is shown. Made before the transaction that notes it: rendering takes a while."""

    raw: str
    html: str

    @classmethod
    def of(cls, raw: str) -> "Text":
        """Raises InvalidRequest for more than a comment can have."""
        raw = checked_text(raw)
        return cls(raw, render_markdown(raw))

    @property
    def is_empty(self) -> bool:
        return not self.raw.strip()


def add_comment(connection: Connection, discussion_id: int, author_id: int | None, text: Text) -> int:
    """Note a comment; returns the number of the event. Raises DiscussionFull."""
    event = add_event(connection, discussion_id, "comment", author_id)
    add_version(connection, discussion_id, event, author_id, text)
    return event


def add_version(connection: Connection, discussion_id: int, event: int, author_id: int | None, text: Text) -> None:
    """Let a comment say `text` from now on. Raises DiscussionFull."""
    _add_weight(connection, discussion_id, len(text.raw) + len(text.html), HEAVIEST)
    row = {"event_id": event, "author_id": author_id, "raw": text.raw, "html": text.html, "rendered_by": VERSION}
    insert(connection, versions, **row, created_at=now())


def forget_versions(connection: Connection, discussion_id: int, event: int) -> None:
    """Delete everything a comment has said."""
    sizes = sa.select(sa.func.sum(sa.func.length(versions.c.raw) + sa.func.length(versions.c.html)))
    weight = connection.scalar(sizes.where(versions.c.event_id == event)) or 0
    connection.execute(versions.delete().where(versions.c.event_id == event))
    _add_weight(connection, discussion_id, -weight, 2 * HEAVIEST)


def checked_text(text: str) -> str:
    """A text that databases take. Raises InvalidRequest."""
    if len(text) > LONGEST_COMMENT:
        raise InvalidRequest(f"a comment has at most {LONGEST_COMMENT:,} characters; this one has {len(text):,}.")
    # PostgreSQL keeps no NUL, and halves of surrogate pairs (JSON can spell them) are no text at all
    return text.replace("\0", "").encode("utf-8", "replace").decode()


def comment_number(connection: Connection, discussion: Discussion, comment: str) -> int:
    """The number of the event that is this comment, by its 24 hex digits. Raises CommentNotFound."""
    try:
        number = int(comment, 16) if len(comment) == 24 else -1
    except ValueError:
        number = -1
    query = sa.select(events.c.id).where(
        events.c.id == number, events.c.discussion_id == discussion.id, events.c.kind == "comment"
    )
    # databases count in 64 bits
    if not 0 < number < 2**63 or connection.scalar(query) is None:
        raise CommentNotFound(comment)
    return number


def _add_weight(connection: Connection, discussion_id: int, weight: int, limit: int) -> None:
    change = discussions.update().where(discussions.c.id == discussion_id, discussions.c.weight + weight <= limit)
    if connection.execute(change.values(weight=discussions.c.weight + weight)).rowcount != 1:
        raise DiscussionFull
