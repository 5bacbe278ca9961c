"""Branches, tags and other refs of a repository: rows that change from one commit to the next, or not at all."""

import re

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound, Refusal
from madang.server.git.objects import COMMIT, TAG, parse_tag
from madang.server.git.records import refs
from madang.server.git.store import Objects

MAIN = "refs/heads/main"
HEADS, TAGS, PULL_REQUESTS, CONVERTS = "refs/heads/", "refs/tags/", "refs/pr/", "refs/convert/"
# annotated tags of annotated tags: more are not followed
LONGEST_TAG_CHAIN = 10
# git-check-ref-format: no control characters, no ` ~^:?*[\`, no `..`, `@{`, `//`, no part that begins with a dot or
# ends in `.lock`, no dot or slash at the end
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|(^|/)\.|\.lock(/|$)|[./]$|^/|^@$")


class RevisionNotFound(Refusal):
    """No branch, tag or commit of that name."""

    status = 404
    code = "RevisionNotFound"

    def __init__(self, revision: str) -> None:
        super().__init__(f"Invalid rev id: {revision[:100]}")


class MainBranchKept(Forbidden):
    """Every repository has a main branch: pages, lists and clones begin with it."""

    def __init__(self) -> None:
        super().__init__(f"Cannot delete {MAIN}: every repository keeps its main branch. Change its files instead.")


def check_ref_name(name: str) -> None:
    """Raises InvalidRequest for a branch or tag name that git would not take."""
    if not name or len(name) > 250 or _FORBIDDEN.search(name) or name.startswith("-"):
        raise InvalidRequest(f"{name[:100]!r} cannot be the name of a branch or tag: git's rules forbid it.")
    if not name.isprintable() or any("\ud800" <= sign <= "\udfff" for sign in name):
        raise InvalidRequest("the name of a branch or tag has characters that cannot be printed.")


def read_ref(connection: Connection, repository_id: int, name: str) -> str | None:
    """What a ref points at."""
    query = sa.select(refs.c.target).where(refs.c.repository_id == repository_id, refs.c.name == name)
    return connection.scalar(query)


def list_refs(connection: Connection, repository_id: int, prefix: str = "refs/") -> list[tuple[str, str]]:
    """Full names and targets, by name."""
    query = sa.select(refs.c.name, refs.c.target).where(refs.c.repository_id == repository_id, _begins_with(prefix))
    return sorted((name, target) for name, target in connection.execute(query))


def _begins_with(prefix: str) -> "sa.ColumnElement[bool]":
    """The condition on names; LIKE would take `A` for `a` on SQLite."""
    return sa.func.substr(refs.c.name, 1, len(prefix)) == prefix


def move_ref(connection: Connection, repository_id: int, name: str, old: str | None, new: str | None) -> None:
    """Let `name` point at `new` if it points at `old` now; None means that it is not there.

    Of two that move it from the same commit, one gets Conflict.
    """
    same = (refs.c.repository_id == repository_id, refs.c.name == name)
    if old is None and new is not None:
        _check_room(connection, repository_id, name)
        try:
            with connection.begin_nested():
                connection.execute(refs.insert().values(repository_id=repository_id, name=name, target=new))
        except sa.exc.IntegrityError as error:
            raise Conflict(f"Reference {name} already exists") from error
        return
    change = refs.delete() if new is None else refs.update().values(target=new)
    if connection.execute(change.where(*same, refs.c.target == old)).rowcount != 1:
        raise Conflict(f"{name} was changed by somebody else in between. Read it again and repeat.")


def _check_room(connection: Connection, repository_id: int, name: str) -> None:
    """Raises Conflict when a ref is in the way: git keeps refs as files, so `a` and `a/b` cannot both be there."""
    parts = name.split("/")
    above = ["/".join(parts[:count]) for count in range(3, len(parts))]
    within = _begins_with(name + "/")
    query = sa.select(refs.c.name).where(
        refs.c.repository_id == repository_id, sa.or_(refs.c.name.in_(above), within) if above else within
    )
    other = connection.scalar(query.limit(1))
    if other is not None:
        raise Conflict(f"{other} is in the way of {name}: one name cannot be the beginning of another up to a slash.")


def branch_ref(name: str) -> str:
    """The full name of a branch. What the hub makes itself (`refs/convert/parquet`) is named in full.

    Raises InvalidRequest for a name that no branch can have.
    """
    if name.startswith(CONVERTS):
        check_ref_name(name)
        return name
    check_new_name(name)
    return HEADS + name


def tag_ref(name: str) -> str:
    """The full name of a tag. Raises InvalidRequest for a name that no tag can have."""
    check_new_name(name)
    return TAGS + name


def check_new_name(name: str) -> None:
    """Raises InvalidRequest for names git forbids, and for those that would hide something else."""
    check_ref_name(name)
    if name.startswith("refs/") or name == "HEAD" or re.fullmatch("[0-9a-f]{40}", name):
        raise InvalidRequest(f"{name[:100]!r} cannot be the name of a branch or tag: it would hide what it spells.")


def commits_of(objects: Objects, targets: list[str]) -> dict[str, str]:
    """Target of a ref -> the commit at its end, for all that lead to one."""
    found = {item.oid: item for item in objects.get_many(dict.fromkeys(targets))}
    answer = {}
    for target in targets:
        item = found.get(target)
        if item is not None and item.kind == COMMIT:
            answer[target] = target
        elif item is not None and item.kind == TAG:
            try:
                answer[target] = _commit_of(objects, target, target)
            except Refusal:  # a tag of a file or folder: git allows it, and no revision is meant
                continue
    return answer


def resolve(connection: Connection, repository_id: int, revision: str) -> str:
    """The commit that a branch, a tag, a full ref, a commit id or its first 7 digits stands for.

    Raises RevisionNotFound.
    """
    if not revision.isprintable():  # no ref is called like this, and databases refuse to look for some signs
        raise RevisionNotFound(revision)
    objects = Objects(connection, repository_id)
    if revision.startswith("refs/"):
        names = [revision]
    else:
        names = [HEADS + revision, TAGS + revision]
    query = sa.select(refs.c.name, refs.c.target).where(refs.c.repository_id == repository_id, refs.c.name.in_(names))
    found = dict(tuple(row) for row in connection.execute(query))
    for name in names:
        if name in found:
            return _commit_of(objects, found[name], revision)
    if re.fullmatch("[0-9a-f]{40}", revision):
        return _commit_of(objects, revision, revision)
    if re.fullmatch("[0-9a-f]{7,39}", revision):
        commits = objects.starting_with(revision)
        if len(commits) == 1:
            return commits[0]
    raise RevisionNotFound(revision)


def _commit_of(objects: Objects, oid: str, revision: str) -> str:
    """The commit at the end of a chain of annotated tags."""
    for _ in range(LONGEST_TAG_CHAIN):
        try:
            item = objects.get(oid)
        except NotFound:
            break
        if item.kind == COMMIT:
            return oid
        if item.kind != TAG:
            break
        oid, _ = parse_tag(item.content)
    raise RevisionNotFound(revision)
