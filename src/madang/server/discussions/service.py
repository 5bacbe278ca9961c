"""What can be done in discussions and pull requests. Merging is in `merges`, what arrives by a push in `pushes`."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Right
from madang.server.clock import now
from madang.server.database import insert
from madang.server.discussions.errors import CommentNotFound, NotOpen, NotYours
from madang.server.discussions.events import (
    Text,
    add_comment,
    add_event,
    add_version,
    checked_text,
    comment_number,
    forget_versions,
)
from madang.server.discussions.pushes import find as find
from madang.server.discussions.records import Discussion, discussions, events
from madang.server.errors import Conflict, InvalidRequest
from madang.server.git.refs import MAIN, move_ref, read_ref
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import after_change

LONGEST_TITLE = 200
# what is shown in place of a comment that was hidden: its text is kept nowhere
HIDDEN = Text.of("This comment has been hidden")


def open_discussion(
    connection: Connection, repository: Repository, author: Account, title: str, description: Text
) -> Discussion:
    """A new discussion; its first comment is the description."""
    return _open(connection, repository, author, title, description, is_pull_request=False, status="open", head=None)


def open_pull_request(
    connection: Connection,
    repository: Repository,
    author: Account,
    title: str,
    description: Text,
    *,
    base: str = MAIN,
    draft: bool = False,
) -> Discussion:
    """A new pull request, whose ref `refs/pr/N` is at the head of the ref `base`.

    Drafts are for pull requests whose commits follow; one that begins with a commit is open at once.
    """
    head = read_ref(connection, repository.id, MAIN)
    if head is None:
        raise InvalidRequest(f"{repository.name} has no commit on main yet that a pull request could start from.")
    status = "draft" if draft else "open"
    made = _open(connection, repository, author, title, description, is_pull_request=True, status=status, head=head)
    move_ref(connection, repository.id, made.ref, None, head)
    after_change(connection, repository, {made.ref: head})
    start = read_ref(connection, repository.id, base)
    if start not in (None, head):  # what the other branch has is part of what is proposed
        move_ref(connection, repository.id, made.ref, head, start)
        after_change(connection, repository, {made.ref: start}, author=author)
    return made


def _open(
    connection: Connection,
    repository: Repository,
    author: Account,
    title: str,
    description: Text,
    *,
    is_pull_request: bool,
    status: str,
    head: str | None,
) -> Discussion:
    # the row of the repository is the lock: of two that open one at the same moment, the second gets the next number
    lock = sa.select(repositories.c.id).where(repositories.c.id == repository.id).with_for_update(key_share=True)
    connection.execute(lock)
    last = connection.scalar(
        sa.select(sa.func.max(discussions.c.number)).where(discussions.c.repository_id == repository.id)
    )
    number = (last or 0) + 1
    values = {
        "repository_id": repository.id,
        "number": number,
        "is_pull_request": is_pull_request,
        "title": checked_text(title).strip()[:LONGEST_TITLE] or "Untitled",
        "status": status,
        "author_id": author.id,
        "created_at": now(),
        "weight": 0,
        "head": head,
    }
    identity = insert(connection, discussions, **values)
    add_comment(connection, identity, author.id, description)
    return find(connection, repository, number)


def comment(connection: Connection, discussion: Discussion, author: Account, text: Text) -> int:
    """Say something; returns the number of the event."""
    if text.is_empty:
        raise InvalidRequest("a comment cannot be empty.")
    return add_comment(connection, discussion.id, author.id, text)


def edit(
    connection: Connection, discussion: Discussion, account: Account, right: Right, comment_id: str, text: Text
) -> int:
    """Let a comment say something else; what it said before is kept. Returns the number of the event."""
    event = _own_comment(connection, discussion, account, right, comment_id)
    if text.is_empty:
        raise InvalidRequest("a comment cannot be empty. Hide it instead.")
    add_version(connection, discussion.id, event, account.id, text)
    return event


def hide(connection: Connection, discussion: Discussion, account: Account, right: Right, comment_id: str) -> int:
    """Take away what a comment says and has said, for good. Returns the number of the event."""
    event = _own_comment(connection, discussion, account, right, comment_id)
    connection.execute(events.update().where(events.c.id == event).values(hidden=True))
    forget_versions(connection, discussion.id, event)
    add_version(connection, discussion.id, event, account.id, HIDDEN)
    return event


def rename(connection: Connection, discussion: Discussion, account: Account, right: Right, title: str) -> int:
    """Another title; returns the number of the event."""
    _check_rights(discussion, account, right)
    title = checked_text(title).strip()
    connection.execute(discussions.update().where(discussions.c.id == discussion.id).values(title=title))
    return add_event(connection, discussion.id, "title-change", account.id, **{"from": discussion.title, "to": title})


def set_status(
    connection: Connection, discussion: Discussion, account: Account, right: Right, status: str, text: Text
) -> int:
    """Open, publish or close it, with a comment if there is something to say. Returns the number of the event."""
    _check_rights(discussion, account, right)
    if discussion.status == "merged":
        raise NotOpen(f"Pull request #{discussion.number} is merged: that is its last status.")
    if discussion.status == status:
        raise Conflict(f"#{discussion.number} is {status} already.")
    if not text.is_empty:
        add_comment(connection, discussion.id, account.id, text)
    connection.execute(discussions.update().where(discussions.c.id == discussion.id).values(status=status))
    return add_event(connection, discussion.id, "status-change", account.id, status=status)


def _own_comment(
    connection: Connection, discussion: Discussion, account: Account, right: Right, comment_id: str
) -> int:
    """The number of a comment the caller wrote, or may change because they may write to the repository."""
    number = comment_number(connection, discussion, comment_id)
    author_id, hidden = connection.execute(
        sa.select(events.c.author_id, events.c.hidden).where(events.c.id == number)
    ).one()
    if right < Right.WRITE and author_id != account.id:
        raise NotYours("Only its author, and who may write to the repository, can change a comment.")
    if hidden:
        raise CommentNotFound(comment_id)
    return number


def _check_rights(discussion: Discussion, account: Account, right: Right) -> None:
    if right < Right.WRITE and discussion.author_id != account.id:
        raise NotYours(f"Only the author of #{discussion.number}, and who may write to the repository, can do this.")
