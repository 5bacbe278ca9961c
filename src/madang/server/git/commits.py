"""Making commits."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy.engine import Connection

from madang.server.errors import Conflict, Refusal
from madang.server.git.objects import BLOB, FILE_MODE, Commit, Entry, GitObject, Signature
from madang.server.git.refs import HEADS, RevisionNotFound, move_ref, read_ref
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree


class Outdated(Refusal):
    """A commit was made on a parent that is not the head any more."""

    status = 412

    def __init__(self) -> None:
        super().__init__("The branch was updated since you opened this page. Please refresh and try again.")


@dataclass(frozen=True)
class NewFile:
    """The content a commit puts at a path."""

    content: bytes
    mode: int = FILE_MODE


def make_commit(
    connection: Connection,
    repository_id: int,
    ref: str,
    changes: Mapping[str, NewFile | Entry | None],
    *,
    author: Signature,
    message: str,
    parent: str | None = None,
) -> str:
    """Put `changes` (path -> new content, an entry that exists, or None to remove) on top of `ref`; returns the commit.

    The ref must exist, except in a repository without any. With `parent`, the first digits of a commit, that must be
    the head (else Outdated). Of two commits on one head, one gets Conflict. Raises RevisionNotFound.
    """
    objects = Objects(connection, repository_id)
    head = read_ref(connection, repository_id, ref)
    if head is None and (parent is not None or ref != HEADS + "main"):
        raise RevisionNotFound(ref.removeprefix(HEADS))
    if parent is not None and head is not None and not head.startswith(parent):
        raise Outdated
    entries: dict[str, Entry | None] = {}
    blobs: list[GitObject] = []
    for path, change in changes.items():
        if isinstance(change, NewFile):
            blob = GitObject.of(BLOB, change.content)
            blobs.append(blob)
            entries[path] = Entry(path.rpartition("/")[2], change.mode, blob.oid)
        else:
            entries[path] = change
    base = objects.commit(head).tree if head is not None else None
    tree, trees = change_tree(objects, base, entries)
    objects.put([*blobs, *trees])
    return commit_tree(connection, repository_id, ref, head, tree, author=author, message=message)


def commit_tree(
    connection: Connection,
    repository_id: int,
    ref: str,
    head: str | None,
    tree: str,
    *,
    author: Signature,
    message: str,
) -> str:
    """A commit of a tree that is stored, on top of `head`, which the ref points at; raises Conflict when it does not
    any more."""
    commit = Commit(tree, (head,) if head else (), author, author, message).encode()
    Objects(connection, repository_id).put([commit])
    try:
        move_ref(connection, repository_id, ref, head, commit.oid)
    except Conflict:
        raise Conflict("Somebody else committed to this branch at the same moment. Please repeat.") from None
    return commit.oid
