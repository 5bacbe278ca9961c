"""Commits that arrive on the refs of pull requests."""

import re

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller, Right
from madang.server.discussions.errors import DiscussionNotFound, NotOpen, NotYours
from madang.server.discussions.events import add_event
from madang.server.discussions.records import COLUMNS, Discussion, discussions, from_row
from madang.server.errors import Forbidden, NotSignedIn
from madang.server.git.ancestry import new_commits
from madang.server.git.refs import MAIN, PULL_REQUESTS, read_ref
from madang.server.git.store import Objects
from madang.server.repositories.access import Found
from madang.server.repositories.repository import Repository

# noted of one push, the newest of them
MOST_COMMITS = 100
_REF = re.compile(re.escape(PULL_REQUESTS) + r"([1-9]\d{0,8})")


def number_of(ref: str) -> int | None:
    """The number of the pull request that a ref belongs to: 3 for refs/pr/3, None for all that are none."""
    fits = _REF.fullmatch(ref)
    return None if fits is None else int(fits.group(1))


def find(connection: Connection, repository: Repository, number: int, *, lock: bool = False) -> Discussion:
    """The discussion of that number. With `lock`, nobody else changes it until the transaction ends.

    Raises DiscussionNotFound.
    """
    query = sa.select(*COLUMNS).where(
        discussions.c.repository_id == repository.id, discussions.c.number == min(number, 2**31 - 1)
    )
    row = connection.execute(query.with_for_update(key_share=True) if lock else query).first()
    if row is None:
        raise DiscussionNotFound(number)
    return from_row(row)


def check_token(caller: Caller, repository: Repository) -> None:
    """Raises Forbidden when the caller's token may not write in the discussions of a repository."""
    token = caller.token
    if token is None or any(
        token.may(permission, repository.type, repository.name) for permission in ("discussion.write", "repo.write")
    ):
        return
    raise Forbidden(f"Your token {token.name!r} may not write in discussions of {repository.name}. Use one that may.")


def check_push(connection: Connection, caller: Caller, found: Found, ref: str) -> Discussion:
    """The pull request that `ref` belongs to, if the caller may push to it: its author, and who may write.

    Raises NotSignedIn, Forbidden, DiscussionNotFound, NotOpen.
    """
    discussion = _pull_request(connection, found.repository, ref)
    if caller.account is None:
        raise NotSignedIn("Sign in to commit: send a token.")
    check_token(caller, found.repository)
    if found.right < Right.WRITE and discussion.author_id != caller.account.id:
        raise NotYours(f"Only the author of pull request #{discussion.number}, and who may write here, may push to it.")
    return discussion


def pushed(connection: Connection, repository: Repository, ref: str, author: Account | None, new: str | None) -> None:
    """Note the commits that came onto `refs/pr/N`, in the transaction that moved it; `author` is who pushed.

    Raises NotOpen for a pull request that is closed or merged, which undoes the push.
    """
    discussion = _pull_request(connection, repository, ref)
    if new is None:
        raise Forbidden("The commits of a pull request are kept. Close it instead of deleting its ref.")
    if new == discussion.head:
        return
    objects = Objects(connection, repository.id)
    known = [discussion.head, read_ref(connection, repository.id, MAIN)]
    author_id = discussion.author_id if author is None else author.id
    arrived = new_commits(objects, new, [oid for oid in known if oid is not None])[:MOST_COMMITS]
    for oid, commit in reversed(arrived):
        add_event(connection, discussion.id, "commit", author_id, subject=commit.title[:200], oid=oid)
    connection.execute(discussions.update().where(discussions.c.id == discussion.id).values(head=new))


def _pull_request(connection: Connection, repository: Repository, ref: str) -> Discussion:
    number = number_of(ref)
    if number is None:
        raise Forbidden(f"{ref[:100]} can be no ref of a pull request: they are called {PULL_REQUESTS}1 and so on.")
    discussion = find(connection, repository, number, lock=True)
    if not discussion.is_pull_request:
        raise DiscussionNotFound(number)
    if not discussion.is_open:
        raise NotOpen(f"Pull request #{number} is {discussion.status}: nothing can be added to it. Open another one.")
    return discussion
