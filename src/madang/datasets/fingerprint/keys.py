"""The key of some values, and the hasher under the name people know."""

from hashlib import blake2b
from typing import Any

from madang.datasets.fingerprint.kinds import steps_of
from madang.datasets.fingerprint.walk import Walk

# goes up when equal values get other bytes than before, so that no key of an earlier release is met by chance
_FORM = b"madang 1 "


def key(*parts: Any) -> str:
    """32 hexadecimal digits for these values in this order: the same in every process, other ones for other values.

    Dicts count with their order, which a function may see; keyword arguments, attributes and sets without.

    Raises UnhashableError, naming the value and where it was found, when one cannot be recognised in another run.
    """
    walk = Walk(steps_of)
    return _short(b"".join([walk.encode(part) for part in parts]), len(parts))


def _short(content: bytes, count: int) -> str:
    return blake2b(_FORM + b"%d " % count + content, digest_size=16).hexdigest()


class Hasher:
    """Keys under the familiar name: `Hasher.hash(value)`, or value after value with `update`, then `hexdigest`.

    >>> Hasher.hash(tokenize) == Hasher.hash(tokenize)
    True
    """

    def __init__(self) -> None:
        self._parts: list[str] = []

    @classmethod
    def hash(cls, value: Any) -> str:
        """The key of one value."""
        return key(value)

    @classmethod
    def hash_bytes(cls, value: bytes | list[bytes]) -> str:
        """The key of bytes, or of several joined."""
        joined = value if isinstance(value, bytes) else b"".join(value)
        return blake2b(joined, digest_size=16).hexdigest()

    def update(self, value: Any) -> None:
        """Take in one more value, as it is now."""
        self._parts.append(key(value))

    def hexdigest(self) -> str:
        """The key of all values taken in so far, in their order."""
        return key(*self._parts)
