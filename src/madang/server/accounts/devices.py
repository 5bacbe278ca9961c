"""Logins of command lines, approved in a browser (the device flow of OAuth, RFC 8628).

The command line gets two codes. It keeps the long one and shows the short one, which a person who is signed in
compares and approves; asking with the long one then gives the token, once.
"""

import secrets
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import LinkOver
from madang.server.accounts.finding import account_of
from madang.server.accounts.records import device_logins
from madang.server.accounts.tokens import Login, give_login
from madang.server.clock import MINUTE, iso, now
from madang.server.errors import Refusal, TooManyRequests
from madang.server.security import new_token, token_hash

# the client that public command lines say they are
PUBLIC_CLIENT = "26be6b09-91c5-47da-9861-d2d2bb7a7e36"
LASTS = 15 * MINUTE
# seconds between two questions of a command line
INTERVAL = 2
WAITING_AT_ONCE = 10_000
# no vowels, so that no words come out, and nothing that looks like something else
_SIGNS = "BCDFGHJKLMNPQRSTVWXZ"


class NotYet(Refusal):
    """No token for a command line; `reason` is the word of OAuth for why."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Codes:
    """What a command line is told at the beginning."""

    device: str
    user: str


@dataclass(frozen=True)
class Waiting:
    """A login that waits for a person."""

    id: int
    user_code: str
    address: str
    agent: str
    created_at: int


def begin(connection: Connection, *, address: str, agent: str) -> Codes:
    """A command line wants to log in."""
    moment = now()
    connection.execute(device_logins.delete().where(device_logins.c.expires_at < moment))
    if (connection.scalar(sa.select(sa.func.count(device_logins.c.id))) or 0) >= WAITING_AT_ONCE:
        raise TooManyRequests("Too many logins wait to be approved.", headers={"Retry-After": "60"})
    codes = Codes(new_token(""), _user_code())
    connection.execute(
        device_logins.insert().values(
            hash=token_hash(codes.device),
            user_code=codes.user,
            address=address[:64],
            agent="".join(filter(str.isprintable, agent))[:200],
            created_at=moment,
            expires_at=moment + LASTS,
        )
    )
    return codes


def waiting(connection: Connection, user_code: str) -> Waiting:
    """The login that shows this code, however it was typed. Raises LinkOver."""
    columns = [device_logins.c[name] for name in Waiting.__dataclass_fields__]
    row = connection.execute(sa.select(*columns).where(_pending(_as_shown(user_code)))).first()
    if row is None:
        raise LinkOver("No command line waits with this code. Compare it, or start the login again for a new one.")
    return Waiting(*row)


def decide(connection: Connection, caller: Caller, user_code: str, *, approved: bool, role: str = "write") -> None:
    """A person says yes, with a token of this role, or no. Raises LinkOver."""
    assert caller.account is not None
    code = _as_shown(user_code)
    values = {"status": "approved" if approved else "denied", "account_id": caller.account.id, "role": role}
    if connection.execute(device_logins.update().where(_pending(code)).values(**values)).rowcount != 1:
        raise LinkOver("No command line waits with this code any more. Start the login again.")
    audit.record(connection, caller, "device.approve" if approved else "device.deny", code=code, role=role)


def token_for(connection: Connection, device_code: str) -> Login | NotYet:
    """What a command line that asks is told. (A refusal is returned, not raised: that it asked must be kept.)"""
    own, moment = device_logins.c.hash == token_hash(device_code), now()
    row = connection.execute(sa.select(device_logins).where(own)).first()
    if row is None or row.expires_at < moment:
        return NotYet("expired_token", "This login took too long, or was finished already. Start it again.")
    if row.status == "denied":
        return NotYet("access_denied", "The login was refused.")
    if row.status == "pending":
        connection.execute(device_logins.update().where(own).values(polled_at=moment))
        if moment - row.polled_at < INTERVAL * 500:
            return NotYet("slow_down", f"Ask every {INTERVAL} seconds.")
        return NotYet("authorization_pending", "Nobody has approved this login yet.")
    if connection.execute(device_logins.delete().where(own)).rowcount != 1:
        return NotYet("expired_token", "This login was finished already. Start it again.")
    account: Account = account_of(connection, row.account_id)
    if account.disabled:
        return NotYet("access_denied", "The account is disabled.")
    # the day in the name tells several machines apart in the list of tokens
    name = f"login {iso(moment)[:10]} {row.user_code}"
    return give_login(connection, Caller(account, None, row.address), account, name, row.role)


def _user_code() -> str:
    letters = "".join(secrets.choice(_SIGNS) for _ in range(8))
    return f"{letters[:4]}-{letters[4:]}"


def _as_shown(typed: str) -> str:
    letters = "".join(sign for sign in typed.upper() if sign.isalnum())[:9]
    return f"{letters[:4]}-{letters[4:]}"


def _pending(code: str) -> sa.ColumnElement[bool]:
    return sa.and_(
        device_logins.c.user_code == code, device_logins.c.status == "pending", device_logins.c.expires_at > now()
    )
