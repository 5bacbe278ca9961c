"""Taking over what a machine has in its Hugging Face cache: what people carry into buildings without internet.

The cache holds snapshots, not histories: each repository gets one commit per snapshot. A tag named like the original
commit leads to it, so that code with a pinned `revision=` keeps working.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import Connection

from madang.errors import InputError
from madang.server.accounts.caller import Account, Caller
from madang.server.git.commits import NewFile
from madang.server.git.objects import Entry
from madang.server.git.pointers import Pointer
from madang.server.git.refs import MAIN, TAGS, move_ref, read_ref, resolve
from madang.server.git.store import Objects
from madang.server.git.trees import walk
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.repositories import service
from madang.server.repositories.names import SINGULARS
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import COLUMNS, Repository, from_row

PIECE = 1024 * 1024
# what is larger goes to the blob store: a commit of many middling files must fit into memory
LARGE_FROM_BYTES = 1024 * 1024


@dataclass(frozen=True)
class CachedSnapshots:
    """One repository in the cache: the commits that are there, main's last."""

    type: str
    name: str
    folder: Path
    commits: list[str]


def snapshots_in(cache: Path) -> Iterator[CachedSnapshots]:
    """The repositories of a cache folder (`~/.cache/huggingface/hub`). Raises InputError when it is none."""
    found = False
    for folder in sorted(cache.glob("*--*")):
        plural, *names = folder.name.split("--")
        if plural not in SINGULARS or not (folder / "snapshots").is_dir():
            continue
        found = True
        main = folder / "refs" / "main"
        head = main.read_text(encoding="utf-8").strip() if main.is_file() else ""
        commits = sorted(
            (path.name for path in (folder / "snapshots").iterdir()), key=lambda name: (name == head, name)
        )
        yield CachedSnapshots(SINGULARS[plural], "/".join(names), folder, commits)
    if not found:
        raise InputError(f"{cache} is no Hugging Face cache: no folder models--owner--name with snapshots is in it.")


def import_snapshots(
    hub: Hub,
    caller: Caller,
    cached: CachedSnapshots,
    owner: str | None = None,
    progress: Callable[[str, int, int], None] = lambda what, done, total: None,
) -> Repository:
    """Make the repository, or add to it, from what the cache holds; returns it.

    It belongs to `owner`, else to the account or organisation it is named after, which must exist.
    """
    namespace, _, name = cached.name.rpartition("/")
    with hub.database.write() as connection:
        wanted = f"{owner or namespace}/{name}".lower()
        row = connection.execute(
            repositories.select()
            .with_only_columns(*COLUMNS)
            .where(repositories.c.type == cached.type, repositories.c.key == wanted)
        ).first()
        sdk = "static" if cached.type == "space" else None
        repository = (
            from_row(row)
            if row is not None
            else service.create(connection, caller, cached.type, name, owner=owner or namespace or None, sdk=sdk)
        )
    assert caller.account is not None
    for done, commit in enumerate(cached.commits):
        progress(cached.name, done, len(cached.commits))
        _import_snapshot(hub, caller.account, repository, cached.folder / "snapshots" / commit)
    return repository


def _import_snapshot(hub: Hub, account: Account, repository: Repository, folder: Path) -> None:
    with hub.database.read() as connection:
        if read_ref(connection, repository.id, TAGS + folder.name) is not None:
            return  # it was taken over before
    changes: dict[str, NewFile | Entry | None] = {}
    brought: list[Pointer] = []
    for path in sorted(folder.rglob("*")):
        if not path.is_file():
            continue
        content = path.resolve()
        size = content.stat().st_size
        name = path.relative_to(folder).as_posix()
        if size > min(LARGE_FROM_BYTES, hub.settings.large_from_bytes):
            pointer = Pointer(_sha256(content), size)
            large_files.keep(hub, repository.id, _pieces(content), pointer.sha256, size, account.id)
            brought.append(pointer)
            changes[name] = NewFile(pointer.encode())
        else:
            changes[name] = NewFile(content.read_bytes())
    with hub.database.write() as connection:
        for gone in _paths(connection, repository) - changes.keys() - {".gitattributes"}:
            changes[gone] = None
        for pointer in brought:
            large_files.add(connection, repository.id, pointer.sha256, pointer.size, account.id)
        message = f"Import from a cache\n\nThe commit {folder.name} of where it came from."
        commit = service.change_files(connection, repository, MAIN, changes, author=account, message=message)
        move_ref(connection, repository.id, TAGS + folder.name, None, commit)


def _paths(connection: Connection, repository: Repository) -> set[str]:
    """The files of the main branch."""
    objects = Objects(connection, repository.id)
    tree = objects.commit(resolve(connection, repository.id, "main")).tree
    return {path for path, entry in walk(objects, tree, recursive=True) if not entry.is_folder}


def _pieces(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            yield piece


def _sha256(path: Path) -> str:
    # large files are named by their SHA-256 in the cache, but a cache is not to be trusted
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


__all__ = ["CachedSnapshots", "import_snapshots", "snapshots_in"]
