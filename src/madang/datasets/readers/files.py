"""What the readers share: opening data files wherever they are, unpacking them while they are read, cutting them at
line ends, and saying which file is at fault."""

import codecs
import io
import lzma
import os
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa

from madang.errors import DataFilesNotFoundError, DatasetGenerationError, InputError, MissingFileError, nearest

BLOCK = 1 << 20  # bytes that are read, and parsed by one thread, at a time
THREADS = 4
# Arrow's own allocator keeps what each thread has used; this one gives it back
MEMORY = pa.system_memory_pool()
BOM = codecs.BOM_UTF8
# what compressed files begin with -> the name of the codec
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\x04\x22\x4d\x18": "lz4",
    b"\xfd7zXZ\x00": "xz",
}
_TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")

# what the unpackers raise for bytes that are not as they were packed
_DAMAGED = (lzma.LZMAError, zlib.error, pa.ArrowInvalid, zipfile.BadZipFile, tarfile.TarError)

Found = TypeVar("Found")
Made = TypeVar("Made")


@dataclass(frozen=True)
class DataFile:
    """One file of data on this machine; kinds of files that lie elsewhere derive from it.

    `name` is its path or address, as errors and cache keys have it.
    """

    name: str

    def identity(self) -> tuple[Any, ...]:
        """What changes when the content does."""
        found = os.stat(self.existing())
        return found.st_size, found.st_mtime_ns

    def key(self) -> tuple[Any, ...]:
        """What its content is kept under: the name and what changes with the content."""
        return (self.name, *self.identity())

    def open(self) -> pa.NativeFile:
        """The bytes as they are stored, from any place."""
        return pa.OSFile(self.existing())

    def path(self) -> str | None:
        """Where the file is on this machine; None for what is no file of its own."""
        return self.existing()

    def lazily(self) -> "DataFile":
        """The same file, read over the network piece by piece instead of downloaded whole."""
        return self

    def existing(self) -> str:
        """The path, when there is such a file; the error names the nearest file in its folder."""
        path = self.name
        if not os.path.isfile(path):
            folder = os.path.dirname(path) or "."
            beside = os.listdir(folder) if os.path.isdir(folder) else []
            raise DataFilesNotFoundError(
                f"Unable to find {path!r}: there is no such file.{nearest(os.path.basename(path), beside)}"
            )
        return path

    @property
    def suffixes(self) -> list[str]:
        """The endings of the file's name, without dots and in small letters: `csv`, `gz`."""
        return os.path.basename(self.name.split("::")[0].split("?")[0]).lower().split(".")[1:]


@dataclass(frozen=True)
class Member(DataFile):
    """A file inside a zip or tar archive. It is only ever read, never unpacked onto the disk, so that its name, which
    may be hostile, is never a path. Of a tar that is not compressed, its `place` is known: first byte and size."""

    archive: DataFile
    inside: str
    place: tuple[int, int] | None = None

    def identity(self) -> tuple[Any, ...]:
        return self.archive.identity()

    def key(self) -> tuple[Any, ...]:
        return (self.inside, *self.archive.key())

    def path(self) -> None:
        return None

    def lazily(self) -> DataFile:
        return replace(self, archive=self.archive.lazily())

    def existing(self) -> str:
        return self.archive.existing()

    def open(self) -> pa.NativeFile:
        stream = self.archive.open()
        try:
            if is_zip(self.archive):
                return pa.PythonFile(zipfile.ZipFile(stream).open(self.inside), "r")
            if self.place is not None:
                stream.seek(self.place[0])
                return as_file(_part(stream, self.place[1]))
            return as_file(self._unpacked(stream))
        except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, pa.ArrowInvalid) as error:
            raise DatasetGenerationError(f"{self.name} cannot be read: {error}.") from error

    def _unpacked(self, stream: pa.NativeFile) -> Iterator[bytes]:
        """From a compressed tar, which can only be read from its beginning."""
        with tarfile.open(fileobj=unpacked(stream), mode="r|") as packed:
            for entry in packed:
                found = packed.extractfile(entry) if entry.isreg() and entry.name == self.inside else None
                if found is not None:
                    yield from iter(partial(found.read, BLOCK), b"")
                    return


def _part(stream: pa.NativeFile, left: int) -> Iterator[bytes]:
    while left > 0 and (block := stream.read(min(left, BLOCK))):
        left -= len(block)
        yield block


def members(archive: DataFile) -> list[DataFile]:
    """The ordinary files in a zip or tar archive, in the order of their names; hidden ones are left out."""
    found: dict[str, tuple[int, int] | None]
    try:
        with archive.open() as stored:
            if is_zip(archive):
                found = {entry.filename: None for entry in zipfile.ZipFile(stored).infolist() if not entry.is_dir()}
            else:
                stream = unpacked(stored)
                with tarfile.open(fileobj=stream, mode="r|") as packed:
                    entries = [entry for entry in packed if entry.isreg()]
                known = stream is stored
                found = {entry.name: (entry.offset_data, entry.size) if known else None for entry in entries}
    except (zipfile.BadZipFile, tarfile.TarError, OSError, EOFError, pa.ArrowInvalid) as error:
        if isinstance(error, MissingFileError):
            raise
        raise DatasetGenerationError(f"{archive.name} is not a whole archive: {error}.") from error
    kind = "zip" if is_zip(archive) else "tar"
    shown = sorted(name for name in found if not _hidden(name))
    return [Member(f"{kind}://{name}::{archive.name}", archive, name, found[name]) for name in shown]


def is_zip(file: DataFile) -> bool:
    """Whether the name says that it is a zip archive."""
    return file.suffixes[-1:] == ["zip"]


def is_tar(file: DataFile) -> bool:
    """Whether the name says that it is a tar archive, compressed or not."""
    return os.path.basename(file.name.split("?")[0]).lower().endswith(_TARS)


def _hidden(name: str) -> bool:
    return any(part.startswith((".", "__")) for part in name.split("/") if part != ".")


def unpacked(stream: pa.NativeFile) -> pa.NativeFile:
    """The same bytes, decompressed while they are read when their beginning says that they are compressed."""
    stream, begin = peeked(stream, 6)
    codec = next((codec for magic, codec in _MAGIC.items() if begin.startswith(magic)), None)
    if codec is None:
        return stream
    if codec == "xz":
        return pa.PythonFile(lzma.open(stream), "r")
    return pa.CompressedInputStream(stream, codec)


def peeked(stream: pa.NativeFile, size: int) -> tuple[pa.NativeFile, bytes]:
    """The first bytes, and the file at its beginning again."""
    begin = stream.read(size)
    try:
        stream.seek(0)
    except OSError:  # something that is read once
        stream = as_file(chain([begin], iter(partial(stream.read, BLOCK), b"")))
    return stream, begin


class _Stream(io.RawIOBase):
    """Blocks of bytes as a file that is read once, from its beginning to its end."""

    def __init__(self, found: Iterable[bytes]) -> None:
        super().__init__()
        self._blocks, self._rest = iter(found), memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, target: Any) -> int:
        if not self._rest:
            self._rest = memoryview(next(self._blocks, b""))
        part = self._rest[: len(target)]
        self._rest = self._rest[len(part) :]
        target[: len(part)] = part
        return len(part)


def as_file(found: Iterable[bytes]) -> pa.NativeFile:
    """Blocks of bytes as a file that is read once, from its beginning to its end."""
    return pa.PythonFile(io.BufferedReader(_Stream(found), BLOCK), "r")


def blocks(file: DataFile, encoding: str = "utf-8", errors: str = "strict", size: int = BLOCK) -> Iterator[bytes]:
    """The content, decompressed and in UTF-8 without a byte order mark, some bytes at a time.

    Raises DatasetGenerationError for a file that ends too early or is not in `encoding`, naming one that fits.
    """
    try:
        plain = _is_utf8(encoding) and errors == "strict"
    except LookupError as error:
        raise InputError(
            f"{error}: Python knows no encoding of that name; utf-8, cp949 and latin-1 are some."
        ) from error
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    first = True
    for raw in _raw_blocks(file, size):
        block = raw
        if not plain:
            try:
                block = decoder.decode(raw).encode("utf-8", "surrogatepass")
            except UnicodeError as error:
                raise wrong_encoding(file, encoding, str(error)) from error
        if first:
            block, first = block.removeprefix(BOM), False
        if block:
            yield block
    if not plain:
        try:
            rest = decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise wrong_encoding(file, encoding, str(error)) from error
        if rest:
            yield rest.encode()


def _raw_blocks(file: DataFile, size: int) -> Iterator[bytes]:
    with file.open() as stored:
        try:
            stream = unpacked(stored)
            while block := stream.read(size):
                yield block
        except (OSError, EOFError, *_DAMAGED) as error:
            raise cut_short(file, error) from error


def cut_short(file: DataFile, error: object) -> DatasetGenerationError:
    """The error for a file that cannot be read to its end."""
    return DatasetGenerationError(
        f"{file.name} cannot be read to its end ({str(error).rstrip('.')}): it is damaged or was cut short. Download "
        "or copy it again."
    )


def lines(found: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes, cut so that every piece but the last ends with a line."""
    rest = b""
    for block in found:
        end = block.rfind(b"\n") + 1
        if end:
            yield rest + block[:end] if rest else block[:end]
            rest = block[end:]
        else:
            rest += block
    if rest:
        yield rest


def whole(file: DataFile, encoding: str = "utf-8", errors: str = "strict") -> bytes:
    """All of the content, in UTF-8."""
    return b"".join(blocks(file, encoding, errors))


def in_order(make: Callable[[Found], Made], items: Iterable[Found]) -> Iterator[Made]:
    """`make` of each item, in order, some threads ahead. Arrow's parsers leave the interpreter to others meanwhile."""
    waiting: list[Future[Made]] = []
    source = iter(items)
    threads = min(THREADS, os.cpu_count() or 1)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="madang-read")
    try:
        waiting += [pool.submit(make, item) for item in islice(source, threads)]
        while waiting:
            made = waiting.pop(0).result()
            waiting += [pool.submit(make, item) for item in islice(source, 1)]
            yield made
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _is_utf8(encoding: str) -> bool:
    return codecs.lookup(encoding).name in ("utf-8", "utf-8-sig", "ascii")


def wrong_encoding(file: DataFile, encoding: str, reason: str) -> DatasetGenerationError:
    """The error for a file that is not in `encoding`; it names those that its beginning could be in."""
    with file.open() as stored:
        begin = unpacked(stored).read(100_000)
    begin = begin[: begin.rfind(b"\n") + 1] or begin  # no character cut in two
    utf16 = begin.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    fitting = []
    for other in ("utf-16",) if utf16 else ("utf-8", "cp949", "latin-1"):
        try:
            begin.decode(other)
        except UnicodeError:
            if not utf16:
                continue
        if codecs.lookup(other).name != codecs.lookup(encoding).name:
            fitting.append(other)
    first = fitting[0] if fitting else "latin-1"
    return DatasetGenerationError(
        f"{file.name} is not {encoding} ({reason}). Its beginning could be {', '.join(fitting)}: "
        f"try encoding={first!r}."
    )


class StartOver(Exception):
    """Columns that turn out to hold text, after some of their rows were given out as something else.

    Whoever collects rows throws away what there is and reads again with `texts`, so that `007` stays `007`.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        super().__init__("read again")
        self.texts = frozenset(texts)


def local(paths: Iterable[str | os.PathLike[str] | DataFile]) -> Iterator[DataFile]:
    """Paths as data files, each when it is its turn."""
    for path in paths:
        yield path if isinstance(path, DataFile) else DataFile(os.fspath(Path(path)))


def blocks_as_stored(stream: pa.NativeFile) -> Iterator[bytes]:
    """The rest of a file, some bytes at a time."""
    return iter(partial(stream.read, BLOCK), b"")
