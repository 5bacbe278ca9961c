"""Pointers: the small text files that stand in git for large files kept elsewhere (the git-lfs specification)."""

import re
from dataclasses import dataclass

_POINTER = re.compile(
    rb"version https://git-lfs\.github\.com/spec/v1\n(?:ext-\S+ [^\n]*\n)*oid sha256:([0-9a-f]{64})\nsize (\d{1,19})\n?"
)
# git-lfs uses the same limit
LONGEST_POINTER = 1024


@dataclass(frozen=True)
class Pointer:
    """The SHA-256 and the size in bytes of the file that is meant."""

    sha256: str
    size: int

    @property
    def length(self) -> int:
        """How many bytes the text has that git keeps."""
        return len(self.encode())

    def encode(self) -> bytes:
        """The text git keeps."""
        return f"version https://git-lfs.github.com/spec/v1\noid sha256:{self.sha256}\nsize {self.size}\n".encode()


def read_pointer(content: bytes) -> Pointer | None:
    """The pointer written in a file; None for any other file."""
    if len(content) > LONGEST_POINTER:
        return None
    found = _POINTER.fullmatch(content)
    return None if found is None else Pointer(found.group(1).decode(), int(found.group(2)))
