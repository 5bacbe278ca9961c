"""Where written bytes go: a file, a URL, an open file object; compressed or not.

A file is written aside and swapped in: whoever reads sees the old one or the whole new one. A URL is written through
fsspec, and an open file object gets the bytes as they come.
"""

import io
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, BinaryIO, TextIO, cast

import pyarrow as pa

from madang.errors import InputError, WrongTypeError
from madang.writing import write_file

Target = str | os.PathLike[str] | BinaryIO | TextIO
Options = Mapping[str, Any] | None
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".xz": "xz", ".zst": "zstd"}


class UnknownCompressionError(InputError, NotImplementedError):
    """A way to compress that is not known here."""


def write_parts(target: Target, parts: Iterable[bytes | pa.Buffer], compression: Any, storage_options: Options) -> int:
    """Write the parts, and count the bytes there were before compression."""
    written = 0

    def write(file: Any) -> None:
        nonlocal written
        for part in parts:
            file.write(part)
            written += len(part)

    write_into(target, write, _compression(target, compression), storage_options)
    return written


def _compression(target: Target, asked: Any) -> str | None:
    method = asked.get("method", "infer") if isinstance(asked, Mapping) else asked
    if method == "infer":
        named = os.fspath(target) if isinstance(target, (str, os.PathLike)) else ""
        return _COMPRESSIONS.get(os.path.splitext(named)[1].lower())
    if method is not None and method not in _COMPRESSIONS.values():
        raise UnknownCompressionError(f"compression={method!r} is none of {', '.join(_COMPRESSIONS.values())}.")
    return cast(str | None, method)


def write_into(target: Target, write: Callable[[Any], None], compression: str | None, storage_options: Options) -> int:
    """Give `write` an open binary file: one that takes the place of `target` when all is written, or `target` itself.

    Returns how many bytes arrived there.
    """
    if isinstance(target, (str, os.PathLike)):
        named = os.fspath(target)
        if "://" in named and not named.startswith("file://"):
            import fsspec

            with fsspec.open(named, "wb", **(storage_options or {})) as file:
                return _compressed(file, write, compression)
        path, size = Path(named.removeprefix("file://")).expanduser(), 0

        def fill(part: Path) -> None:
            nonlocal size
            with open(part, "wb") as file:
                size = _compressed(file, write, compression)

        write_file(path, fill)
        return size
    if not hasattr(target, "write"):
        raise WrongTypeError(f"a path or an open file is needed, not {target!r} ({type(target).__name__}).")
    return _compressed(target, write, compression)


def _compressed(file: Any, write: Callable[[Any], None], compression: str | None) -> int:
    counting = _Counting(file)
    if compression is None:
        write(counting)
    else:
        with _compressing(counting, compression) as packed:
            write(packed)
    return counting.written


def _compressing(file: Any, compression: str) -> Any:
    import bz2
    import gzip
    import lzma

    match compression:
        case "gzip":  # no name and no time inside: the same rows give the same file
            return gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0)
        case "bz2":
            return bz2.BZ2File(file, "wb")
        case "xz":
            return lzma.LZMAFile(file, "wb")
    return pa.CompressedOutputStream(pa.PythonFile(file, "w"), compression)


class HoldingBack:
    """An open file whose errors come with `check`: Arrow's Parquet writer ends the process when a write fails."""

    def __init__(self, file: Any) -> None:
        self._file, self.closed = file, False
        self._error: Exception | None = None

    def write(self, part: Any) -> int:
        """Write, unless that failed before."""
        if self._error is None:
            try:
                self._file.write(part)
            except Exception as error:
                self._error = error
        return len(part)

    def check(self) -> None:
        """Raise what was held back."""
        if self._error is not None:
            raise self._error

    def flush(self) -> None:
        """The file belongs to the caller."""

    def close(self) -> None:
        """The file belongs to the caller."""


class _Counting:
    """An open file that counts what it is given; one opened for text gets text."""

    def __init__(self, file: Any) -> None:
        self.file, self.written, self.is_text = file, 0, isinstance(file, io.TextIOBase)
        self.closed = False

    def write(self, part: Any) -> int:
        size = len(part)
        self.file.write(bytes(part).decode("utf-8") if self.is_text else part)
        self.written += size
        return size

    def flush(self) -> None:
        if hasattr(self.file, "flush"):
            self.file.flush()

    def close(self) -> None:
        """The file belongs to the caller."""
