"""Who talks to the chunk store: an account, for one repository, with a ticket that this hub gave them."""

import secrets
import time
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller, Right, Token
from madang.server.accounts.finding import ACCOUNT, from_row
from madang.server.accounts.records import accounts, tokens
from madang.server.accounts.tokens import TOKEN
from madang.server.clock import now
from madang.server.database import put
from madang.server.errors import Forbidden, NotSignedIn
from madang.server.hub import Hub
from madang.server.large_files.xet.errors import TicketOver
from madang.server.large_files.xet.records import generations
from madang.server.repositories.access import Found, check_content, right_of
from madang.server.repositories.errors import RepositoryNotFound
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import COLUMNS, Repository
from madang.server.repositories.repository import from_row as repository_from_row

PURPOSE = "xet-write"
LASTS_SECONDS = 3600


@dataclass(frozen=True)
class Asking:
    """The account behind a request to the chunk store, and the repository it uploads for."""

    caller: Caller
    account: Account
    repository: Repository


@dataclass(frozen=True)
class Ticket:
    """What a client needs to talk to the chunk store."""

    token: str
    ends: int  # seconds since 1970
    address: str


def give(hub: Hub, caller: Caller, repository: Repository) -> Ticket:
    """A ticket to bring content for a repository the caller may read; whether they may commit it, the commit says."""
    account = caller.account
    if account is None:
        raise NotSignedIn("Sign in to upload: send a token.")
    if caller.token is not None and caller.token.role == "read":
        raise Forbidden(f"Your token {caller.token.name!r} may only read. Use one that may write.")
    identity = None if caller.token is None else caller.token.id
    ends = int(time.time()) + LASTS_SECONDS
    facts = {"repository": repository.id, "account": account.id, "token": identity}
    with hub.database.read() as connection:
        address = cas_address(hub, connection, account.id)
    return Ticket(hub.signer.sign(PURPOSE, LASTS_SECONDS, **facts), ends, address)


def read(hub: Hub, authorization: str | None, account_id: int) -> Asking:
    """Who sends this `Authorization` header to the chunk store of an account.

    Raises TicketOver, Forbidden for another account's chunk store, RepositoryNotFound when the caller may not read the
    repository any more.
    """
    kind, _, ticket = (authorization or "").partition(" ")
    try:
        facts = hub.signer.read(PURPOSE, ticket.strip() if kind.lower() == "bearer" else "")
    except Forbidden:
        raise TicketOver("this upload's access token is over, or not this hub's. Ask for a new one.") from None
    if facts["account"] != account_id:
        raise Forbidden("this access token is another account's. Ask for one at xet-write-token, and use its casUrl.")
    with hub.database.read() as connection:
        caller = _caller(connection, account_id, facts["token"])
        row = connection.execute(sa.select(*COLUMNS).where(repositories.c.id == facts["repository"])).first()
        found = None if row is None else repository_from_row(row)
        right = Right.NONE if found is None else right_of(connection, caller, found)
        if found is None or right < Right.READ:
            raise RepositoryNotFound(signed_in=True)
        check_content(connection, caller, Found(found, right))
    assert caller.account is not None
    return Asking(caller, caller.account, found)


def cas_address(hub: Hub, connection: Connection, account_id: int) -> str:
    """Where an account's clients talk to the chunk store.

    Clients remember by this address what the hub has, for three weeks. So it is another one for each account, for
    another database, and after anything they may remember was forgotten: see `forget_what_clients_know`.
    """
    generation = hub.fact("xet-generation", secrets.token_hex(4))
    number = connection.scalar(sa.select(generations.c.number).where(generations.c.account_id == account_id))
    return f"{hub.settings.address}/xet/{generation}-{number or 0}/{account_id}"


def forget_what_clients_know(connection: Connection, account_id: int) -> None:
    """Give the account's chunk store another address, so that its clients begin with an empty memory of it."""
    put(connection, generations, [{"account_id": account_id, "number": 1}], add=["number"])


def _caller(connection: Connection, account_id: int, token_id: int | None) -> Caller:
    """The account, limited as the token was with which it asked for the ticket. Raises TicketOver."""
    account = connection.execute(sa.select(*ACCOUNT).where(accounts.c.id == account_id)).first()
    if account is None or from_row(account).disabled:
        raise TicketOver("this account is closed.")
    if token_id is None:
        return Caller(from_row(account))
    current = sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > now())
    token = connection.execute(sa.select(*TOKEN).where(tokens.c.id == token_id, current)).first()
    if token is None:
        raise TicketOver("the token with which this upload began is over. Sign in again.")
    return Caller(from_row(account), Token(*token))
