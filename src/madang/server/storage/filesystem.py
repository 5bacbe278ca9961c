"""Large files in a folder."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from madang.server.errors import NotFound, StorageFull, is_full
from madang.server.storage.blobs import BlobStore, BlobWriter

PIECE = 1024 * 1024
# a disk gets what arrives in steps of so many bytes, not all at the end
WRITE_BEHIND = 16 * PIECE


class FolderBlobWriter(BlobWriter):
    """A temporary file beside the others, renamed when it is complete."""

    def __init__(self, store: "FolderBlobStore", key: str) -> None:
        self._target = store.folder / key
        handle, name = tempfile.mkstemp(dir=store.incoming)
        self._path, self._file = Path(name), os.fdopen(handle, "wb", buffering=0)
        self._written = self._on_disk = 0

    def write(self, data: bytes | memoryview) -> None:
        rest = memoryview(data)
        while rest:
            try:
                count = self._file.write(rest)
            except OSError as error:
                raise _explained(error) from error
            rest = rest[count:]
            self._written += count
        if self._written - self._on_disk >= WRITE_BEHIND:
            self._begin_writing_out()

    def _begin_writing_out(self) -> None:
        """Ask the system to send to the disk what was written: `commit` then has little left to wait for."""
        if hasattr(os, "posix_fadvise"):  # on Linux, this advice begins writing and keeps what is not on disk yet
            length = self._written - self._on_disk
            os.posix_fadvise(self._file.fileno(), self._on_disk, length, os.POSIX_FADV_DONTNEED)
        self._on_disk = self._written

    def commit(self) -> None:
        try:
            os.fsync(self._file.fileno())
            self._file.close()
            _make_folder(self._target.parent)
            os.replace(self._path, self._target)
            _sync_folder(self._target.parent)
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

    def writer(self, key: str, size: int = 0) -> BlobWriter:
        try:
            return FolderBlobWriter(self, key)
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
        for path in _files(self.folder / prefix):
            if self.incoming in path.parents:
                continue
            try:
                found = path.stat()
            except FileNotFoundError:
                continue  # deleted since the folder was read
            yield path.relative_to(self.folder).as_posix(), found.st_size, found.st_mtime_ns // 1_000_000

    def discard_abandoned(self, before: int) -> None:
        for path in _files(self.incoming):
            try:
                if path.stat().st_mtime_ns // 1_000_000 < before:
                    path.unlink()
            except FileNotFoundError:
                continue  # finished since the folder was read

    def room(self) -> int | None:
        return shutil.disk_usage(self.folder).free

    def path(self, key: str) -> Path | None:
        return self.folder / key


def _files(top: Path) -> Iterator[Path]:
    """The files below a folder, in order."""
    for folder, folders, names in os.walk(top):
        folders.sort()
        for name in sorted(names):
            yield Path(folder) / name


def _make_folder(folder: Path) -> None:
    """Make a folder and those above it, so that they survive a power cut."""
    if not folder.exists():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _explained(error: OSError) -> Exception:
    return StorageFull() if is_full(error) else error
