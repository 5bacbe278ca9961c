"""Access tokens: made once, shown once, kept as a hash."""

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller, Token
from madang.server.accounts.errors import AccountNotFound, InvalidTokenName
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts, tokens
from madang.server.accounts.scopes import checked_scopes
from madang.server.clock import DAY, MINUTE, now
from madang.server.errors import InvalidRequest, InvalidToken
from madang.server.security import new_token, token_hash

TOKEN = tuple(tokens.c[name] for name in Token.__dataclass_fields__)
ROLES = ("read", "write", "fineGrained")
# when a token was last used is written down so often at most
USE_NOTED_EVERY = 1 * MINUTE
# tokens of a login by browser: how long one works, and how long after that a new one can still be had
LOGIN_LASTS = 90 * DAY
REFRESH_LASTS = 90 * DAY
# other processes that read the old token before it was made anew may finish with it
OVERLAP = 1 * DAY
REFRESH_PREFIX = "hf_refresh_"


@dataclass(frozen=True)
class TokenInfo:
    """A token as its owner sees it in a list."""

    id: int
    owner: str
    name: str
    role: str
    scopes: list[dict[str, Any]]
    created_at: int
    used_at: int | None
    expires_at: int | None


@dataclass(frozen=True)
class Login:
    """What a command line gets after its login was approved, and again whenever it asks for a new token."""

    access: str
    refresh: str
    seconds: int


def create_token(
    connection: Connection,
    account_id: int,
    name: str,
    role: str = "write",
    scopes: Sequence[dict[str, Any]] = (),
    expires_at: int | None = None,
) -> str:
    """A new token of an account: the only time it is seen. `give_token` is for what people ask for."""
    secret = new_token()
    connection.execute(
        tokens.insert().values(
            account_id=account_id,
            name=name,
            hash=token_hash(secret),
            role=role,
            scopes=list(scopes),
            created_at=now(),
            expires_at=expires_at,
        )
    )
    return secret


def give_token(
    connection: Connection,
    caller: Caller,
    account: Account,
    name: str,
    role: str,
    scopes: Sequence[dict[str, Any]] = (),
    *,
    days: int | None = None,
) -> str:
    """A new token that somebody asked for: everything is checked, and the log says so. Raises InvalidRequest."""
    if account.kind != "user":
        raise InvalidRequest(f"{account.name} is an organisation: only users have tokens.")
    if role not in ROLES:
        raise InvalidRequest(f"{role[:50]!r} is no role of a token: it must be one of {', '.join(ROLES)}.")
    if role != "fineGrained" and scopes:
        raise InvalidRequest(f"Only fine-grained tokens have scopes; this one has the role {role}.")
    if days is not None and not 1 <= days <= 3650:
        raise InvalidRequest(f"A token lasts between 1 and 3650 days, or without end; {days} was asked for.")
    name = checked_token_name(name)
    kept = checked_scopes(connection, account, list(scopes)) if role == "fineGrained" else []
    secret = create_token(connection, account.id, name, role, kept, None if days is None else now() + days * DAY)
    audit.record(connection, caller, "token.create", user=account.name, token=name, role=role, scopes=kept)
    return secret


def checked_token_name(name: str) -> str:
    """The name of a token, which clients write as a heading into a file of theirs. Raises InvalidTokenName."""
    name = " ".join(name.split())
    if not 0 < len(name) <= 96 or not name.isprintable() or set(name) & set("[]") or name.lower() == "default":
        raise InvalidTokenName(
            f"{name[:100]!r} cannot be the name of a token: 1 to 96 printable characters, no brackets, not 'default'."
        )
    return name


def tokens_of(connection: Connection, account: Account | None = None) -> list[TokenInfo]:
    """The tokens of an account, or of all: newest first."""
    columns = [accounts.c.name if name == "owner" else tokens.c[name] for name in TokenInfo.__dataclass_fields__]
    query = sa.select(*columns).join_from(tokens, accounts).order_by(tokens.c.id.desc())
    if account is not None:
        query = query.where(tokens.c.account_id == account.id)
    return [TokenInfo(*row) for row in connection.execute(query)]


def revoke_token(connection: Connection, caller: Caller, identity: int, account: Account | None = None) -> TokenInfo:
    """End a token; with `account` only one of that account's. Raises AccountNotFound when there is none."""
    found = next((token for token in tokens_of(connection, account) if token.id == identity), None)
    if found is None:
        raise AccountNotFound(f"There is no token {identity}: it may have been revoked already.")
    connection.execute(tokens.delete().where(tokens.c.id == identity))
    audit.record(connection, caller, "token.revoke", user=found.owner, token=found.name)
    return found


def caller_of(connection: Connection, authorization: str | None, address: str = "") -> Caller:
    """Who sends this `Authorization` header: `Bearer TOKEN`, or `Basic` with the token as the password (git).

    Raises InvalidToken for a token this hub does not know.
    """
    if not authorization:
        return Caller(address=address)
    hashed, moment = token_hash(_secret(authorization)), now()
    current = sa.and_(tokens.c.hash == hashed, sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > moment))
    previous = sa.and_(tokens.c.previous_hash == hashed, tokens.c.previous_until > moment)
    row = connection.execute(
        sa.select(*ACCOUNT, *TOKEN).join_from(tokens, accounts).where(sa.or_(current, previous))
    ).first()
    if row is None or from_row(row).disabled:
        raise InvalidToken
    return Caller(from_row(row), Token(*row[len(ACCOUNT) :]), address)


def note_use(connection: Connection, identity: int) -> None:
    """Write down that a token was used just now."""
    connection.execute(tokens.update().where(tokens.c.id == identity).values(used_at=now()))


def give_login(connection: Connection, caller: Caller, account: Account, name: str, role: str) -> Login:
    """The token of a login by browser, with what renews it."""
    secret, refresh = new_token(), new_token(REFRESH_PREFIX)
    moment = now()
    connection.execute(
        tokens.insert().values(
            account_id=account.id,
            name=checked_token_name(name),
            hash=token_hash(secret),
            role=role,
            scopes=[],
            created_at=moment,
            expires_at=moment + LOGIN_LASTS,
            refresh_hash=token_hash(refresh),
        )
    )
    audit.record(connection, caller, "token.create", user=account.name, token=name, role=role, by="device login")
    return Login(secret, refresh, LOGIN_LASTS // 1000)


def renew_login(connection: Connection, refresh: str) -> Login | None:
    """A new token for a login by browser, in the place of its old one; None when that login is over."""
    moment = now()
    row = connection.execute(
        sa.select(tokens.c.id, tokens.c.hash, tokens.c.expires_at)
        .join_from(tokens, accounts)
        .where(
            tokens.c.refresh_hash == token_hash(refresh),
            tokens.c.expires_at > moment - REFRESH_LASTS,
            accounts.c.disabled.is_(False),
        )
    ).first()
    if row is None:
        return None
    secret = new_token()
    connection.execute(
        tokens.update()
        .where(tokens.c.id == row.id)
        .values(
            hash=token_hash(secret),
            expires_at=moment + LOGIN_LASTS,
            previous_hash=row.hash,
            previous_until=min(row.expires_at, moment + OVERLAP),
        )
    )
    return Login(secret, refresh, LOGIN_LASTS // 1000)


def _secret(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except ValueError:  # no base64, or no text in it
            raise InvalidToken from None
        return password or user
    raise InvalidToken
