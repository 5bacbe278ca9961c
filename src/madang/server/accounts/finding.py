"""Accounts by their names, in any case."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account
from madang.server.accounts.errors import AccountNotFound
from madang.server.accounts.records import accounts

ACCOUNT = tuple(accounts.c[name] for name in Account.__dataclass_fields__)


def from_row(row: Sequence[Any]) -> Account:
    """An account of a row that begins with ACCOUNT."""
    return Account(*row[: len(ACCOUNT)])


def find_account(connection: Connection, name: str) -> Account | None:
    """The user or organisation called `name`."""
    if not name.isprintable():  # no name is, and databases refuse to look for some signs
        return None
    row = connection.execute(sa.select(*ACCOUNT).where(accounts.c.key == name.lower())).first()
    return None if row is None else from_row(row)


def user_named(connection: Connection, name: str) -> Account:
    """The user called `name`. Raises AccountNotFound."""
    return _named(connection, name, "user", "user")


def organisation_named(connection: Connection, name: str) -> Account:
    """The organisation called `name`. Raises AccountNotFound."""
    return _named(connection, name, "org", "organisation")


def account_of(connection: Connection, identity: int) -> Account:
    """The account with this number."""
    return from_row(connection.execute(sa.select(*ACCOUNT).where(accounts.c.id == identity)).one())


def _named(connection: Connection, name: str, kind: str, said: str) -> Account:
    found = find_account(connection, name)
    if found is None or found.kind != kind:
        raise AccountNotFound(f"There is no {said} {name[:100]!r} on this hub.")
    return found
