"""Organisations: accounts that several users act for, each in a role.

Roles: `read` sees what is private, `contributor` also makes repositories and owns what they made, `write` changes all,
`admin` decides about repositories and members. An organisation always has an administrator.
"""

from typing import NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import AccountNotFound, LastAdministrator
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts, members
from madang.server.accounts.users import checked_fullname, delete_account, insert_account
from madang.server.errors import Forbidden, InvalidRequest

ROLES = ("read", "contributor", "write", "admin")


class Member(NamedTuple):
    """Somebody in an organisation."""

    account: Account
    role: str


def create_organisation(
    connection: Connection, caller: Caller, name: str, first: Account, *, fullname: str = ""
) -> Account:
    """A new organisation; `first` administers it. Raises AccountExists."""
    made = insert_account(connection, caller, "org", name, fullname=fullname)
    set_role(connection, caller, made, first, "admin")
    return made


def set_role(connection: Connection, caller: Caller, organisation: Account, user: Account, role: str) -> None:
    """Take somebody in, or give a member another role. Raises LastAdministrator."""
    _lock(connection, organisation)
    if role not in ROLES:
        raise InvalidRequest(f"{role[:50]!r} is no role in an organisation: it must be one of {', '.join(ROLES)}.")
    if user.kind != "user":
        raise InvalidRequest(f"{user.name} is an organisation: only users can be members.")
    before = role_of(connection, organisation, user)
    if before == role:
        return
    if before == "admin":
        _check_not_last(connection, organisation, user)
    _forget(connection, organisation, user)
    connection.execute(members.insert().values(organisation_id=organisation.id, account_id=user.id, role=role))
    audit.record(connection, caller, "org.member", organisation=organisation.name, user=user.name, role=role)


def remove_member(connection: Connection, caller: Caller, organisation: Account, user: Account) -> None:
    """Let somebody go. Raises LastAdministrator, and AccountNotFound for who is no member."""
    _lock(connection, organisation)
    role = role_of(connection, organisation, user)
    if role is None:
        raise AccountNotFound(f"{user.name} is no member of {organisation.name}.")
    if role == "admin":
        _check_not_last(connection, organisation, user)
    _forget(connection, organisation, user)
    audit.record(connection, caller, "org.member_removed", organisation=organisation.name, user=user.name)


def change_organisation(
    connection: Connection,
    caller: Caller,
    organisation: Account,
    *,
    fullname: str | None = None,
    private_by_default: bool | None = None,
) -> None:
    """Another full name, or what visibility new repositories get."""
    values: dict[str, str | bool] = {}
    if fullname is not None:
        values["fullname"] = checked_fullname(fullname)
    if private_by_default is not None:
        values["private_by_default"] = private_by_default
    if values:
        connection.execute(accounts.update().where(accounts.c.id == organisation.id).values(**values))
        audit.record(connection, caller, "org.settings", organisation=organisation.name, **values)


def delete_organisation(connection: Connection, caller: Caller, organisation: Account) -> None:
    """Remove an organisation. Raises AccountInUse for an owner of repositories."""
    delete_account(connection, caller, organisation)


def check_administers(connection: Connection, caller: Caller, organisation: Account) -> None:
    """Raises Forbidden unless the caller may decide about this organisation."""
    account = caller.account
    decides = account is not None and (account.administrator or role_of(connection, organisation, account) == "admin")
    if not decides or not caller.may_manage:
        raise Forbidden(f"Only administrators of {organisation.name} may do this, signed in or with a write token.")


def role_of(connection: Connection, organisation: Account, user: Account) -> str | None:
    """The role of a member; None for who is none."""
    return connection.scalar(
        sa.select(members.c.role).where(members.c.organisation_id == organisation.id, members.c.account_id == user.id)
    )


def members_of(
    connection: Connection, organisation: Account, *, after: str = "", limit: int | None = None
) -> list[Member]:
    """The members by name; `after` is the name of the last one already seen."""
    query = (
        sa.select(*ACCOUNT, members.c.role)
        .join(members, members.c.account_id == accounts.c.id)
        .where(members.c.organisation_id == organisation.id, accounts.c.key > after.lower())
        .order_by(accounts.c.key)
        .limit(limit)
    )
    return [Member(from_row(row), row.role) for row in connection.execute(query)]


def organisations_of(connection: Connection, user: Account) -> list[Member]:
    """The organisations of a user by name, each with their role in it."""
    query = (
        sa.select(*ACCOUNT, members.c.role)
        .join(members, members.c.organisation_id == accounts.c.id)
        .where(members.c.account_id == user.id)
        .order_by(accounts.c.key)
    )
    return [Member(from_row(row), row.role) for row in connection.execute(query)]


def all_organisations(connection: Connection) -> list[Account]:
    """Every organisation, by name."""
    query = sa.select(*ACCOUNT).where(accounts.c.kind == "org").order_by(accounts.c.key)
    return [from_row(row) for row in connection.execute(query)]


def _lock(connection: Connection, organisation: Account) -> None:
    """One change of members at a time: of two administrators who let each other go, one stays."""
    row = sa.select(accounts.c.id).where(accounts.c.id == organisation.id)
    connection.execute(row.with_for_update(key_share=True))


def _forget(connection: Connection, organisation: Account, user: Account) -> None:
    connection.execute(
        members.delete().where(members.c.organisation_id == organisation.id, members.c.account_id == user.id)
    )


def _check_not_last(connection: Connection, organisation: Account, user: Account) -> None:
    others = sa.select(sa.func.count()).where(
        members.c.organisation_id == organisation.id, members.c.role == "admin", members.c.account_id != user.id
    )
    if not connection.scalar(others):
        raise LastAdministrator(
            f"{user.name} is the only administrator of {organisation.name}: make somebody else one first."
        )
