"""Finding a repository, and what somebody may do with it."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller, Right
from madang.server.accounts.records import members
from madang.server.errors import Forbidden, NotSignedIn
from madang.server.repositories.errors import GatedRepository, RepositoryDisabled, RepositoryNotFound
from madang.server.repositories.records import access_requests, redirects, repositories
from madang.server.repositories.repository import COLUMNS, Repository, from_row


@dataclass(frozen=True)
class Found:
    """A repository, what the caller may do with it, and whether it was asked for by the name it has."""

    repository: Repository
    right: Right
    moved: bool = False


def find(connection: Connection, caller: Caller, type: str, name: str, need: Right = Right.READ) -> Found:
    """The repository called `name`, in any case, or by a name it had before.

    Raises RepositoryNotFound when there is none or the caller may not see it, and Forbidden (NotSignedIn for nobody)
    when they may see it and not do what is needed.
    """
    key = name.lower()
    row = connection.execute(sa.select(*COLUMNS).where(repositories.c.type == type, repositories.c.key == key)).first()
    moved = row is None
    if row is None:
        target = sa.select(redirects.c.repository_id).where(redirects.c.type == type, redirects.c.key == key)
        row = connection.execute(sa.select(*COLUMNS).where(repositories.c.id.in_(target))).first()
    repository = from_row(row) if row is not None else None
    right = right_of(connection, caller, repository) if repository is not None else Right.NONE
    if repository is None or right < Right.READ:
        raise RepositoryNotFound(signed_in=caller.signed_in)
    if right < need:
        if not caller.signed_in:
            raise NotSignedIn(f"Sign in to change {repository.name}: send a token.")
        raise Forbidden(refusal(caller, repository, need))
    return Found(repository, right, moved)


def refusal(caller: Caller, repository: Repository, need: Right) -> str:
    """Why somebody who sees a repository may not write to it."""
    if caller.token is not None and caller.token.limit(repository.type, repository.name) < need:
        return f"Your token {caller.token.name!r} may only read {repository.name}. Use one that may write."
    what = "change" if need == Right.WRITE else "administer"
    return f"You don't have the rights to {what} {repository.name}. Ask its owner, or propose a pull request."


def right_of(connection: Connection, caller: Caller, repository: Repository) -> Right:
    """What the caller may do with a repository, by who they are and by what their token allows."""
    account, token = caller.account, caller.token
    right = Right.NONE if repository.private else Right.READ
    if account is not None:
        if account.administrator or repository.owner_id == account.id:
            right = Right.ADMIN
        else:
            right = max(right, _by_membership(connection, account.id, repository))
    return right if token is None else min(right, token.limit(repository.type, repository.name))


def _by_membership(connection: Connection, account_id: int, repository: Repository) -> Right:
    role = connection.scalar(
        sa.select(members.c.role).where(
            members.c.organisation_id == repository.owner_id, members.c.account_id == account_id
        )
    )
    if role == "admin" or (role in ("contributor", "write") and repository.creator_id == account_id):
        return Right.ADMIN
    if role == "write":
        return Right.WRITE
    return Right.READ if role in ("read", "contributor") else Right.NONE


def check_content(connection: Connection, caller: Caller, found: Found) -> None:
    """Raises when the caller may see that there is this repository, and not what is in it."""
    repository = found.repository
    if repository.disabled:
        raise RepositoryDisabled
    if not repository.gated or found.right >= Right.WRITE:
        return
    account = caller.account
    if account is not None:
        status = connection.scalar(
            sa.select(access_requests.c.status).where(
                access_requests.c.repository_id == repository.id, access_requests.c.account_id == account.id
            )
        )
        if status == "accepted":
            return
    raise GatedRepository(repository.type, repository.name, signed_in=caller.signed_in)


def visible_to(caller: Caller) -> sa.ColumnElement[bool]:
    """The condition on `repositories` that keeps what the caller may know of: for lists."""
    account, token = caller.account, caller.token
    everything = sa.true()
    condition: sa.ColumnElement[bool] = repositories.c.private.is_(False)
    if account is not None:
        if account.administrator:
            condition = everything
        else:
            organisations = sa.select(members.c.organisation_id).where(members.c.account_id == account.id)
            condition = sa.or_(
                condition, repositories.c.owner_id == account.id, repositories.c.owner_id.in_(organisations)
            )
    if token is None or token.role != "fineGrained":
        return condition
    named = []
    for scope in token.scopes:
        entity = scope.get("entity", {})
        name = str(entity.get("name", "")).lower()
        if entity.get("type") in ("user", "org"):
            named.append(repositories.c.key.startswith(name + "/", autoescape=True))
        else:
            named.append(sa.and_(repositories.c.type == str(entity.get("type")), repositories.c.key == name))
    return sa.and_(condition, sa.or_(sa.false(), *named))
