"""Sessions of browsers: a random secret in a cookie, of which the hub keeps the hash.

One ends two weeks after it was last used, two months after it began, when it is signed out, when the password
changes, and when the account is disabled.
"""

from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import AccountNotFound
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts, sessions
from madang.server.clock import DAY, MINUTE, now
from madang.server.database import insert
from madang.server.security import new_token, token_hash

IDLE = 14 * DAY
LONGEST = 60 * DAY
SEEN_NOTED_EVERY = 1 * MINUTE
PREFIX = "session_"


@dataclass(frozen=True)
class Session:
    """A session as its owner sees it in a list."""

    id: int
    agent: str
    address: str
    created_at: int
    seen_at: int


def begin_session(connection: Connection, account: Account, *, agent: str = "", address: str = "") -> str:
    """Sign an account in: the secret for the cookie."""
    secret, moment = new_token(PREFIX), now()
    connection.execute(sessions.delete().where(_over(moment)))
    row = {"agent": "".join(filter(str.isprintable, agent))[:200], "address": address[:64], "created_at": moment}
    identity = insert(
        connection,
        sessions,
        account_id=account.id,
        hash=token_hash(secret),
        seen_at=moment,
        expires_at=moment + LONGEST,
        **row,
    )
    audit.record(connection, Caller(account, None, address, identity), "user.sign_in", name=account.name)
    return secret


def caller_by_session(connection: Connection, secret: str, address: str = "") -> tuple[Caller, bool]:
    """Who holds this secret, and whether it is time to note that they were seen. Nobody when the session is over."""
    moment = now()
    row = connection.execute(
        sa.select(*ACCOUNT, sessions.c.id, sessions.c.seen_at)
        .join_from(sessions, accounts)
        .where(sessions.c.hash == token_hash(secret), ~_over(moment), accounts.c.disabled.is_(False))
    ).first()
    if row is None:
        return Caller(address=address), False
    identity, seen_at = row[len(ACCOUNT) :]
    return Caller(from_row(row), None, address, identity), seen_at < moment - SEEN_NOTED_EVERY


def note_seen(connection: Connection, identity: int) -> None:
    """Write down that a session was used just now."""
    connection.execute(sessions.update().where(sessions.c.id == identity).values(seen_at=now()))


def sessions_of(connection: Connection, account: Account) -> list[Session]:
    """The sessions of an account, the latest first."""
    columns = [sessions.c[name] for name in Session.__dataclass_fields__]
    query = sa.select(*columns).where(sessions.c.account_id == account.id, ~_over(now()))
    return [Session(*row) for row in connection.execute(query.order_by(sessions.c.seen_at.desc()))]


def end_session(connection: Connection, caller: Caller, account: Account, identity: int) -> None:
    """Sign out. Raises AccountNotFound for a session that is not of this account."""
    own = sa.and_(sessions.c.id == identity, sessions.c.account_id == account.id)
    if connection.execute(sessions.delete().where(own)).rowcount != 1:
        raise AccountNotFound("There is no such session: it may have ended already.")
    audit.record(connection, caller, "user.sign_out", name=account.name)


def _over(moment: int) -> sa.ColumnElement[bool]:
    return sa.or_(sessions.c.expires_at < moment, sessions.c.seen_at < moment - IDLE)
