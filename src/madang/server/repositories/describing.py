"""Repositories as clients are told of them."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.clock import iso
from madang.server.git.objects import Entry, readable
from madang.server.git.refs import resolve
from madang.server.git.store import Objects
from madang.server.git.trees import walk
from madang.server.repositories import facts
from madang.server.repositories.properties import DEFAULT, check_expand, describe_row
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.search.index import is_term
from madang.server.search.records import postings, terms

# repositories with more files than this are told of without them; clients read the tree then
MOST_SIBLINGS = 100_000
MOST_SPACES = 100


def describe(
    connection: Connection,
    repository: Repository,
    *,
    revision: str | None = None,
    blobs: bool = False,
    security_status: bool = False,
    expand: Sequence[str] = (),
) -> dict[str, Any]:
    """The answer to `GET /api/models/alice/bert`, at a revision; with `expand` only what it names.

    Raises InvalidRequest for a property there is not, RevisionNotFound.
    """
    check_expand(repository.type, expand)
    row = connection.execute(sa.select(repositories).where(repositories.c.id == repository.id)).one()
    commit = resolve(connection, repository.id, revision or "main")
    fields = tuple(expand) or (*DEFAULT[repository.type], "siblings")
    answer = describe_row(row, fields)
    if "sha" in fields:
        answer["sha"] = commit
    at_another = commit != row.head
    if at_another:
        answer |= _at(connection, repository, commit, fields)
    fill(connection, row, answer, fields, commit=commit, blobs=blobs)
    if not expand and repository.type == "model":
        answer["modelId"] = repository.name
        if security_status:
            # no scanner looks at files on this hub
            answer["securityRepoStatus"] = {"scansDone": False, "filesWithIssues": []}
    return answer


def fill(
    connection: Connection,
    row: "Row[Any]",
    answer: dict[str, Any],
    fields: Iterable[str],
    *,
    commit: str | None = None,
    blobs: bool = False,
) -> None:
    """Add those of the named properties to an answer that need more than the row."""
    wanted = set(fields)
    commit = commit or row.head
    if "siblings" in wanted and commit is not None:
        found = siblings(Objects(connection, row.id), commit, blobs=blobs)
        if found is not None:
            answer["siblings"] = found
    if "childrenModelCount" in wanted:
        answer["childrenModelCount"] = children(connection, row.name)
    if "spaces" in wanted:
        answer["spaces"] = spaces_of(connection, row.type, row.name)


def siblings(objects: Objects, commit: str, *, blobs: bool) -> list[dict[str, Any]] | None:
    """All files of a commit, with `blobs` their sizes and ids too; None when there are too many to tell."""
    found: list[tuple[str, Entry]] = []
    for path, entry in walk(objects, objects.commit(commit).tree, recursive=True):
        if len(found) == MOST_SIBLINGS:
            return None
        if not entry.is_folder:
            found.append((path, entry))
    if not blobs:
        return [{"rfilename": readable(path)} for path, _ in found]
    infos = objects.files(entry.oid for _, entry in found)
    answer = []
    for path, entry in found:
        item: dict[str, Any] = {"rfilename": readable(path), "blobId": entry.oid}
        info = infos.get(entry.oid)
        if info is not None:
            item["size"] = info.size
        if info is not None and info.pointer is not None:
            pointer = info.pointer
            item["lfs"] = {"sha256": pointer.sha256, "size": pointer.size, "pointerSize": pointer.length}
        answer.append(item)
    return answer


def children(connection: Connection, name: str) -> dict[str, int]:
    """How many public models were made from this one, by what was done to it."""
    tags = {f"base_model:{relation}:{name}": relation for relation in ("adapter", "finetune", "merge", "quantized")}
    query = sa.select(terms.c.name, terms.c.public).where(is_term("model", [("tag", tag) for tag in tags]))
    counted = {tags[tag]: count for tag, count in connection.execute(query)}
    return {relation: counted.get(relation, 0) for relation in tags.values()}


def spaces_of(connection: Connection, type: str, name: str) -> list[str]:
    """The public Spaces whose card names this repository, the most liked first."""
    term = sa.select(terms.c.id).where(is_term("space", [(type, name.lower())])).scalar_subquery()
    query = (
        sa.select(repositories.c.name)
        .join_from(postings, repositories, repositories.c.id == postings.c.repository_id)
        .where(postings.c.term_id == term, postings.c.private == sa.false())
        .order_by(postings.c.likes.desc(), postings.c.repository_id.desc())
        .limit(MOST_SPACES)
    )
    return list(connection.scalars(query))


def _at(connection: Connection, repository: Repository, commit: str, fields: Iterable[str]) -> dict[str, Any]:
    """What the files of another commit than the head say of the properties that files decide."""
    objects = Objects(connection, repository.id)
    change = objects.commit(commit)
    contents = facts.read(objects, change.tree, repository.type)
    told = {"cardData": contents.card, "lastModified": iso(change.committer.milliseconds)}
    if repository.type == "model":
        told["config"] = contents.config
    return {name: value for name, value in told.items() if name in set(fields)}
