"""Access tokens: made once, shown once, kept as a hash."""

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller, Token
from madang.server.accounts.records import accounts, tokens
from madang.server.clock import now
from madang.server.errors import InvalidToken
from madang.server.security import new_token, token_hash

ACCOUNT = tuple(accounts.c[name] for name in Account.__dataclass_fields__)
TOKEN = tuple(tokens.c[name] for name in Token.__dataclass_fields__)


def create_token(
    connection: Connection,
    account_id: int,
    name: str,
    role: str = "write",
    scopes: Sequence[dict[str, Any]] = (),
    expires_at: int | None = None,
) -> str:
    """A new token of an account: the only time it is seen."""
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


def caller_of(connection: Connection, authorization: str | None, address: str = "") -> Caller:
    """Who sends this `Authorization` header: `Bearer TOKEN`, or `Basic` with the token as the password (git).

    Raises InvalidToken for a token this hub does not know.
    """
    if not authorization:
        return Caller(address=address)
    secret = _secret(authorization)
    row = connection.execute(
        sa.select(*ACCOUNT, *TOKEN, tokens.c.expires_at)
        .join_from(tokens, accounts)
        .where(tokens.c.hash == token_hash(secret))
    ).first()
    if row is None or row.disabled or (row.expires_at is not None and row.expires_at < now()):
        raise InvalidToken
    return Caller(Account(*row[: len(ACCOUNT)]), Token(*row[len(ACCOUNT) : len(ACCOUNT) + len(TOKEN)]), address)


def _secret(authorization: str) -> str:
    kind, _, value = authorization.partition(" ")
    if kind.lower() == "bearer":
        return value.strip()
    if kind.lower() == "basic":
        try:
            user, _, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise InvalidToken from None
        return password or user
    raise InvalidToken
