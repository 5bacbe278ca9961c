"""Who makes a request, and what their token lets them do."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any


class Right(IntEnum):
    """What somebody may do with a repository; each includes those before it."""

    NONE = 0
    READ = 1
    WRITE = 2
    ADMIN = 3


@dataclass(frozen=True)
class Account:
    """A user or an organisation."""

    id: int
    kind: str
    name: str
    fullname: str = ""
    email: str | None = None
    administrator: bool = False
    disabled: bool = False
    private_by_default: bool = False
    created_at: int = 0


@dataclass(frozen=True)
class Token:
    """An access token, without its secret.

    The role is `read`, `write` or `fineGrained`. The scopes of a fine-grained one are
    `{"entity": {"type": "model", "name": "alice/bert"}, "permissions": ["repo.content.read", "repo.write"]}`; an entity
    of type `user` or `org` means everything below that name.
    """

    id: int
    name: str
    role: str
    scopes: list[dict[str, Any]] = field(default_factory=list)
    created_at: int = 0

    def limit(self, type: str, full_name: str) -> Right:
        """The most this token allows with one repository."""
        if self.role == "write":
            return Right.ADMIN
        if self.role == "read":
            return Right.READ
        return max((scope_right(scope, type, full_name) for scope in self.scopes), default=Right.NONE)

    def may_create_below(self, owner: str) -> bool:
        """Whether new repositories may be made in this account's name."""
        if self.role != "fineGrained":
            return self.role == "write"
        return any(
            "repo.write" in scope.get("permissions", [])
            and scope.get("entity", {}).get("type") in ("user", "org")
            and str(scope["entity"].get("name", "")).lower() == owner.lower()
            for scope in self.scopes
        )


@dataclass(frozen=True)
class Caller:
    """Nobody, or an account; by a token, or by a session of the browser (`token` is None)."""

    account: Account | None = None
    token: Token | None = None
    address: str = ""

    @property
    def signed_in(self) -> bool:
        return self.account is not None


def scope_right(scope: dict[str, Any], type: str, full_name: str) -> Right:
    """What one scope of a fine-grained token allows with a repository."""
    entity = scope.get("entity", {})
    name = str(entity.get("name", "")).lower()
    full_name = full_name.lower()
    if entity.get("type") in ("user", "org"):
        fits = full_name.partition("/")[0] == name
    else:
        fits = entity.get("type") == type and full_name == name
    permissions = set(scope.get("permissions", [])) if fits else set()
    if "repo.write" in permissions:
        return Right.ADMIN
    return Right.READ if permissions & {"repo.content.read", "repo.read"} else Right.NONE
