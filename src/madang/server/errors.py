"""Why the hub refuses a request: each error knows the status and the headers by which clients tell it from others.

Clients look at the `X-Error-Code` header, then `X-Error-Message`, then the status, then the JSON body.
"""

import errno
from typing import Any

from madang.errors import MadangError


class Refusal(MadangError):
    """A request that is answered with `status`, the message, and `code` where clients have an exception for it."""

    status = 400
    code: str | None = None

    def __init__(self, message: str, *, headers: dict[str, str] | None = None, **body: Any) -> None:
        super().__init__(message)
        self.headers = headers or {}
        # further keys of the JSON answer: clients read `url` from the refusal of a repository that exists
        self.body = body

    @property
    def answer_headers(self) -> dict[str, str]:
        """The headers of the answer, the code among them."""
        return {**self.headers, "X-Error-Code": self.code} if self.code else dict(self.headers)


class InvalidRequest(Refusal):
    """What was sent cannot be understood, or asks for something that cannot be."""


class NotSignedIn(Refusal):
    """Only accounts may do this, and no token or session came with the request."""

    status = 401


class InvalidToken(Refusal):
    """A token that this hub did not give out, or that has ended. Clients know it by exactly this message."""

    status = 401

    def __init__(self) -> None:
        super().__init__("Invalid credentials in Authorization header")


class Forbidden(Refusal):
    """The caller may see this, and may not do what was asked."""

    status = 403


class NotFound(Refusal):
    """Nothing of that name, or nothing the caller may know of."""

    status = 404


class NoSuchAddress(NotFound):
    """The hub has no page and no endpoint there."""

    def __init__(self) -> None:
        super().__init__("There is nothing at this address.")


class Conflict(Refusal):
    """It is there already, or was changed by somebody else in between."""

    status = 409


class Unprocessable(Refusal):
    """Well formed, and not acceptable: a path that leaves the repository, a name no repository can have."""

    status = 422


class TooManyRequests(Refusal):
    """More requests than the hub's limit; the headers say when the next one is welcome."""

    status = 429


class StorageFull(Refusal):
    """The disk of the hub is full. Nothing of the request was kept."""

    status = 507

    def __init__(
        self, message: str = "the disk of this hub is full. Nothing was kept; ask its administrator for more room."
    ) -> None:
        super().__init__(message)


def is_full(error: OSError) -> bool:
    """Whether the system says that there is no room left for something."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
