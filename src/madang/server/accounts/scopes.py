"""What fine-grained tokens can be limited to: permissions over one repository, or over all of a user or organisation.

The names of the permissions are those of the public hub, so that its scripts and habits keep working.
"""

from typing import Any

from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller
from madang.server.accounts.errors import InvalidScope
from madang.server.accounts.finding import find_account
from madang.server.repositories.access import find
from madang.server.repositories.errors import RepositoryNotFound
from madang.server.repositories.names import TYPES

OWNERS = ("user", "org")
# Over a repository, or all of an owner's.
OF_REPOSITORIES = ("repo.content.read", "repo.read", "repo.write", "repo.access.read", "discussion.write")
# Over an owner only.
OF_OWNERS = (
    *("collection.read", "collection.write", "user.webhooks.read", "user.webhooks.write"),
    *("org.read", "org.write"),
)


def checked_scopes(connection: Connection, account: Account, scopes: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The scopes of a new token of `account`, as they are kept. Raises InvalidScope, naming what is wrong.

    A scope is `{"entity": {"type": "model", "name": "alice/bert"}, "permissions": ["repo.content.read"]}`.
    """
    if not scopes:
        raise InvalidScope("A fine-grained token needs at least one scope: say over what it gives which permission.")
    if len(scopes) > 100:
        raise InvalidScope(f"A fine-grained token has at most 100 scopes; these are {len(scopes)}.")
    return [_checked(connection, account, scope) for scope in scopes]


def parse_scope(text: str) -> dict[str, Any]:
    """`model:alice/bert=repo.write,discussion.write` as a scope. Raises InvalidScope."""
    entity, _, permissions = text.partition("=")
    kind, _, name = entity.partition(":")
    if not name or not permissions:
        raise InvalidScope(f"{text[:100]!r} is no scope: one looks like model:alice/bert=repo.content.read,repo.write.")
    given = [permission.strip() for permission in permissions.split(",")]
    return {"entity": {"type": kind.strip(), "name": name.strip()}, "permissions": given}


def _checked(connection: Connection, account: Account, scope: dict[str, Any]) -> dict[str, Any]:
    entity, permissions = scope.get("entity"), scope.get("permissions")
    if not isinstance(entity, dict) or not isinstance(permissions, list) or not permissions:
        raise InvalidScope("A scope has an entity, with type and name, and a list of permissions.")
    kind, name = entity.get("type"), entity.get("name")
    if kind not in (*TYPES, *OWNERS) or not isinstance(name, str) or not name.isprintable():
        raise InvalidScope(f"{str(kind)[:50]!r} can't be given access to: use one of {', '.join((*TYPES, *OWNERS))}.")
    known = OF_REPOSITORIES + (OF_OWNERS if kind in OWNERS else ())
    unknown = [str(permission)[:50] for permission in permissions if permission not in known]
    if unknown:
        raise InvalidScope(
            f"There is no permission {', '.join(map(repr, unknown))} over a {kind}: use {', '.join(known)}."
        )
    found = _entity(connection, account, kind, name)
    return {"entity": {"type": kind, "name": found}, "permissions": sorted(set(permissions))}


def _entity(connection: Connection, account: Account, type: str, name: str) -> str:
    """The name as the hub spells it, of something the account may see."""
    if type in OWNERS:
        owner = find_account(connection, name)
        if owner is None or owner.kind != type:
            raise InvalidScope(f"There is no {type} {name[:100]!r} on this hub.")
        return owner.name
    try:
        return find(connection, Caller(account), type, name).repository.name
    except RepositoryNotFound:
        raise InvalidScope(f"There is no {type} {name[:200]!r} that {account.name} can see.") from None
