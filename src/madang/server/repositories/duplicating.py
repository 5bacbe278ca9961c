"""Copies of repositories: the same main branch under another name, large files shared instead of copied."""

from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Caller
from madang.server.clock import now
from madang.server.database import batches
from madang.server.errors import Unprocessable
from madang.server.git.objects import files_in
from madang.server.git.reachable import reachable
from madang.server.git.records import objects as git_objects
from madang.server.git.refs import MAIN, move_ref, resolve
from madang.server.git.store import Objects
from madang.server.large_files.records import repository_blobs
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import add_row, after_change

MOST_OBJECTS = 1_000_000


def duplicate(
    connection: Connection,
    caller: Caller,
    source: Repository,
    name: str,
    *,
    owner: str | None = None,
    private: bool | None = None,
) -> Repository:
    """Another repository with the main branch of `source`, whose content the caller may read.

    It is as private and as gated as the source unless something else is said. Raises RepositoryExists.
    """
    head = resolve(connection, source.id, "main")
    row = connection.execute(sa.select(repositories).where(repositories.c.id == source.id)).one()
    made = add_row(
        connection,
        caller,
        source.type,
        name,
        owner=owner,
        private=source.private or None if private is None else private,
        gated=source.gated,
        sdk=row.sdk,
    )
    objects = Objects(connection, source.id)
    named = objects_of(objects, head)
    _copy_objects(connection, source.id, made.id, named)
    _share_large_files(connection, objects, made.id, named, caller)
    move_ref(connection, made.id, MAIN, None, head)
    after_change(connection, made, {MAIN: head}, author=caller.account)
    audit.record(connection, caller, "repository.duplicate", type=source.type, repository=source.name, to=made.name)
    return made


def objects_of(objects: Objects, head: str) -> set[str]:
    """The names of all objects that a commit leads to. Raises Unprocessable for more than can be copied at once."""
    found: set[str] = set()
    for item in reachable(objects, [head]):
        found.add(item.oid)
        found |= files_in(item)
        if len(found) > MOST_OBJECTS:
            raise Unprocessable(f"this repository has more than {MOST_OBJECTS:,} objects: clone it and push instead.")
    return found


def _copy_objects(connection: Connection, source_id: int, target_id: int, oids: Iterable[str]) -> None:
    columns = [column.name for column in git_objects.columns]
    for some in batches(oids):
        copied = sa.select(
            sa.literal(target_id), *(git_objects.c[name] for name in columns if name != "repository_id")
        ).where(git_objects.c.repository_id == source_id, git_objects.c.oid.in_(some))
        connection.execute(git_objects.insert().from_select(columns, copied, include_defaults=False))


def _share_large_files(
    connection: Connection, objects: Objects, target_id: int, oids: Iterable[str], caller: Caller
) -> None:
    """Let the copy use the large files that it names and the source has."""
    account_id = caller.account.id if caller.account is not None else None
    infos = (info for some in batches(oids) for info in objects.files(some).values())
    named = {info.pointer.sha256 for info in infos if info.pointer is not None}
    columns = ["repository_id", "sha256", "uploaded_by", "uploaded_at"]
    for some in batches(named):
        shared = sa.select(
            sa.literal(target_id), repository_blobs.c.sha256, sa.literal(account_id, sa.BigInteger), sa.literal(now())
        ).where(repository_blobs.c.repository_id == objects.repository_id, repository_blobs.c.sha256.in_(some))
        connection.execute(repository_blobs.insert().from_select(columns, shared, include_defaults=False))
