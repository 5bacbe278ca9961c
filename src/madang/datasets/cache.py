"""Prepared data on disk: made once, whoever asks first, and thrown away when there is too much of it.

    <root>/…/cache-5f0c….arrow                what was made: a file or a folder
    <root>/…/.incomplete-<8 digits>-<name>    being written; left over when its process was killed
    <root>/…/.<name>.lock                     held by the process that makes <name>; removed when it is there
    <root>/.entries/<key>                     text: the path of one entry. Changed last when the entry was used last

Two processes that want the same entry: one makes it, the other waits and takes it. The lock is the system's (flock),
so it ends with its process, however that ends; what a dead process left is removed by the next one that makes something
in that folder.

A process keeps a shared lock on the `.entries` file of everything it used, and `prune` wants that lock for itself
alone: what is in use stays, and what a killed process used does not stay for ever, as it would with users noted in a
file. Memory-mapped files would survive being removed, but the workers that a process starts open them anew.
"""

import contextlib
import errno
import logging
import os
import re
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import blake2b
from multiprocessing.util import Finalize
from pathlib import Path
from secrets import token_hex

from filelock import FileLock, Timeout

from madang import settings
from madang.datasets.sizes import read_size, readable
from madang.errors import InputError, MadangError

try:
    import fcntl
except ImportError:  # Windows: entries are made under a lock as elsewhere, but nobody notes that one is in use
    fcntl = None  # type: ignore[assignment]

_ENTRIES = ".entries"
# what ArrowWriter puts beside a file while it writes ends in .part, and belongs to that file
_ASIDE = re.compile(r"\.(?P<why>incomplete|removed)-[0-9a-f]{8}-(?P<name>.+?)(\.\w+\.part)?", re.DOTALL)
# entries whose lock one process holds; the first are let go when there are more
_HELD_AT_MOST = 256
_FULL = {errno.ENOSPC, errno.EDQUOT}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}

_log = logging.getLogger(__name__)
_held: dict[Path, int] = {}
_holding = threading.Lock()
_caching: bool | None = None


class CacheError(MadangError, OSError):
    """The cache cannot take something: the disk is full, the folder cannot be written."""


@dataclass(frozen=True)
class Entry:
    """Something the cache holds: its name (the path inside the cache), its size in bytes, when it was used last."""

    name: str
    bytes: int
    last_used: datetime
    path: Path


# where, and whether


def root() -> Path:
    """The cache folder: `HF_DATASETS_CACHE`, else `datasets` in `HF_HOME`. It need not exist."""
    return settings.datasets_cache_root()


def enable_caching() -> None:
    """Keep results of `map`, `filter` and others, and take them from there when asked again (the default)."""
    global _caching
    _caching = True


def disable_caching() -> None:
    """Compute everything anew. Results of this process go to a temporary folder that is removed at its end."""
    global _caching
    _caching = False


def is_caching_enabled() -> bool:
    """Whether results are kept and reused."""
    return settings.datasets_caching() if _caching is None else _caching


# making


def once(
    path: str | os.PathLike[str],
    make: Callable[[Path], object],
    *,
    is_whole: Callable[[Path], bool] | None = None,
) -> Path:
    """`path`, made by `make` unless it is there already.

    `make` gets a path beside it that does not exist yet and writes a file or a folder there. Nobody sees it before it
    is whole and on the disk; when `make` fails, nothing is left. Processes that ask for the same path make it once.
    Waiting for the disk takes longer than making large files. With `is_whole`, which looks at sizes that `make` noted,
    say, nothing is waited for; what a power cut left of it is made anew.

    Raises CacheError when the disk is full or the folder cannot be written, else what `make` raises.
    """
    path = Path(os.path.abspath(path))
    if is_whole is not None and path.exists() and not is_whole(path):
        forget(path)
    while not (path.exists() and _use(path)):
        with _making(path):
            if path.exists():
                continue
            for outer in path.parents:
                # a dataset that something is made from must not be removed meanwhile
                if (marker := _marker(outer)) is not None and marker.exists():
                    _use(outer)
            _sweep(path)
            _make(path, make, flushed=is_whole is None)
        if _use(path):
            _keep_limit(path)
    return path


def forget(path: str | os.PathLike[str]) -> None:
    """Remove a file or folder of the cache, so that `once` makes it anew. Whoever reads it now may go on."""
    path = Path(os.path.abspath(path))
    marker = _marker(path)
    if marker is not None:
        _let_go(marker)
    _remove(path)
    if marker is not None:
        with contextlib.suppress(OSError):
            marker.unlink()


def clean(folder: str | os.PathLike[str], keep: Iterable[str | os.PathLike[str]] = ()) -> int:
    """Forget the results (`cache-…`) in a folder, except those that are, or hold, a path in `keep`; how many."""
    kept = {part for path in map(os.path.abspath, keep) for part in (path, *map(str, Path(path).parents))}
    gone = 0
    for path in sorted(Path(os.path.abspath(folder)).glob("cache-*")):
        if str(path) not in kept:
            forget(path)
            gone += 1
    return gone


@contextlib.contextmanager
def _making(path: Path) -> Iterator[None]:
    """The right to make `path`, for as long as the block runs; waits for a process that is making it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(_beside(path, "lock"))
        try:
            lock.acquire(timeout=0)
        except Timeout:
            _log.info("waiting for another process that is making %s", path)
            lock.acquire()
    except OSError as error:
        if error.errno not in _FORBIDDEN:
            raise
        raise CacheError(
            error.errno,
            f"{path.name} has to be made, but nothing can be written into {path.parent}. Set HF_DATASETS_CACHE to a "
            "folder of yours, or pass cache_dir=.",
        ) from error
    try:
        yield
    finally:
        # whoever waits for it sees that it is gone, and looks again
        with contextlib.suppress(OSError):
            os.unlink(lock.lock_file)
        lock.release()


def _make(path: Path, make: Callable[[Path], object], *, flushed: bool) -> None:
    part = path.with_name(f".incomplete-{token_hex(4)}-{path.name}")
    try:
        make(part)
        if not part.exists():
            raise InputError(f"nothing was written for {path}: the function has to write to the path it is given.")
        if flushed:
            _to_disk(part)
        try:
            os.replace(part, path)
        except OSError:
            # a lock may not hold on every disk; then whoever was first has made the same
            if not path.exists():
                raise
        if flushed:
            _sync(path.parent)
    except OSError as error:
        if error.errno in _FULL or "No space left" in str(error):
            raise _full(path, part, error) from error
        raise
    finally:
        _delete(part)


def _full(path: Path, part: Path, error: OSError) -> CacheError:
    written = readable(size(part))
    with contextlib.suppress(OSError):
        free = readable(shutil.disk_usage(path.parent).free)
        return CacheError(
            error.errno or errno.ENOSPC,
            f"the disk of {path.parent} is full: {path.name} had {written} so far, and {free} are free now. Nothing is "
            "left of it. Free some space (`madang cache prune --max 20GB` removes what was not used for longest), or "
            "set HF_DATASETS_CACHE to a larger disk.",
        )
    return CacheError(error.errno or errno.ENOSPC, f"the disk of {path.parent} is full; {path.name} was not made.")


def _to_disk(part: Path) -> None:
    """Wait until what was written would survive a power cut."""
    if part.is_file():
        _sync(part)
        return
    for folder, _, files in os.walk(part):
        for name in files:
            _sync(Path(folder, name))
        _sync(Path(folder))


def _sync(path: Path) -> None:
    with contextlib.suppress(PermissionError):  # folders cannot be opened on Windows
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network disks cannot
                raise
        finally:
            os.close(handle)


def _sweep(path: Path) -> None:
    """Remove what processes that are gone left half-written beside `path`, whose lock is ours."""
    for left in sorted(path.parent.iterdir()):
        match = _ASIDE.fullmatch(left.name)
        if match is None:
            continue
        if match["why"] == "removed" or match["name"] == path.name:
            _delete(left)
            continue
        lock = FileLock(_beside(path.with_name(match["name"]), "lock"))
        with contextlib.suppress(Timeout, OSError), lock.acquire(timeout=0):
            _delete(left)
            os.unlink(lock.lock_file)


def _beside(path: Path, kind: str) -> str:
    return str(path.with_name(f".{path.name}.{kind}"))


def _remove(path: Path) -> None:
    """Remove a file or folder so that nobody finds half of it."""
    aside = path.with_name(f".removed-{token_hex(4)}-{path.name}")
    with contextlib.suppress(FileNotFoundError):
        os.replace(path, aside)
        _delete(aside)


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(FileNotFoundError):
            path.unlink()


# who uses what


def _marker(path: Path) -> Path | None:
    """The `.entries` file of `path`; None for what lies outside the cache folder, which is its owner's business."""
    top = Path(os.path.abspath(root()))
    if not path.is_relative_to(top) or path == top:
        return None
    return top / _ENTRIES / _name_key(path.relative_to(top).as_posix())


def _name_key(name: str) -> str:
    return blake2b(name.encode("utf-8", "surrogateescape"), digest_size=16).hexdigest()


def _use(path: Path) -> bool:
    """Note that this process uses `path` now; False when it was removed meanwhile."""
    marker = _marker(path)
    if marker is None:
        return True
    with _holding:
        if marker not in _held:
            handle = _shared(marker, path)
            if handle is None:
                return False
            if handle < 0:  # a cache that others share and that cannot be written is used as it is
                return path.exists()
            _held[marker] = handle
            while len(_held) > _HELD_AT_MOST:
                os.close(_held.pop(next(iter(_held))))
        with contextlib.suppress(OSError):
            os.utime(marker)
    return path.exists()


def _shared(marker: Path, path: Path) -> int | None:
    """An open file with a shared lock on it; -1 where there can be none, None while `path` is being removed."""
    try:
        marker.parent.mkdir(exist_ok=True)
        handle = os.open(marker, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError:
        return -1
    try:
        if os.fstat(handle).st_size == 0:
            name = path.relative_to(os.path.abspath(root())).as_posix()
            os.write(handle, name.encode("utf-8", "surrogateescape"))
        if fcntl is not None:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        if os.fstat(handle).st_nlink:
            return handle
    except BlockingIOError:
        time.sleep(0.02)
    except OSError:  # a disk without such locks
        return handle
    os.close(handle)
    return None


def _let_go(marker: Path) -> None:
    with _holding:
        handle = _held.pop(marker, None)
    if handle is not None:
        os.close(handle)


# how much, and too much


def size(folder: str | os.PathLike[str] | None = None) -> int:
    """Bytes of all files in a folder (or of one file); of the whole cache when none is given."""
    path = root() if folder is None else Path(folder)
    if path.is_file():
        return path.stat().st_size
    return sum(found for _, found in _files(path))


def _files(folder: Path) -> Iterator[tuple[str, int]]:
    for at, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                full = os.path.join(at, name)
                yield full, os.lstat(full).st_size


def entries() -> list[Entry]:
    """What the cache holds, used last comes last. What lies inside another entry counts there no second time."""
    top = Path(os.path.abspath(root()))
    noted: dict[str, float] = {}
    with contextlib.suppress(FileNotFoundError):
        for marker in sorted((top / _ENTRIES).iterdir()):
            name = _noted(marker)
            if name is not None and (top / name).exists():
                noted[str(top / name)] = marker.stat().st_mtime
    sizes = dict.fromkeys(noted, 0)
    used = dict(noted)
    for file, found in _files(top) if noted else ():
        owners = [place for place in (file, *map(str, Path(file).parents)) if place in noted]
        if owners:
            sizes[owners[0]] += found
    for place in noted:
        for outer in map(str, Path(place).parents):
            if outer in used:
                # a folder is in use as long as something in it is
                used[outer] = max(used[outer], used[place])
    # what lies deeper goes before the folder it lies in
    order = sorted(noted, key=lambda place: (used[place], -place.count(os.sep), place))
    return [
        Entry(
            Path(place).relative_to(top).as_posix(), sizes[place], datetime.fromtimestamp(used[place], UTC), Path(place)
        )
        for place in order
    ]


def _noted(marker: Path) -> str | None:
    """The name in an `.entries` file; None when it is not one that could have been written here."""
    try:
        name = os.fsdecode(marker.read_bytes())
    except OSError:
        return None
    inside = name and not name.startswith("/") and ".." not in name.split("/")
    return name if inside and _name_key(name) == marker.name else None


def prune(max_bytes: int | str) -> list[Entry]:
    """Remove entries, those used longest ago first, until the rest takes at most `max_bytes` (as 20GB, or a number).

    Never touches what a running process uses, nor files that the cache did not make. Returns what was removed.
    """
    limit = read_size(max_bytes)
    known = entries()
    total = sum(entry.bytes for entry in known)
    gone: list[Entry] = []
    kept = known
    for entry in known:
        if total <= limit:
            break
        # what lies inside an entry was used no later, so it is gone already, unless it could not be removed
        within = [other for other in kept if f"{other.name}/".startswith(f"{entry.name}/")]
        if _prune(entry, within):
            gone += within
            kept = [other for other in kept if other not in within]
            total -= sum(other.bytes for other in within)
    if total > limit:
        _log.info("the cache takes %s; what is in use cannot be removed", readable(total))
    return gone


def _prune(entry: Entry, within: list[Entry]) -> bool:
    """Remove an entry and those inside it; False when one is in use."""
    with contextlib.ExitStack() as stack:
        markers = [marker for other in within if (marker := _marker(other.path)) is not None]
        for marker in markers:
            if not stack.enter_context(_alone(marker)):
                return False
        try:
            _remove(entry.path)
        except OSError as error:
            _log.info("%s cannot be removed: %s", entry.path, error)
            return False
        for marker in markers:
            with contextlib.suppress(OSError):
                marker.unlink()
    return True


@contextlib.contextmanager
def _alone(marker: Path) -> Iterator[bool]:
    """Whether nobody else uses the entry of `marker`, nor can begin to while the block runs."""
    try:
        handle = os.open(marker, os.O_RDWR)
    except OSError:
        yield False
        return
    try:
        free = True
        if fcntl is not None:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                free = False
        yield free
    finally:
        os.close(handle)


def is_in_use(entry: Entry) -> bool:
    """Whether a running process, this one included, uses an entry."""
    marker = _marker(entry.path)
    if marker is None:
        return False
    with _alone(marker) as free:
        return not free


def _keep_limit(path: Path) -> None:
    """Make room when a limit is set and something new came."""
    limit = settings.datasets_cache_limit()
    if limit is not None and _marker(path) is not None:
        prune(limit)


# when nothing is to be kept

_temporary: Path | None = None


def temporary_folder() -> Path:
    """A folder for results that are not kept; removed when the process that first asked for it ends.

    Processes forked from that one share it, and do not remove it. Lies in `TMPDIR`, which is made when it is not there.
    """
    global _temporary
    with _holding:
        if _temporary is None or not _temporary.is_dir():
            inside = settings.temporary_directory()
            if inside is not None:
                _check_temporary(inside)
            _temporary = Path(tempfile.mkdtemp(prefix="madang-datasets-", dir=inside))
            # unlike atexit, this also runs at the end of a worker process, and never in one forked later
            Finalize(None, shutil.rmtree, (_temporary, True), exitpriority=0)
        return _temporary


def _check_temporary(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise CacheError(errno.ENOTDIR, f"TMPDIR is set to {str(folder)!r}, which is not a directory. Set it to one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CacheError(
            error.errno or errno.EACCES,
            f"TMPDIR is set to {str(folder)!r}, which is not there and could not be created ({error}). Set it to a "
            "folder that can be written.",
        ) from error
