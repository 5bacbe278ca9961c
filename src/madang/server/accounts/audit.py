"""The audit log: who did what that matters for permissions. It only grows: the database refuses to change a line.

audit.record(connection, caller, "repository.delete", repository="alice/bert")

Call it in the transaction that does the thing, so that neither happens without the other. An action is
`subject.verb`; details are small facts, never a secret.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller
from madang.server.accounts.records import audit_log
from madang.server.clock import now

# Who acts when somebody with the hub's folder gives a command.
OPERATOR = Caller(address="command line")


@dataclass(frozen=True)
class Event:
    """One line of the log."""

    id: int
    at: int
    action: str
    actor: str
    token: str
    address: str
    details: dict[str, Any]


def record(connection: Connection, caller: Caller, action: str, **details: Any) -> None:
    """Write one line."""
    account, token = caller.account, caller.token
    connection.execute(
        audit_log.insert().values(
            at=now(),
            action=action,
            actor_id=account.id if account else None,
            actor=account.name if account else "",
            token=token.name if token else "",
            address=caller.address[:64],
            details=details,
        )
    )


def events(connection: Connection, *, before: int | None = None, limit: int = 100) -> list[Event]:
    """The newest lines first; `before` is the id of the last one already seen."""
    columns = [audit_log.c[name] for name in Event.__dataclass_fields__]
    query = sa.select(*columns).order_by(audit_log.c.id.desc()).limit(limit)
    if before is not None:
        query = query.where(audit_log.c.id < before)
    return [Event(*row) for row in connection.execute(query)]


def all_events(connection: Connection, *, limit: int | None = None) -> Iterator[Event]:
    """The newest lines first, one after the other, however many there are."""
    columns = [audit_log.c[name] for name in Event.__dataclass_fields__]
    query = sa.select(*columns).order_by(audit_log.c.id.desc()).limit(limit)
    for row in connection.execution_options(yield_per=1000).execute(query):
        yield Event(*row)
