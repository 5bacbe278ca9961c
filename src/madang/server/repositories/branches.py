"""Branches and tags of a repository: made, deleted, squashed, and a commit undone."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account
from madang.server.errors import Conflict
from madang.server.git.commits import commit_tree
from madang.server.git.merging import merge_trees
from madang.server.git.objects import Commit, encode_tag
from madang.server.git.refs import (
    CONVERTS,
    HEADS,
    MAIN,
    PULL_REQUESTS,
    TAGS,
    MainBranchKept,
    RevisionNotFound,
    branch_ref,
    commits_of,
    list_refs,
    move_ref,
    read_ref,
    resolve,
    tag_ref,
)
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree
from madang.server.repositories.authors import signature
from madang.server.repositories.locking import lock
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import after_change


@dataclass(frozen=True)
class Ref:
    """A ref as people see it: its short name, its full one, the commit it leads to."""

    name: str
    ref: str
    commit: str


@dataclass
class Refs:
    """All refs of a repository by kind."""

    branches: list[Ref] = field(default_factory=list)
    tags: list[Ref] = field(default_factory=list)
    converts: list[Ref] = field(default_factory=list)
    pull_requests: list[Ref] = field(default_factory=list)


def refs_of(connection: Connection, repository: Repository) -> Refs:
    """Branches, tags, conversions and pull requests; `main` first, then by name."""
    found = list_refs(connection, repository.id)
    commits = commits_of(Objects(connection, repository.id), [target for _, target in found])
    answer = Refs()
    kinds = (
        (HEADS, answer.branches),
        (TAGS, answer.tags),
        (CONVERTS, answer.converts),
        (PULL_REQUESTS, answer.pull_requests),
    )
    for name, target in found:
        for prefix, kind in kinds:
            if name.startswith(prefix) and target in commits:
                kind.append(Ref(name.removeprefix(prefix), name, commits[target]))
    answer.branches.sort(key=lambda ref: (ref.ref != MAIN, ref.name))
    answer.pull_requests.sort(key=lambda ref: (len(ref.ref), ref.ref))
    return answer


def create_branch(
    connection: Connection,
    repository: Repository,
    name: str,
    start: str | None = None,
    *,
    author: Account | None = None,
) -> str:
    """A new branch at the revision `start` (the main branch); returns its full name.

    Raises Conflict when it is there, RevisionNotFound, InvalidRequest.
    """
    lock(connection, repository)
    ref = branch_ref(name)
    if read_ref(connection, repository.id, ref) is not None:
        raise Conflict(f"Reference {ref} already exists")
    commit = resolve(connection, repository.id, start or "main")
    move_ref(connection, repository.id, ref, None, commit)
    after_change(connection, repository, {ref: commit}, author=author)
    return ref


def delete_branch(connection: Connection, repository: Repository, name: str, *, author: Account | None = None) -> None:
    """Remove a branch. Raises MainBranchKept, RevisionNotFound."""
    ref = name if name.startswith(CONVERTS) else HEADS + name
    if ref == MAIN:
        raise MainBranchKept
    _delete(connection, repository, ref, name, author)


def create_tag(
    connection: Connection,
    repository: Repository,
    name: str,
    revision: str,
    *,
    author: Account,
    message: str | None = None,
) -> str:
    """A new tag of a revision, annotated when there is a message; returns its full name. Raises as `create_branch`."""
    lock(connection, repository)
    ref = tag_ref(name)
    commit = resolve(connection, repository.id, revision)
    if read_ref(connection, repository.id, ref) is not None:
        raise Conflict(f"Reference {ref} already exists")
    target = commit
    if message:
        tag = encode_tag(name, commit, signature(author), message)
        Objects(connection, repository.id).put([tag])
        target = tag.oid
    move_ref(connection, repository.id, ref, None, target)
    after_change(connection, repository, {ref: target}, author=author)
    return ref


def delete_tag(connection: Connection, repository: Repository, name: str, *, author: Account | None = None) -> None:
    """Remove a tag. Raises RevisionNotFound."""
    _delete(connection, repository, TAGS + name, name, author)


def _delete(connection: Connection, repository: Repository, ref: str, name: str, author: Account | None) -> None:
    lock(connection, repository)
    target = read_ref(connection, repository.id, ref)
    if target is None:
        raise RevisionNotFound(name)
    move_ref(connection, repository.id, ref, target, None)
    after_change(connection, repository, {ref: None}, author=author)


def squash(connection: Connection, repository: Repository, name: str, *, author: Account, message: str) -> str:
    """Replace the history of a branch, a pull request or a conversion by one commit of what it has; returns that."""
    lock(connection, repository)
    ref = name if name.startswith((PULL_REQUESTS, CONVERTS, HEADS)) else HEADS + name
    head = read_ref(connection, repository.id, ref)
    if head is None:
        raise RevisionNotFound(name)
    objects = Objects(connection, repository.id)
    who = signature(author)
    commit = Commit(objects.commit(head).tree, (), who, who, message).encode()
    objects.put([commit])
    move_ref(connection, repository.id, ref, head, commit.oid)
    after_change(connection, repository, {ref: commit.oid}, author=author)
    return commit.oid


class CannotRevert(Conflict):
    """What a commit did cannot be undone by itself: later commits changed the same places."""

    def __init__(self, paths: Sequence[str]) -> None:
        named = ", ".join(paths[:20]) + (f" and {len(paths) - 20} more" if len(paths) > 20 else "")
        super().__init__(
            f"Later commits changed the same places in {named}. Undo those first, or edit the files.",
            filesWithConflicts=list(paths),
        )


def revert(
    connection: Connection,
    repository: Repository,
    revision: str,
    branch: str = "main",
    *,
    author: Account,
    message: str | None = None,
) -> str:
    """A new commit on a branch that undoes another one; of a merge, what it brought to its first parent.

    Raises CannotRevert, RevisionNotFound, and Conflict when there is nothing left to undo.
    """
    lock(connection, repository)
    objects = Objects(connection, repository.id)
    ref = branch_ref(branch)
    head = read_ref(connection, repository.id, ref)
    if head is None:
        raise RevisionNotFound(branch)
    undone = resolve(connection, repository.id, revision)
    commit = objects.commit(undone)
    before = objects.commit(commit.parents[0]).tree if commit.parents else None
    merge = merge_trees(objects, commit.tree, objects.commit(head).tree, before)
    if merge.conflicts:
        raise CannotRevert(merge.conflicts)
    if not merge.changes:
        raise Conflict(f"Nothing of the commit {undone} is left to undo on {branch}.")
    objects.put(merge.blobs)
    tree, made = change_tree(objects, objects.commit(head).tree, merge.changes)
    objects.put(made)
    text = message or f'Revert "{commit.title}"\n\nThis reverts commit {undone}.'
    oid = commit_tree(connection, repository.id, ref, head, tree, author=signature(author), message=text)
    after_change(connection, repository, {ref: oid}, author=author)
    return oid
