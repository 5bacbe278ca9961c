"""Signing in with name and password."""

import sqlalchemy as sa

from madang.server.accounts import audit, passwords
from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import SignInRefused
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts
from madang.server.database import Database
from madang.server.rate_limits import SignInAttempts


def sign_in(database: Database, attempts: SignInAttempts, name: str, password: str, address: str) -> Account:
    """The account, if this is its password. Raises SignInRefused, which is the same whatever was wrong."""
    attempts.count(name, address)
    key = name.lower()[:96] if name.isprintable() else ""
    query = sa.select(*ACCOUNT, accounts.c.password).where(accounts.c.key == key)
    with database.read() as connection:
        row = connection.execute(query).first()
    # no transaction is open while the password is looked at: that takes its time
    right = passwords.fits(password, row.password if row is not None else None)
    if row is None or not right or from_row(row).disabled:
        with database.write() as connection:
            audit.record(connection, Caller(address=address), "user.sign_in_refused", name=name[:96])
        raise SignInRefused("The name or the password is wrong.")
    attempts.succeeded(name)
    return from_row(row)
