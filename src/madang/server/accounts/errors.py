"""Why something cannot be done with an account."""

from madang.server.errors import Conflict, Forbidden, InvalidRequest, NotFound, TooManyRequests


class AccountNotFound(NotFound):
    """No user or organisation of that name."""


class AccountExists(Conflict):
    """The name belongs to another user or organisation."""


class AccountInUse(Conflict):
    """It cannot be deleted: something hangs on it."""


class LastAdministrator(Conflict):
    """Nobody would be left who can decide: about the hub, or about an organisation."""


class SignInRefused(Forbidden):
    """Wrong name or password, or a disabled account: which one is not said."""


class SignUpRefused(Forbidden):
    """This hub lets in only whom it invites, or nobody."""


class WeakPassword(InvalidRequest):
    """Too short, too long, or the name itself."""


class InvalidEmail(InvalidRequest):
    """It does not look like an e-mail address."""


class InvalidScope(InvalidRequest):
    """What a fine-grained token is to be for cannot be read, or is not there."""


class InvalidTokenName(InvalidRequest):
    """No token can be called so."""


class LinkOver(NotFound):
    """A one-time link that was used, is too old, or never was."""


class TooManyAttempts(TooManyRequests):
    """Passwords were tried too often; it says when to try again."""
