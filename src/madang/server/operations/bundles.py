"""The form of a repository as one file, which `exporting` writes and `importing` reads.

The file is a tar archive: `repository.json` (what the hub knows of it, and its discussions), `repository.bundle` (a git
bundle, which `git clone` reads too), `large/<sha256>` for each large file, and `SHA256SUMS` over all of these, last.
"""

import hashlib
from typing import IO, Any

FORMAT = 1
DESCRIPTION, HISTORY, LARGE, SUMS = "repository.json", "repository.bundle", "large/", "SHA256SUMS"
# what the description holds beside the format
KEYS = ("type", "name", "private", "gated", "sdk", "created_at", "discussions")
GIT_BUNDLE = b"# v2 git bundle\n"


def spelled(sums: dict[str, str]) -> bytes:
    """The content of `SHA256SUMS`, as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()


class HashingReader:
    """A file that is hashed while it is read."""

    def __init__(self, file: "IO[bytes] | Any") -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self.digest.update(data)
        return data
