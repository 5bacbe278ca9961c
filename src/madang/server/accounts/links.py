"""Addresses that work once: to sign in without a password, and to make an account by invitation."""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit, organisations, users
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import AccountNotFound, LinkOver
from madang.server.accounts.finding import account_of
from madang.server.accounts.passwords import PasswordHash
from madang.server.accounts.records import links
from madang.server.clock import DAY, now
from madang.server.errors import InvalidRequest
from madang.server.security import new_token, token_hash

SIGN_IN, JOIN = "sign-in", "join"
LONGEST_DAYS = 90


@dataclass(frozen=True)
class Link:
    """A link that still works."""

    id: int
    purpose: str
    account_id: int | None
    administrator: bool
    organisation_id: int | None
    role: str | None
    expires_at: int


def sign_in_link(connection: Connection, caller: Caller, account: Account, *, days: int = 1) -> str:
    """The secret of a link that signs in to an account. Raises AccountNotFound for one that can't come in."""
    if account.kind != "user" or account.disabled:
        raise AccountNotFound(f"Nobody can sign in as {account.name}: it is an organisation, or disabled.")
    secret = _make(connection, SIGN_IN, days, account_id=account.id)
    audit.record(connection, caller, "user.link", name=account.name, days=days)
    return secret


def invitation(
    connection: Connection,
    caller: Caller,
    *,
    days: int = 7,
    organisation: Account | None = None,
    role: str = "read",
) -> str:
    """The secret of a link by which somebody makes an account, and becomes a member of the organisation."""
    if role not in organisations.ROLES:
        raise InvalidRequest(f"{role[:50]!r} is no role: it must be one of {', '.join(organisations.ROLES)}.")
    named = {} if organisation is None else {"organisation": organisation.name, "role": role}
    values = {} if organisation is None else {"organisation_id": organisation.id, "role": role}
    secret = _make(connection, JOIN, days, **values)
    audit.record(connection, caller, "user.invite", days=days, **named)
    return secret


def first_link(connection: Connection, caller: Caller) -> str:
    """The secret of the link by which the first administrator of a hub comes in. Earlier ones end."""
    connection.execute(links.delete().where(links.c.administrator.is_(True)))
    secret = _make(connection, JOIN, 1, administrator=True)
    audit.record(connection, caller, "user.invite", days=1, administrator=True)
    return secret


def look(connection: Connection, secret: str, purpose: str) -> Link:
    """The link with this secret, which stays as it is. Raises LinkOver."""
    columns = [links.c[name] for name in Link.__dataclass_fields__]
    row = connection.execute(sa.select(*columns).where(_valid(secret, purpose))).first()
    if row is None:
        raise LinkOver("This link was used already, is too old, or was not copied whole. Ask for another one.")
    return Link(*row)


def sign_in_by(connection: Connection, secret: str) -> Account:
    """Use a link: the account it signs in to. Raises LinkOver."""
    link = _use(connection, secret, SIGN_IN)
    assert link.account_id is not None
    return account_of(connection, link.account_id)


def join_by(
    connection: Connection,
    secret: str,
    name: str,
    password: PasswordHash,
    *,
    email: str | None = None,
    address: str = "",
) -> Account:
    """Use an invitation: the account it makes. Raises LinkOver, and AccountExists, after which it can be used again."""
    link = _use(connection, secret, JOIN)
    if link.administrator and users.has_administrator(connection):
        raise LinkOver("This hub has an administrator already. Ask them to let you in.")
    caller = Caller(address=address)
    made = users.create_user(connection, caller, name, email=email, password=password, administrator=link.administrator)
    if link.organisation_id is not None and link.role is not None:
        organisation = account_of(connection, link.organisation_id)
        organisations.set_role(connection, caller, organisation, made, link.role)
    return made


def _make(connection: Connection, purpose: str, days: int, **values: object) -> str:
    if not 1 <= days <= LONGEST_DAYS:
        raise InvalidRequest(f"A link lasts between 1 and {LONGEST_DAYS} days; {days} was asked for.")
    secret, moment = new_token(""), now()
    connection.execute(links.delete().where(links.c.expires_at < moment - 30 * DAY))
    row = {"purpose": purpose, "hash": token_hash(secret), "created_at": moment, "expires_at": moment + days * DAY}
    connection.execute(links.insert().values(**row, **values))
    return secret


def _use(connection: Connection, secret: str, purpose: str) -> Link:
    link = look(connection, secret, purpose)
    # two at the same moment: only one changes the row
    used = links.update().where(_valid(secret, purpose)).values(used_at=now())
    if connection.execute(used).rowcount != 1:
        raise LinkOver("This link was used already. Ask for another one.")
    return link


def _valid(secret: str, purpose: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        links.c.hash == token_hash(secret),
        links.c.purpose == purpose,
        links.c.used_at.is_(None),
        links.c.expires_at > now(),
    )
