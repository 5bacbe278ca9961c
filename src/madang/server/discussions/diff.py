"""What a pull request changes, as `git diff` writes it."""

from sqlalchemy.engine import Connection

from madang.server.discussions.records import Discussion
from madang.server.errors import Refusal
from madang.server.git.ancestry import merge_base
from madang.server.git.diffs import MOST_STEPS, changed_files, header, patch
from madang.server.git.merging import Steps
from madang.server.git.refs import MAIN, read_ref
from madang.server.git.store import Objects
from madang.server.repositories.repository import Repository

LONGEST = 1_000_000  # characters; files that come after are left out, and the end says so


def pull_request_diff(connection: Connection, repository: Repository, discussion: Discussion) -> str:
    """The changes since the pull request and the main branch parted; of a merged one, those that were merged."""
    objects = Objects(connection, repository.id)
    base, main = discussion.merge_base, read_ref(connection, repository.id, MAIN)
    if discussion.head is None:
        return ""
    if base is None and main is not None:
        try:
            base = merge_base(objects, main, discussion.head)
        except Refusal:
            return ""
    old = objects.commit(base).tree if base is not None else None
    steps, parts, size = Steps(MOST_STEPS), [], 0
    for change in changed_files(objects, old, objects.commit(discussion.head).tree):
        content = patch(objects, change, steps)
        part = header(change, content) + (content.text or "")
        size += len(part)
        if size > LONGEST:
            parts.append("# This diff is too long to be shown in full: further files changed too.\n")
            break
        parts.append(part)
    return "".join(parts)
