"""Users: make, change, disable, delete."""

import re
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import AccountExists, AccountInUse, InvalidEmail, LastAdministrator
from madang.server.accounts.finding import ACCOUNT, account_of, find_account, from_row
from madang.server.accounts.passwords import PasswordHash
from madang.server.accounts.records import accounts, links, members, sessions, tokens
from madang.server.clock import now
from madang.server.database import insert
from madang.server.errors import InvalidRequest
from madang.server.repositories.names import check_name
from madang.server.repositories.records import repositories

_EMAIL = re.compile(r"[^@\s]{1,64}@[^@\s]{1,255}")
_SHOWN = 5


def create_user(
    connection: Connection,
    caller: Caller,
    name: str,
    *,
    fullname: str = "",
    email: str | None = None,
    password: PasswordHash | None = None,
    administrator: bool = False,
) -> Account:
    """A new user; without a password they come in by one-time link or token only. Raises AccountExists."""
    values = {"email": checked_email(email), "password": password, "administrator": administrator}
    return insert_account(connection, caller, "user", name, fullname=fullname, **values)


def insert_account(
    connection: Connection, caller: Caller, kind: str, name: str, *, fullname: str = "", **values: Any
) -> Account:
    """The row of a new user or organisation: they share one space of names."""
    check_name(name)
    if find_account(connection, name) is not None:
        raise AccountExists(f"The name {name!r} is taken: choose another one.")
    row = {"kind": kind, "name": name, "key": name.lower(), "fullname": checked_fullname(fullname), "created_at": now()}
    try:
        with connection.begin_nested():
            made = account_of(connection, insert(connection, accounts, **row, **values))
    except IntegrityError:  # somebody took it since
        raise AccountExists(f"The name {name!r} is taken: choose another one.") from None
    audit.record(connection, caller, f"{kind}.create", name=made.name, administrator=made.administrator)
    return made


def checked_fullname(text: str) -> str:
    """A name for people to read. Raises InvalidRequest."""
    text = " ".join(text.split())
    if len(text) > 200 or not text.isprintable():
        raise InvalidRequest("A full name is one line of at most 200 characters.")
    return text


def checked_email(text: str | None) -> str | None:
    """An e-mail address, or None. Raises InvalidEmail."""
    if not text:
        return None
    if not _EMAIL.fullmatch(text) or not text.isprintable():
        raise InvalidEmail(f"{text[:100]!r} is no e-mail address: one looks like alice@example.org.")
    return text


def all_users(connection: Connection) -> list[Account]:
    """Every user, by name."""
    query = sa.select(*ACCOUNT).where(accounts.c.kind == "user").order_by(accounts.c.key)
    return [from_row(row) for row in connection.execute(query)]


def has_administrator(connection: Connection) -> bool:
    """Whether anybody can administer this hub."""
    return _administrators(connection) > 0


def has_password(connection: Connection, account: Account) -> bool:
    """Whether somebody can sign in with name and password."""
    return connection.scalar(sa.select(accounts.c.password).where(accounts.c.id == account.id)) is not None


def set_password(
    connection: Connection, caller: Caller, account: Account, password: PasswordHash, *, keep_session: int | None = None
) -> None:
    """A new password ends all sessions of the account, but the one it was changed in, and its one-time links."""
    _update(connection, account, password=password)
    ended = sessions.delete().where(sessions.c.account_id == account.id)
    connection.execute(ended if keep_session is None else ended.where(sessions.c.id != keep_session))
    connection.execute(links.delete().where(links.c.account_id == account.id))
    audit.record(connection, caller, "user.password", name=account.name)


def disable(connection: Connection, caller: Caller, account: Account) -> None:
    """They can't come in any more, by any way; what is theirs stays. Raises LastAdministrator."""
    _check_not_last(connection, account)
    _update(connection, account, disabled=True)
    connection.execute(sessions.delete().where(sessions.c.account_id == account.id))
    connection.execute(links.delete().where(links.c.account_id == account.id))
    audit.record(connection, caller, "user.disable", name=account.name)


def enable(connection: Connection, caller: Caller, account: Account) -> None:
    """Undo `disable`: password and tokens work again."""
    _update(connection, account, disabled=False)
    audit.record(connection, caller, "user.enable", name=account.name)


def set_administrator(connection: Connection, caller: Caller, account: Account, *, administrator: bool) -> None:
    """Let somebody decide about the whole hub, or no longer. Raises LastAdministrator."""
    if not administrator:
        _check_not_last(connection, account)
    _update(connection, account, administrator=administrator)
    audit.record(connection, caller, "user.administrator", name=account.name, administrator=administrator)


def delete_user(connection: Connection, caller: Caller, account: Account) -> None:
    """Remove a user with their tokens and sessions. Raises AccountInUse for an owner of repositories."""
    _check_not_last(connection, account)
    alone = _administers_alone(connection, account)
    if alone:
        raise AccountInUse(
            f"{account.name} is the only administrator of {', '.join(alone)}: make somebody else one first."
        )
    delete_account(connection, caller, account)


def delete_account(connection: Connection, caller: Caller, account: Account) -> None:
    """Remove the row of a user or organisation and what belongs to it alone. Raises AccountInUse."""
    owned = repositories.c.owner_id == account.id
    count = connection.scalar(sa.select(sa.func.count()).where(owned)) or 0
    if count:
        query = sa.select(repositories.c.type, repositories.c.name).where(owned).order_by(repositories.c.id)
        shown = [f"{row.type} {row.name}" for row in connection.execute(query.limit(_SHOWN))]
        rest = f" and {count - _SHOWN} more" if count > _SHOWN else ""
        raise AccountInUse(
            f"{account.name} has repositories: {', '.join(shown)}{rest}. Delete them or move them to somebody first."
        )
    try:
        with connection.begin_nested():
            # spelled out although the database would follow: what lets somebody in must be gone in any case
            for table in (tokens, sessions, links):
                connection.execute(table.delete().where(table.c.account_id == account.id))
            connection.execute(accounts.delete().where(accounts.c.id == account.id))
    except IntegrityError:
        raise AccountInUse(
            f"{account.name} has taken part in what others keep on this hub. Disable the account instead."
        ) from None
    audit.record(connection, caller, f"{account.kind}.delete", name=account.name)


def _update(connection: Connection, account: Account, **values: Any) -> None:
    connection.execute(accounts.update().where(accounts.c.id == account.id).values(**values))


def _administrators(connection: Connection) -> int:
    count = sa.select(sa.func.count()).where(accounts.c.administrator.is_(True), accounts.c.disabled.is_(False))
    return connection.scalar(count) or 0


def _check_not_last(connection: Connection, account: Account) -> None:
    # of two who let each other go at the same moment, the second waits here, and sees that the first has gone
    lock = sa.select(accounts.c.id).where(accounts.c.administrator.is_(True)).order_by(accounts.c.id)
    connection.execute(lock.with_for_update(key_share=True)).all()
    if account.administrator and not account.disabled and _administrators(connection) < 2:
        raise LastAdministrator(
            f"{account.name} is the only administrator of this hub: make somebody else one first, with"
            " `madang hub user admin NAME`."
        )


def _administers_alone(connection: Connection, account: Account) -> list[str]:
    others = members.alias()
    somebody_else = sa.exists().where(
        others.c.organisation_id == members.c.organisation_id,
        others.c.role == "admin",
        others.c.account_id != account.id,
    )
    query = (
        sa.select(accounts.c.name)
        .join(members, members.c.organisation_id == accounts.c.id)
        .where(members.c.account_id == account.id, members.c.role == "admin", ~somebody_else)
        .order_by(accounts.c.key)
    )
    return list(connection.scalars(query))
