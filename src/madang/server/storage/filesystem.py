"""Large files in a folder."""

import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

from madang.server.errors import NotFound, StorageFull
from madang.server.storage.blobs import BlobStore, BlobWriter

PIECE = 1024 * 1024


class FolderBlobWriter(BlobWriter):
    """A temporary file beside the others, renamed when it is complete."""

    def __init__(self, store: "FolderBlobStore") -> None:
        self._store = store
        handle, name = tempfile.mkstemp(dir=store.incoming)
        self._path, self._file = Path(name), os.fdopen(handle, "wb", buffering=0)

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            try:
                rest = rest[self._file.write(rest) :]
            except OSError as error:
                raise _explained(error) from error

    def commit(self, key: str) -> None:
        target = self._store.folder / key
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                self._path.unlink()
                return
            os.replace(self._path, target)
            _sync_folder(target.parent)
        except OSError as error:
            raise _explained(error) from error

    def discard(self) -> None:
        self._file.close()
        self._path.unlink(missing_ok=True)


class FolderBlobStore(BlobStore):
    """One file for each key, below `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.incoming = folder / "incoming"
        self.incoming.mkdir(parents=True, exist_ok=True)

    def writer(self) -> BlobWriter:
        try:
            return FolderBlobWriter(self)
        except OSError as error:
            raise _explained(error) from error

    def size(self, key: str) -> int | None:
        try:
            return (self.folder / key).stat().st_size
        except FileNotFoundError:
            return None

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        try:
            file = open(self.folder / key, "rb", buffering=0)  # noqa: SIM115 - closed by the block below
        except FileNotFoundError:
            raise NotFound(f"the blob store has no {key}.") from None
        with file:
            file.seek(start)
            left = None if end is None else end - start
            while left is None or left > 0:
                piece = file.read(PIECE if left is None else min(PIECE, left))
                if not piece:
                    return
                left = None if left is None else left - len(piece)
                yield piece

    def delete(self, key: str) -> None:
        (self.folder / key).unlink(missing_ok=True)

    def keys(self, prefix: str = "") -> Iterator[tuple[str, int, int]]:
        for folder, folders, names in os.walk(self.folder / prefix):
            folders.sort()
            for name in sorted(names):
                path = Path(folder) / name
                if self.incoming in path.parents:
                    continue
                found = path.stat()
                yield str(path.relative_to(self.folder)), found.st_size, found.st_mtime_ns // 1_000_000

    def path(self, key: str) -> Path | None:
        return self.folder / key


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError) -> Exception:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return StorageFull("the disk of this hub is full. Nothing was kept; ask its administrator for more room.")
    return error
