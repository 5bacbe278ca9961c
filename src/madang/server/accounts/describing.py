"""Accounts as clients are told of them."""

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller, Token
from madang.server.accounts.organisations import organisations_of
from madang.server.accounts.records import members
from madang.server.clock import iso
from madang.server.repositories.access import visible_to
from madang.server.repositories.names import PLURALS
from madang.server.repositories.records import likes, repositories


def who_am_i(connection: Connection, caller: Caller, address: str) -> dict[str, Any]:
    """The answer to `GET /api/whoami-v2`. A fine-grained token is told no more than it is for."""
    account, token = caller.account, caller.token
    assert account is not None
    organisations = organisations_of(connection, account)
    limited = token is not None and token.role == "fineGrained"
    if token is not None and limited:
        named = {scope["entity"]["name"].lower() for scope in token.scopes if scope["entity"]["type"] == "org"}
        organisations = [member for member in organisations if member.account.name.lower() in named]
    answer = {
        **identity(account, address),
        "name": account.name,
        "email": None if limited else account.email,
        # the hub sends no mail, so it has verified none
        "emailVerified": False,
        "canPay": False,
        "orgs": [
            {**identity(organisation, address), "name": organisation.name, "roleInOrg": role}
            for organisation, role in organisations
        ],
    }
    if token is not None:
        answer["auth"] = {"type": "access_token", "accessToken": access_token(token)}
    return answer


def access_token(token: Token) -> dict[str, Any]:
    """What its holder is told about a token."""
    answer: dict[str, Any] = {"displayName": token.name, "role": token.role, "createdAt": iso(token.created_at)}
    if token.role == "fineGrained":
        answer["fineGrained"] = {"scoped": token.scopes, "global": []}
    return answer


def identity(account: Account, address: str) -> dict[str, Any]:
    """What stands in every description of an account."""
    picture = "person" if account.kind == "user" else "organisation"
    return {
        "id": f"{account.id:024x}",
        "type": account.kind,
        "fullname": account.fullname or account.name,
        "avatarUrl": f"{address}/static/{picture}.svg",
        "isPro": False,
    }


def listed(account: Account, address: str) -> dict[str, Any]:
    """An account as one line of a list."""
    known = identity(account, address)
    return {"_id": known.pop("id"), "user": account.name, **known}


def user_overview(connection: Connection, caller: Caller, user: Account, address: str) -> dict[str, Any]:
    """The answer to `GET /api/users/alice/overview`; counts are of what the caller may see."""
    liked = sa.select(likes.c.repository_id).where(likes.c.account_id == user.id)
    return {
        **listed(user, address),
        "createdAt": iso(user.created_at),
        **repository_counts(connection, caller, user),
        "numLikes": _count(connection, visible_to(caller), repositories.c.id.in_(liked)),
        "numFollowers": 0,
        "numFollowing": 0,
        "orgs": [
            {**identity(organisation, address), "name": organisation.name}
            for organisation, _ in organisations_of(connection, user)
        ],
    }


def organisation_overview(
    connection: Connection, caller: Caller, organisation: Account, address: str
) -> dict[str, Any]:
    """The answer to `GET /api/organizations/lab/overview`."""
    count = sa.select(sa.func.count()).where(members.c.organisation_id == organisation.id)
    return {
        **identity(organisation, address),
        "name": organisation.name,
        "createdAt": iso(organisation.created_at),
        "numUsers": connection.scalar(count) or 0,
        "numFollowers": 0,
        **repository_counts(connection, caller, organisation),
    }


def repository_counts(connection: Connection, caller: Caller, owner: Account) -> dict[str, int]:
    """`numModels`, `numDatasets`, `numSpaces` of an owner."""
    query = (
        sa.select(repositories.c.type, sa.func.count().label("number"))
        .where(repositories.c.owner_id == owner.id, visible_to(caller))
        .group_by(repositories.c.type)
    )
    found = {row.type: row.number for row in connection.execute(query)}
    return {f"num{plural.capitalize()}": found.get(singular, 0) for singular, plural in PLURALS.items()}


def _count(connection: Connection, *conditions: sa.ColumnElement[bool]) -> int:
    return connection.scalar(sa.select(sa.func.count()).select_from(repositories).where(*conditions)) or 0
