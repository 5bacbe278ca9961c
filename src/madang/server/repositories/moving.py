"""What an owner decides about a repository: its name, who sees it, copies of it, a name without an owner."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Caller, Right
from madang.server.accounts.finding import find_account
from madang.server.database import insert_new
from madang.server.errors import Conflict, Forbidden, InvalidRequest
from madang.server.repositories.access import find
from madang.server.repositories.errors import RepositoryExists
from madang.server.repositories.names import check_name, check_repository_name
from madang.server.repositories.records import redirects, repositories
from madang.server.repositories.repository import Repository, repository_of
from madang.server.repositories.service import check_free, owner_for
from madang.server.search import index

VISIBILITIES = ("public", "private", "protected")
GATES = ("auto", "manual", False)


def move(connection: Connection, caller: Caller, type: str, old: str, new: str) -> Repository:
    """Give a repository another name, or another owner; the old name leads to it from now on.

    The caller must administer it, and must be allowed to create what it becomes. Raises RepositoryExists.
    """
    repository = find(connection, caller, type, old, Right.ADMIN).repository
    owner, _, name = new.rpartition("/")
    namespace = owner_for(connection, caller, owner or None)
    check_repository_name(name)
    full_name = f"{namespace.name}/{name}"
    if full_name == repository.name:
        return repository
    key, before = full_name.lower(), repository.name.lower()
    if key != before:
        taken = f"A {type} repository called {full_name} already exists"
        check_free(connection, type, full_name, taken)
        _rename(connection, repository, taken, name=full_name, key=key, owner_id=namespace.id)
        insert_new(connection, redirects, [{"type": type, "key": before, "repository_id": repository.id}])
    else:
        _rename(connection, repository, "", name=full_name)
    index.update(connection, repository.id)
    audit.record(connection, caller, "repository.move", type=type, repository=repository.name, to=full_name)
    return repository_of(connection, repository.id)


def _rename(connection: Connection, repository: Repository, taken: str, **values: Any) -> None:
    try:
        with connection.begin_nested():
            connection.execute(repositories.update().where(repositories.c.id == repository.id).values(values))
    except sa.exc.IntegrityError:  # somebody took the name since
        raise RepositoryExists(taken) from None


def change_settings(
    connection: Connection,
    caller: Caller,
    repository: Repository,
    *,
    visibility: str | None = None,
    gated: str | bool | None = None,
) -> Repository:
    """Change who sees a repository, and whether its files are for those only whom the owner lets in."""
    values: dict[str, Any] = {}
    if visibility is not None:
        check_visibility(repository.type, visibility)
        values |= {"private": visibility != "public", "protected": visibility == "protected"}
    if gated is not None:
        if gated not in GATES:
            raise InvalidRequest(f'`gated` is "auto", "manual" or false, not {gated!r}.')
        if gated and repository.type == "space":
            raise InvalidRequest("Spaces cannot be gated; make it private instead.")
        values["gated"] = gated or ""
    if values:
        connection.execute(repositories.update().where(repositories.c.id == repository.id).values(values))
        index.update(connection, repository.id)
        details = {**values, "type": repository.type, "repository": repository.name}
        audit.record(connection, caller, "repository.settings", **details)
    return repository_of(connection, repository.id)


def check_visibility(type: str, visibility: str) -> None:
    """Raises InvalidRequest for what repositories of this type cannot be."""
    if visibility not in VISIBILITIES:
        raise InvalidRequest(f"`visibility` is one of {', '.join(VISIBILITIES)}, not {visibility[:50]!r}.")
    if visibility == "protected" and type != "space":
        raise InvalidRequest("only Spaces can be protected: an app for everybody, with files for few.")


def visibility_of(row: Any) -> str:
    """The word for who sees a repository."""
    if not row.private:
        return "public"
    return "protected" if row.protected else "private"


def add_alias(connection: Connection, caller: Caller, repository: Repository, alias: str) -> None:
    """Let a name without an owner (`gpt2`) lead to a repository, instead of where it led before.

    Raises Conflict for the name of an account, whose page is at that address.
    """
    check_name(alias)
    if find_account(connection, alias) is not None:
        raise Conflict(f"{alias!r} is the name of an account on this hub.")
    key = alias.lower()
    remove_alias(connection, caller, repository.type, alias)
    connection.execute(redirects.insert().values(type=repository.type, key=key, repository_id=repository.id))
    audit.record(connection, caller, "repository.alias", type=repository.type, repository=repository.name, alias=alias)


def remove_alias(connection: Connection, caller: Caller, type: str, alias: str) -> bool:
    """Let a name without an owner lead nowhere; says whether it led anywhere."""
    if "/" in alias:
        raise InvalidRequest(f"{alias[:100]!r} has an owner: only names without one are given and taken like this.")
    gone = connection.execute(redirects.delete().where(redirects.c.type == type, redirects.c.key == alias.lower()))
    if gone.rowcount:
        audit.record(connection, caller, "repository.alias-removed", type=type, alias=alias)
    return bool(gone.rowcount)


def check_administrator(caller: Caller) -> None:
    """Raises Forbidden for everybody but administrators of the hub, with a token that may write everything."""
    account = caller.account
    if account is None or not account.administrator or not caller.may_manage:
        raise Forbidden("Only administrators of this hub give names without an owner.")
