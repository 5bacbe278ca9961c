"""Data files on the web and on other storage: downloaded once and kept by what the server calls their version, or read
piece by piece while streaming."""

import io
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urljoin, urlsplit

import pyarrow as pa

from madang import settings
from madang.datasets import cache
from madang.datasets.find import has_magic, matching
from madang.datasets.progress import is_progress_bar_enabled
from madang.datasets.readers.files import DataFile
from madang.errors import DataFilesNotFoundError, HubError, InputError, MissingFileError, UnreachableHubError
from madang.writing import write_text

_WINDOW = 4 << 20  # bytes that are asked for at a time
_TRIES = 4
_MOVES = 20
_TIMEOUT = 60.0
_TOO_BUSY = (408, 429, 500, 502, 503, 504)
_MOVED = (301, 302, 303, 307, 308)
# headers of ours that say what is wanted, not who asks
_ABOUT_THE_FILE = ("range", "if-none-match", "accept-encoding")

Found = TypeVar("Found")


@dataclass(frozen=True)
class How:
    """How servers are asked: how often when there is no answer, whether at all, and whether a bar shows it."""

    tries: int = _TRIES
    offline: bool = False
    bar: bool = True


_USUALLY = How()


@dataclass(frozen=True)
class UrlFile(DataFile):
    """A file at an http(s) address. `headers` are sent to that server only, not to those that it refers to."""

    headers: Mapping[str, str] = field(default_factory=dict, repr=False, compare=False)
    folder: str = field(default="", repr=False, compare=False)  # where downloads are kept
    lazy: bool = False
    how: How = field(default=_USUALLY, repr=False, compare=False)

    def identity(self) -> tuple[Any, ...]:
        offline = self.how.offline or settings.datasets_offline()
        known = None if offline else _announced(self.name, self.headers, self.how.tries)
        return (known or _version(self._download()),)

    def open(self) -> pa.NativeFile:
        if self.lazy:
            return pa.PythonFile(RangeReader(self.name, self.headers, self.how.tries), "r")
        return pa.OSFile(self.existing())

    def path(self) -> str | None:
        return None if self.lazy else self.existing()

    def lazily(self) -> DataFile:
        return self if self.how.offline else replace(self, lazy=True)

    def existing(self) -> str:
        return str(self._download())

    def _download(self) -> Path:
        folder = Path(self.folder) if self.folder else cache.root() / "downloads"
        return downloaded(self.name, self.headers, folder, how=self.how)


_fresh: dict[tuple[str, str], Path] = {}  # downloads that this process has already asked about


def downloaded(
    address: str, headers: Mapping[str, str], folder: Path, *, again: bool = False, how: How = _USUALLY
) -> Path:
    """The file at `address` on this machine. The server is asked whether its version (ETag) is still the kept one.

    Raises MissingFileError when there is no such file, UnreachableHubError when the server gives no answer and nothing
    is kept.
    """
    known = _fresh.get((str(folder), address))
    if known is not None and known.is_file() and not again:
        return known
    name = sha256(address.encode()).hexdigest()[:40]
    note = folder / f"{name}.json"
    kept = _kept(note, folder)
    if how.offline or settings.datasets_offline():
        if kept is None:
            raise UnreachableHubError(
                f"{address} was never downloaded, and working offline was asked for (HF_HUB_OFFLINE, or "
                "local_files_only=True)."
            )
        return kept[0]
    asked = {**headers, **({"If-None-Match": kept[1]} if kept and kept[1] and not again else {})}
    try:
        fetched = _patiently(lambda: _fetched(address, asked, folder, name, note, how), address, how.tries)
        path = fetched or (kept[0] if kept else None)
    except UnreachableHubError:
        if kept is None:
            raise
        path = kept[0]  # the server is away; what it gave last is here
    assert path is not None
    _fresh[str(folder), address] = path
    return path


def _announced(address: str, headers: Mapping[str, str], tries: int) -> str:
    """What the server calls the version of a file, without the file; '' when it does not say."""
    try:
        with _answer("HEAD", address, headers, tries) as response:
            return str(response.headers.get("etag") or "").removeprefix("W/")
    except HubError:
        return ""  # some servers answer only when they are asked for the file itself


def _fetched(address: str, headers: Mapping[str, str], folder: Path, name: str, note: Path, how: How) -> Path | None:
    """Download; None when the server says that the kept file is still the right one."""
    with _answer("GET", address, headers, how.tries) as response:
        if response.status_code == 304:
            return None
        version = response.headers.get("etag") or ""
        total = int(response.headers.get("content-length") or 0)
        digest = sha256()

        def write(part: Path) -> None:
            with open(part, "wb") as file:
                for block in _shown(response.iter_bytes(1 << 20), total, address, bar=how.bar):
                    digest.update(block)
                    file.write(block)

        ending = "".join(Path(urlsplit(address).path).suffixes[-2:])[:20]
        path = folder / f"{name}.{sha256((version or str(time.time_ns())).encode()).hexdigest()[:16]}{_safe(ending)}"
        if path.exists():
            cache.forget(path)
        cache.once(path, write)
    write_text(note, json.dumps({"url": address, "etag": version, "file": path.name, "sha256": digest.hexdigest()}))
    return path


def _safe(ending: str) -> str:
    return ending if all(sign.isalnum() or sign == "." for sign in ending) else ""


def _kept(note: Path, folder: Path) -> tuple[Path, str] | None:
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        path = folder / Path(str(found["file"])).name
        return (path, str(found["etag"])) if path.is_file() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _version(path: Path) -> str:
    """What changes when the content of a download does: what the server called it, else its digest."""
    note = path.with_name(path.name.split(".")[0] + ".json")
    try:
        found = json.loads(note.read_text(encoding="utf-8"))
        return str(found["etag"]).removeprefix("W/") or str(found["sha256"])
    except (OSError, ValueError, KeyError):
        return path.name


def _shown(blocks: Iterator[bytes], total: int, address: str, *, bar: bool) -> Iterator[bytes]:
    if not bar or not is_progress_bar_enabled():
        yield from blocks
        return
    from tqdm import tqdm

    name = os.path.basename(urlsplit(address).path) or address
    with tqdm(total=total or None, desc=name[-40:], unit="B", unit_scale=True, delay=1.0, leave=False) as shown:
        for block in blocks:
            yield block
            shown.update(len(block))


class _Answer:
    """A response that is read as it comes, and closed at the end."""

    def __init__(self, response: Any, stream: Any) -> None:
        self._response, self._stream = response, stream

    def __enter__(self) -> Any:
        return self._response

    def __exit__(self, *error: Any) -> None:
        self._stream.__exit__(*error)


def _answer(method: str, address: str, headers: Mapping[str, str], tries: int) -> _Answer:
    """What the server says; asked again when it is too busy. Other servers that it refers to do not get `headers`."""
    reason = "no answer"
    for attempt in range(tries):
        if attempt:
            time.sleep(min(0.5 * 2**attempt, 8))
        try:
            response, stream = _followed(method, address, headers)
        except Exception as error:
            if not _is_broken_connection(error):
                raise
            reason = f"{type(error).__name__}: {error}"
            if "UnsupportedProtocol" in reason or "InvalidURL" in reason:
                raise InputError(f"{address} is no address that can be asked: {error}.") from error
            continue
        if response.status_code not in _TOO_BUSY:
            break
        reason = f"status {response.status_code}"
        stream.__exit__(None, None, None)
    else:
        raise UnreachableHubError(f"Couldn't reach {address} ({reason}), tried {tries} times.")
    if response.status_code in (404, 410):
        stream.__exit__(None, None, None)
        raise UrlNotFoundError(f"Unable to find {address}: the server answered {response.status_code}.")
    if response.status_code >= 400:
        stream.__exit__(None, None, None)
        raise HubError(f"{address} cannot be read: the server answered {response.status_code}.")
    return _Answer(response, stream)


def _followed(method: str, address: str, headers: Mapping[str, str]) -> tuple[Any, Any]:
    """The answer of the server that has the file, wherever the one that was asked refers to, and its stream."""
    from huggingface_hub.utils import get_session  # type: ignore[attr-defined]

    at, sent = address, dict(headers)
    for _ in range(_MOVES):
        stream = get_session().stream(method, at, headers=sent, follow_redirects=False, timeout=_TIMEOUT)
        response = stream.__enter__()
        place = response.headers.get("location")
        if response.status_code not in _MOVED or not place:
            return response, stream
        stream.__exit__(None, None, None)
        before, at = at, urljoin(at, place)
        if not _is_same_server(before, at):
            sent = {name: value for name, value in sent.items() if name.lower() in _ABOUT_THE_FILE}
    raise HubError(f"{address} cannot be read: it has moved more than {_MOVES} times.")


def _is_same_server(one: str, other: str) -> bool:
    """Whether two addresses are of one server; one that goes on to speak https stays the same."""
    old, new = urlsplit(one), urlsplit(other)
    if (old.scheme, new.scheme) == ("http", "https") and old.port in (None, 80) and new.port in (None, 443):
        return old.hostname == new.hostname
    return (old.scheme, old.netloc) == (new.scheme, new.netloc)


def _patiently(action: Callable[[], Found], address: str, tries: int) -> Found:
    """What `action` gives; tried again when the connection breaks in the middle."""
    for attempt in range(tries):
        if attempt:
            time.sleep(min(0.5 * 2 ** (attempt - 1), 8))
        try:
            return action()
        except Exception as error:
            if not _is_broken_connection(error):
                raise
            reason = f"{type(error).__name__}: {error}"
    raise UnreachableHubError(f"Couldn't read {address} to its end ({reason}), tried {tries} times.")


def _is_broken_connection(error: Exception) -> bool:
    return type(error).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2", "requests", "urllib3")


class UrlNotFoundError(MissingFileError, FileNotFoundError):
    """An address at which there is nothing."""


class RangeReader(io.RawIOBase):
    """A file on the web, read from any place, a few megabytes at a time; nothing is kept.

    From a server that gives only whole files, reading forward costs one answer and going back another.
    """

    def __init__(self, address: str, headers: Mapping[str, str], tries: int = _TRIES) -> None:
        super().__init__()
        self._address, self._headers, self._tries = address, headers, tries
        self._at, self._start, self._window = 0, 0, b""
        self._size: int | None = None
        self._whole: Any = None  # an answer that holds everything, being read; and where it stands
        self._whole_at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def size(self) -> int:
        """How many bytes there are."""
        if self._size is None:
            with _answer("HEAD", self._address, self._headers, self._tries) as response:
                self._size = int(response.headers.get("content-length") or 0)
        return self._size

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._at}.get(whence)
        self._at = max(0, (self.size() if start is None else start) + offset)
        return self._at

    def readinto(self, target: Any) -> int:
        if not self._start <= self._at < self._start + len(self._window):
            self._window, self._start = _patiently(self._next_window, self._address, self._tries), self._at
        place = self._at - self._start
        part = self._window[place : place + len(target)]
        target[: len(part)] = part
        self._at += len(part)
        return len(part)

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, fewer only at the end."""
        parts, left = [], size if size is not None and size >= 0 else -1
        while left:
            buffer = bytearray(left if 0 < left < _WINDOW else _WINDOW)
            count = self.readinto(buffer)
            if not count:
                break
            parts.append(bytes(buffer[:count]))
            left -= count if left > 0 else 0
        return b"".join(parts)

    def _next_window(self) -> bytes:
        try:
            return self._piece(self._at)
        except Exception:
            self._end()  # whatever was being read is broken
            raise

    def _piece(self, at: int) -> bytes:
        if self._size is not None and at >= self._size:
            return b""
        if self._whole is None:
            wanted = {**self._headers, "Range": f"bytes={at}-{at + _WINDOW - 1}", "Accept-Encoding": "identity"}
            answer = _answer("GET", self._address, wanted, self._tries)
            response = answer.__enter__()
            if response.status_code == 206:
                try:
                    content: bytes = response.read()
                finally:
                    answer.__exit__(None, None, None)
                self._size = _total(response.headers.get("content-range"), self._size)
                return content
            if response.status_code == 416:
                answer.__exit__(None, None, None)
                return b""
            self._begin(answer, response)
        elif at < self._whole_at:
            self._end()
            return self._piece(at)
        return self._forward(at)

    def _begin(self, answer: _Answer, response: Any) -> None:
        self._whole, self._whole_at = (answer, response.iter_bytes(1 << 20)), 0
        length = response.headers.get("content-length")
        self._size = int(length) if length and not response.headers.get("content-encoding") else self._size

    def _forward(self, at: int) -> bytes:
        for block in self._whole[1]:
            start, self._whole_at = self._whole_at, self._whole_at + len(block)
            if self._whole_at > at:
                return bytes(block[at - start :])
        return b""

    def _end(self) -> None:
        if self._whole is not None:
            self._whole[0].__exit__(None, None, None)
            self._whole = None

    def close(self) -> None:
        self._end()
        super().close()


def _total(content_range: str | None, known: int | None) -> int | None:
    total = (content_range or "").rpartition("/")[2]
    return int(total) if total.isdigit() else known


@dataclass(frozen=True)
class StorageFile(DataFile):
    """A file on storage that fsspec knows: `s3://`, `gs://`, `memory://`, … read where it lies."""

    options: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)

    def identity(self) -> tuple[Any, ...]:
        system, path = _storage(self.name, self.options)
        try:
            return (str(system.ukey(path)),)
        except NotImplementedError:
            found = system.info(path)
            return tuple(str(found.get(key)) for key in ("size", "mtime", "LastModified", "ETag", "created"))

    def open(self) -> pa.NativeFile:
        system, path = _storage(self.name, self.options)
        try:
            return pa.PythonFile(system.open(path, "rb"), "r")
        except FileNotFoundError as error:
            raise UrlNotFoundError(f"Unable to find {self.name!r}.") from error

    def path(self) -> None:
        return None

    def existing(self) -> str:
        return self.name


def _storage(address: str, options: Mapping[str, Any]) -> tuple[Any, str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(address, **_options_for(address, options))
    except (ImportError, ValueError) as error:
        raise InputError(f"{address} cannot be read: {error}") from error
    return system, path


def _options_for(address: str, options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Options may be given by protocol: {"s3": {…}}."""
    protocol = address.split("://", 1)[0]
    inner = options.get(protocol)
    return inner if isinstance(inner, Mapping) else options


def storage_files(pattern: str, options: Mapping[str, Any]) -> list[DataFile]:
    """The files on other storage that an address with or without wildcards means."""
    system, path = _storage(pattern, options)
    protocol = pattern.split("://", 1)[0]
    if not has_magic(path):
        if system.isdir(path):
            path = path.rstrip("/") + "/**"
        else:
            if not system.exists(path):
                raise UrlNotFoundError(f"Unable to find {pattern!r}.")
            return [StorageFile(pattern, options)]
    start = path[: min(place for place in (path.find(sign) for sign in "*?[") if place >= 0)].rpartition("/")[0]
    names = [name[len(start) :].lstrip("/") for name in system.find(start)] if system.exists(start or "/") else []
    found = matching(path[len(start) :].lstrip("/"), names)
    if not found:
        raise DataFilesNotFoundError(f"Couldn't find any data file at {pattern}.")
    prefix = f"{start.rstrip('/')}/" if start else ""
    return [StorageFile(f"{protocol}://{(prefix + name).lstrip('/')}", options) for name in found]
