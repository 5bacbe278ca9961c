"""Merging pull requests into the main branch."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock

from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Caller
from madang.server.accounts.finding import account_of
from madang.server.discussions.errors import MergeConflict, NotOpen
from madang.server.discussions.events import Text, add_comment, add_event
from madang.server.discussions.records import Discussion, discussions
from madang.server.errors import Conflict, InvalidRequest, Refusal, Unprocessable
from madang.server.git.ancestry import merge_base, new_commits
from madang.server.git.merging import Merge, merge_trees
from madang.server.git.objects import Commit
from madang.server.git.refs import MAIN, move_ref, read_ref
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree
from madang.server.repositories.authors import signature
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import after_change

LISTED_COMMITS = 100


@dataclass(frozen=True)
class Prepared:
    """A merge that was computed and not made yet: it fits as long as both heads are where they were."""

    main: str
    head: str
    base: str
    merge: Merge


def prepare(connection: Connection, repository: Repository, discussion: Discussion) -> Prepared:
    """Merge the files in memory. Raises NotOpen, InvalidRequest when there is nothing to merge, Unprocessable."""
    if not discussion.is_pull_request:
        raise InvalidRequest(f"#{discussion.number} is a discussion: there is nothing to merge.")
    if discussion.status != "open":
        first = "Publish it first." if discussion.status == "draft" else "Only open ones can be merged."
        raise NotOpen(f"Pull request #{discussion.number} is {discussion.status}. {first}")
    main, head = read_ref(connection, repository.id, MAIN), discussion.head
    objects = Objects(connection, repository.id)
    base = merge_base(objects, main, head) if main is not None and head is not None else None
    if main is None or head is None or base is None:
        raise Unprocessable(f"Pull request #{discussion.number} has no commit in common with main.")
    if base == head:
        raise InvalidRequest(f"Pull request #{discussion.number} has no commits that main does not have.")
    trees = (objects.commit(oid).tree for oid in (base, main, head))
    return Prepared(main, head, base, merge_trees(objects, *trees))


def merge(
    connection: Connection,
    repository: Repository,
    discussion: Discussion,
    prepared: Prepared,
    caller: Caller,
    text: Text,
) -> str:
    """Put a pull request on the main branch; returns the merge commit.

    `discussion` was locked in this transaction. Raises MergeConflict; Conflict when one of both sides got another
    commit since it was prepared.
    """
    account = caller.account
    assert account is not None
    if discussion.status != "open" or discussion.head != prepared.head:
        raise Conflict(f"Pull request #{discussion.number} was changed in between. Look at it again and repeat.")
    if prepared.merge.conflicts:
        raise MergeConflict(prepared.merge.conflicts)
    objects = Objects(connection, repository.id)
    tree, trees = change_tree(objects, objects.commit(prepared.main).tree, prepared.merge.changes)
    author = signature(account)
    message = _message(connection, objects, discussion, prepared)
    commit = Commit(tree, (prepared.main, prepared.head), author, author, message).encode()
    objects.put([*prepared.merge.blobs, *trees, commit])
    try:
        move_ref(connection, repository.id, MAIN, prepared.main, commit.oid)
    except Conflict:
        raise Conflict("Somebody else committed to main at the same moment. Please repeat.") from None
    if not text.is_empty:
        add_comment(connection, discussion.id, account.id, text)
    values = {"status": "merged", "merge_commit": commit.oid, "merge_base": prepared.base}
    connection.execute(discussions.update().where(discussions.c.id == discussion.id).values(**values))
    add_event(connection, discussion.id, "status-change", account.id, status="merged", mergeCommitId=commit.oid)
    after_change(connection, repository, {MAIN: commit.oid}, author=account)
    details = {"repository": repository.path, "number": discussion.number, "commit": commit.oid}
    audit.record(connection, caller, "pull_request.merge", **details)
    return commit.oid


def _message(connection: Connection, objects: Objects, discussion: Discussion, prepared: Prepared) -> str:
    """`Title (#3)`, then the commits that come with it, and who wrote the pull request."""
    commits = new_commits(objects, prepared.head, [prepared.main])
    lines = [f"- {commit.title[:200]} ({oid})" for oid, commit in reversed(commits[:LISTED_COMMITS])]
    if len(commits) > LISTED_COMMITS:
        lines.append(f"- and {len(commits) - LISTED_COMMITS} more")
    thanks = []
    if discussion.author_id is not None:
        author = signature(account_of(connection, discussion.author_id))
        thanks = ["", "", f"Co-authored-by: {author.name} <{author.email}>"]
    return "\n".join([f"{' '.join(discussion.title.split())} (#{discussion.number})", "", *lines, *thanks])


class Conflicts:
    """Which files of a pull request cannot be merged: computed once for each pair of heads, the last ones kept."""

    def __init__(self, kept: int = 1000) -> None:
        self._found: OrderedDict[tuple[int, str, str], list[str] | bool] = OrderedDict()
        self._kept, self._lock = kept, Lock()

    def of(self, connection: Connection, repository: Repository, discussion: Discussion) -> list[str] | bool:
        """Paths of the files that both sides changed in different ways; True when it cannot be told which."""
        main = read_ref(connection, repository.id, MAIN)
        if not discussion.is_open or main is None or discussion.head is None:
            return []
        key = (repository.id, main, discussion.head)
        with self._lock:
            if key in self._found:
                return self._found[key]
        found = self._compute(connection, repository, main, discussion.head)
        with self._lock:
            self._found[key] = found
            while len(self._found) > self._kept:
                self._found.popitem(last=False)
        return found

    @staticmethod
    def _compute(connection: Connection, repository: Repository, main: str, head: str) -> list[str] | bool:
        objects = Objects(connection, repository.id)
        try:
            base = merge_base(objects, main, head)
            if base is None:
                return True
            trees = (objects.commit(oid).tree for oid in (base, main, head))
            return merge_trees(objects, *trees).conflicts
        except Refusal:
            return True


CONFLICTS = Conflicts()
