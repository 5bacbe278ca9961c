"""Who makes a request, and what their token lets them do."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from madang.server.errors import NotSignedIn


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
    used_at: int | None = None

    def limit(self, type: str, full_name: str) -> Right:
        """The most this token allows with one repository."""
        if self.role == "write":
            return Right.ADMIN
        if self.role == "read":
            return Right.READ
        return max((scope_right(scope, type, full_name) for scope in self.scopes), default=Right.NONE)

    def may_create_below(self, owner: str) -> bool:
        """Whether new repositories may be made in this account's name."""
        return self.may_below("repo.write", owner)

    def may_below(self, permission: str, owner: str) -> bool:
        """Whether the token gives a permission over all that is of a user or organisation: `collection.write`."""
        if self.role != "fineGrained":
            return self.role == "write" or permission.endswith(".read")
        return any(
            permission in scope["permissions"]
            and scope["entity"]["type"] in ("user", "org")
            and scope["entity"]["name"].lower() == owner.lower()
            for scope in self.scopes
        )

    def may(self, permission: str, type: str, full_name: str) -> bool:
        """Whether the token gives a permission, like `discussion.write`, over one repository."""
        if self.role != "fineGrained":
            return self.role == "write" or permission.endswith(".read")
        return any(permission in scope["permissions"] and covers(scope, type, full_name) for scope in self.scopes)


@dataclass(frozen=True)
class Caller:
    """Nobody, or an account; by a token, or by a session of the browser (`token` is None)."""

    account: Account | None = None
    token: Token | None = None
    address: str = ""
    session: int | None = None

    @property
    def signed_in(self) -> bool:
        return self.account is not None

    @property
    def user(self) -> Account:
        """The account of a caller who must be somebody. Raises NotSignedIn for nobody."""
        if self.account is None:
            raise NotSignedIn("Sign in first: send a token.")
        return self.account

    @property
    def may_manage(self) -> bool:
        """Whether what lets the caller in goes for their account too, and not only for repositories."""
        return self.signed_in and (self.token is None or self.token.role == "write")


def covers(scope: dict[str, Any], type: str, full_name: str) -> bool:
    """Whether one scope of a fine-grained token is about a repository, or about all of its owner's."""
    entity = scope["entity"]
    if entity["type"] in ("user", "org"):
        return bool(full_name.lower().partition("/")[0] == entity["name"].lower())
    return bool(entity["type"] == type and full_name.lower() == entity["name"].lower())


def scope_right(scope: dict[str, Any], type: str, full_name: str) -> Right:
    """What one scope of a fine-grained token allows with a repository."""
    permissions = set(scope["permissions"]) if covers(scope, type, full_name) else set()
    if "repo.write" in permissions:
        return Right.ADMIN
    return Right.READ if permissions & {"repo.content.read", "repo.read"} else Right.NONE
