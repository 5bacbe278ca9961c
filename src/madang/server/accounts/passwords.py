"""Passwords: kept as argon2 hashes, and tried at a bounded price.

One check takes 64 MiB and a good part of a second of a core on purpose. So only a few run at a time, a few more wait,
and whoever comes then is asked to come back: a crowd at the door must not stop the hub.
"""

import unicodedata
from threading import BoundedSemaphore
from typing import NewType

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from madang.server.accounts.errors import TooManyAttempts, WeakPassword

# What is kept of a password; a type of its own, so that none is ever stored as it was typed.
PasswordHash = NewType("PasswordHash", str)

SHORTEST, LONGEST = 10, 1000
_AT_ONCE, _WITH_THOSE_WHO_WAIT = 2, 10

_hasher = PasswordHasher()
_working = BoundedSemaphore(_AT_ONCE)
_admitted = BoundedSemaphore(_WITH_THOSE_WHO_WAIT)


def prepare(password: str, name: str) -> PasswordHash:
    """What to keep of a new password for `name`. Raises WeakPassword for what nobody should use.

    Call it before a transaction begins: it takes its time.
    """
    if not SHORTEST <= len(password) <= LONGEST:
        raise WeakPassword(f"A password has {SHORTEST} to {LONGEST} characters; this one has {len(password)}.")
    if password.lower() == name.lower() or len(set(password)) < 4:
        raise WeakPassword("This password is too easy to guess: it is your name, or has fewer than 4 different signs.")
    with _Turn():
        return PasswordHash(_hasher.hash(_normal(password)))


def fits(password: str, kept: str | None) -> bool:
    """Whether it is the password; `kept` is None where there is none, which takes as long to find out."""
    with _Turn():
        try:
            return _hasher.verify(kept or _nobodys(), _normal(password)) and kept is not None
        except (VerifyMismatchError, VerificationError, InvalidHashError):
            return False


class _Turn:
    """A place among those who compute. Raises TooManyAttempts when too many wait already."""

    def __enter__(self) -> None:
        if not _admitted.acquire(blocking=False):
            raise TooManyAttempts("Too many people are signing in at this moment.", headers={"Retry-After": "2"})
        _working.acquire()

    def __exit__(self, *_: object) -> None:
        _working.release()
        _admitted.release()


def _normal(password: str) -> str:
    # the same Korean word reaches us composed from one keyboard and decomposed from another
    return unicodedata.normalize("NFKC", password[:LONGEST])


_of_nobody: list[str] = []


def _nobodys() -> str:
    """A hash that no password has: checking it takes the time of a real one."""
    if not _of_nobody:
        _of_nobody.append(_hasher.hash(b"nobody"))
    return _of_nobody[0]
