"""The interface of the blob store: bytes under a key, written once, read in ranges.

`filesystem.py` keeps them in a folder, `s3.py` in a bucket. Keys are made by the hub (`sha256/ab/cd/…`), never by a
caller.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self


def blob_key(sha256: str) -> str:
    """Where the file with this SHA-256 is kept."""
    return f"sha256/{sha256[:2]}/{sha256[2:4]}/{sha256}"


class BlobWriter(ABC):
    """Bytes on their way to a key. Nothing is to be seen of them before `commit`; leaving the block without it throws
    them away."""

    @abstractmethod
    def write(self, data: bytes | memoryview) -> None:
        """Append. Raises StorageFull when there is no room."""

    @abstractmethod
    def commit(self) -> None:
        """Make what was written the content of the key, in place of what it had; it survives a power cut from here on.

        Raises StorageFull.
        """

    @abstractmethod
    def discard(self) -> None:
        """Throw away what was written; nothing happens after `commit`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.discard()


class BlobStore(ABC):
    """Where the content of large files is. Methods block: servers call them in threads."""

    @abstractmethod
    def writer(self, key: str, size: int = 0) -> BlobWriter:
        """New content for a key, on its way in. With the size it will have, a store can choose its pieces by it."""

    @abstractmethod
    def size(self, key: str) -> int | None:
        """The number of bytes under a key; None when there is nothing."""

    @abstractmethod
    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to and without `end`, in pieces of about a megabyte. Raises NotFound."""

    @abstractmethod
    def delete(self, key: str) -> None:
        """Forget a key; nothing happens when it is not there."""

    @abstractmethod
    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, int]]:
        """Key, size and the time it was written (milliseconds), of all that is kept."""

    @abstractmethod
    def discard_abandoned(self, before: int) -> None:
        """Throw away what writers left that began before this time (milliseconds) and were never finished."""

    def room(self) -> int | None:
        """How many bytes still fit; None for stores that do not know an end."""
        return None

    def path(self, key: str) -> Path | None:
        """The file on this machine's disk that holds a key; None for stores that have none."""
        return None

    def signed_address(self, key: str, seconds: int, *, file_name: str) -> str | None:
        """An address anybody can read the key from for a while; None for stores without such addresses."""
        return None
