"""Access to gated repositories: asking for it, and deciding about it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.accounts import audit
from madang.server.accounts.caller import Account, Caller, Right
from madang.server.accounts.finding import user_named
from madang.server.accounts.records import accounts
from madang.server.clock import iso, now
from madang.server.database import insert
from madang.server.errors import InvalidRequest, NotFound
from madang.server.repositories.access import Found
from madang.server.repositories.records import access_requests, repositories
from madang.server.repositories.repository import Repository

STATUSES = ("pending", "accepted", "rejected")
MOST_FIELDS = 50
LONGEST_NAME = 500
LONGEST_ANSWER = 2000
LONGEST_REASON = 200
CHECKED = ("true", "on", "yes", "1")


class NotGated(InvalidRequest):
    """Everybody who sees this repository may read it: there is nothing to ask for."""

    def __init__(self, repository: Repository) -> None:
        super().__init__(f"{repository.name} is not gated: there is no access to ask for or to decide about.")


@dataclass(frozen=True)
class Field:
    """One question the owner asks of those who want access, as the card's `extra_gated_fields` has it."""

    name: str
    kind: str  # text, checkbox, date_picker, country, select
    options: tuple[str, ...] = ()


def questions(connection: Connection, repository: Repository) -> list[Field]:
    """What the owner of a repository asks of those who want access."""
    card = connection.scalar(sa.select(repositories.c.card).where(repositories.c.id == repository.id))
    return fields_of(card if isinstance(card, dict) else {})


def fields_of(card: Mapping[str, Any]) -> list[Field]:
    """The questions of a card. What makes no sense there is left out: a card is free text."""
    asked = card.get("extra_gated_fields")
    found = []
    for name, kind in list(asked.items())[:MOST_FIELDS] if isinstance(asked, dict) else ():
        options: tuple[str, ...] = ()
        if isinstance(kind, dict):
            given = kind.get("options")
            options = tuple(_option(item) for item in given[:300]) if isinstance(given, list) else ()
            kind = kind.get("type")
        # where somebody is cannot be asked of them, and this hub does not look it up
        if kind in ("text", "checkbox", "date_picker", "country", "select"):
            found.append(Field(str(name)[:LONGEST_NAME], kind, options))
    return found


def _option(item: Any) -> str:
    return str(item.get("value", item.get("label", "")) if isinstance(item, dict) else item)[:LONGEST_ANSWER]


def checked_answers(fields: list[Field], given: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to these questions; others are dropped. Raises InvalidRequest, naming all that is wrong."""
    answers: dict[str, Any] = {}
    wrong = []
    for field in fields:
        value = given.get(field.name)
        text = value.strip() if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else ""
        if field.kind == "checkbox":
            answers[field.name] = text.lower() in CHECKED
            if not answers[field.name]:
                wrong.append(f"{field.name!r} must be agreed to")
        elif not text:
            wrong.append(f"{field.name!r} must be answered")
        elif len(text) > LONGEST_ANSWER:
            wrong.append(f"{field.name!r} is longer than {LONGEST_ANSWER:,} characters")
        elif field.options and text not in field.options:
            wrong.append(f"{field.name!r} must be one of: {', '.join(field.options)}")
        else:
            answers[field.name] = text.replace("\0", "").encode("utf-8", "replace").decode()
    if wrong:
        raise InvalidRequest("Access was not asked for: " + "; ".join(wrong) + ".")
    return answers


def ask(connection: Connection, caller: Caller, found: Found, given: Mapping[str, Any]) -> str:
    """Ask for access; returns the status of the request. Asking twice changes nothing.

    With gating `auto` everybody who answers the questions is let in. Raises NotGated, InvalidRequest.
    """
    repository, account = found.repository, caller.account
    assert account is not None
    if not repository.gated:
        raise NotGated(repository)
    if found.right >= Right.WRITE:
        return "accepted"
    earlier = _request(connection, repository, access_requests.c.account_id == account.id, lock=True)
    status = "accepted" if repository.gated == "auto" else "pending"
    if earlier is not None and (earlier.status != "pending" or status == "pending"):
        return str(earlier.status)
    answers = checked_answers(questions(connection, repository), given)
    if earlier is None:
        _insert(connection, repository, account, status=status, fields=answers)
    else:
        change = access_requests.update().where(access_requests.c.id == earlier.id)
        connection.execute(change.values(status=status, fields=answers, granted=False))
    return status


def grant(connection: Connection, caller: Caller, repository: Repository, name: str) -> None:
    """Let somebody in who did not ask. Raises NotGated, AccountNotFound, InvalidRequest when they asked or are in."""
    if not repository.gated:
        raise NotGated(repository)
    user = user_named(connection, name)
    earlier = _request(connection, repository, access_requests.c.account_id == user.id, lock=True)
    if earlier is not None:
        raise InvalidRequest(
            f"{user.name} asked for access to {repository.name} already; the request is {earlier.status}. "
            f"Accept it instead of granting access."
        )
    _insert(connection, repository, user, status="accepted", granted=True)
    audit.record(connection, caller, "access.grant", repository=repository.path, user=user.name)


def handle(
    connection: Connection,
    caller: Caller,
    repository: Repository,
    status: str,
    *,
    user: str | None = None,
    request: str | None = None,
    reason: str | None = None,
) -> None:
    """Accept, reject, or put back among the pending ones the request of `user`, or the one with the id `request`.

    Raises NotGated, InvalidRequest, and NotFound: no such user, no request of theirs, or it has that status already.
    """
    if not repository.gated:
        raise NotGated(repository)
    if (user is None) == (request is None):
        raise InvalidRequest("name the user, or give the requestId: one of both.")
    if reason is not None and (status != "rejected" or len(reason) > LONGEST_REASON):
        raise InvalidRequest(f"a reason of at most {LONGEST_REASON} characters can be given when rejecting.")
    if user is not None:
        condition = access_requests.c.account_id == user_named(connection, user).id
    else:
        condition = access_requests.c.id == _number(str(request))
    earlier = _request(connection, repository, condition, lock=True)
    if earlier is None:
        raise NotFound(f"There is no request for access to {repository.name} of that user or id.")
    if earlier.status == status:
        raise NotFound(f"The request for access is already in the {status} list.")
    change = access_requests.update().where(access_requests.c.id == earlier.id)
    connection.execute(change.values(status=status, reason=reason))
    name = connection.scalar(sa.select(accounts.c.name).where(accounts.c.id == earlier.account_id))
    action = {"accepted": "access.accept", "rejected": "access.reject", "pending": "access.cancel"}[status]
    audit.record(connection, caller, action, repository=repository.path, user=name)


def requests(
    connection: Connection, repository: Repository, status: str | None = None, after: int = 0, limit: int = 1000
) -> list[tuple[int, dict[str, Any]]]:
    """Up to `limit` requests, the oldest first, each with its number: the page after it goes on there."""
    query = (
        sa.select(access_requests, accounts.c.name, accounts.c.fullname, accounts.c.email)
        .join(accounts, accounts.c.id == access_requests.c.account_id)
        .where(access_requests.c.repository_id == repository.id, access_requests.c.id > after)
        .order_by(access_requests.c.id)
        .limit(limit)
    )
    if status is not None:
        query = query.where(access_requests.c.status == status)
    return [(row.id, _described(row)) for row in connection.execute(query)]


def _described(row: "Row[Any]") -> dict[str, Any]:
    user = {"_id": f"{row.account_id:024x}", "user": row.name, "fullname": row.fullname or row.name}
    # who asks agrees to show their address; who was let in unasked did not
    if row.email and not row.granted:
        user["email"] = row.email
    item = {
        "requestId": f"{row.id:024x}",
        "status": row.status,
        "timestamp": iso(row.created_at),
        "user": user,
        "grantedBy": "owner" if row.granted else "request",
    }
    if row.fields:
        item["fields"] = row.fields
    if row.reason:
        item["rejectionReason"] = row.reason
    return item


REPORT = ("user", "fullname", "email", "status", "time", "reason")


def report_row(item: Mapping[str, Any], names: list[str]) -> list[str]:
    """One line of the report: what REPORT names, the answers to `names`, and what was asked by earlier cards."""
    user, answers = item["user"], item.get("fields", {})
    cells = [user["user"], user["fullname"], user.get("email", ""), item["status"], item["timestamp"]]
    others = {name: value for name, value in answers.items() if name not in names}
    cells += [item.get("rejectionReason", ""), *(str(answers.get(name, "")) for name in names)]
    return [*cells, json.dumps(others, ensure_ascii=False) if others else ""]


def _request(
    connection: Connection, repository: Repository, condition: sa.ColumnElement[bool], *, lock: bool = False
) -> "Row[Any] | None":
    query = sa.select(access_requests).where(access_requests.c.repository_id == repository.id, condition)
    return connection.execute(query.with_for_update() if lock else query).first()


def _insert(connection: Connection, repository: Repository, account: Account, **values: Any) -> None:
    try:
        with connection.begin_nested():
            row = {"repository_id": repository.id, "account_id": account.id, "created_at": now(), **values}
            insert(connection, access_requests, **row)
    except sa.exc.IntegrityError:
        raise InvalidRequest(f"{account.name} asked for access at the same moment. Look again.") from None


def _number(text: str) -> int:
    """The number in 24 hex digits; one that no row has for anything else."""
    try:
        number = int(text, 16) if len(text) == 24 else -1
    except ValueError:
        number = -1
    return number if 0 < number < 2**63 else -1
