"""Who writes commits: how accounts sign them, and the accounts of this hub that the addresses in them belong to."""

import re
from collections.abc import Iterable

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account
from madang.server.accounts.records import accounts
from madang.server.clock import now
from madang.server.database import batches
from madang.server.git.objects import Commit, Signature

# the addresses the hub signs with: they tell that the name before it is an account of a hub
DOMAIN = "users.noreply.madang"
_OWN_ADDRESS = re.compile(rf"(.+)@{re.escape(DOMAIN)}", re.IGNORECASE)
_CO_AUTHOR = re.compile(r"^co-authored-by: (.+?) <([^<>\n]+)>\s*$", re.IGNORECASE | re.MULTILINE)
MOST_AUTHORS = 20


def signature(account: Account) -> Signature:
    """How an account signs commits."""
    return Signature(account.name, f"{account.name}@{DOMAIN}", now() // 1000)


def authors_of(connection: Connection, commits: Iterable[Commit]) -> list[list[str]]:
    """The authors of each commit: names of accounts where they are known by the address, else the names written."""
    written = [_written(commit) for commit in commits]
    names = _accounts(connection, {address.lower() for people in written for _, address in people})
    return [list(dict.fromkeys(names.get(address.lower(), name) for name, address in people)) for people in written]


def _written(commit: Commit) -> list[tuple[str, str]]:
    """Names and addresses: the author's, then those of the co-authors that the message names."""
    return [(commit.author.name, commit.author.email), *_CO_AUTHOR.findall(commit.description)][:MOST_AUTHORS]


def _accounts(connection: Connection, addresses: set[str]) -> dict[str, str]:
    """Address -> name of the account it belongs to."""
    own = {found[1]: address for address in addresses if (found := _OWN_ADDRESS.fullmatch(address))}
    known: dict[str, str] = {}
    for some in batches(sorted(own)):
        query = sa.select(accounts.c.key, accounts.c.name).where(accounts.c.key.in_(some))
        known |= {own[key]: name for key, name in connection.execute(query)}
    email = sa.func.lower(accounts.c.email).label("address")
    for some in batches(sorted(addresses - set(own.values()))):
        query = sa.select(email, accounts.c.name).where(email.in_(some), accounts.c.disabled.is_(False))
        known |= {row.address: row.name for row in connection.execute(query)}
    return known
