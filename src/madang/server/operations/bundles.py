"""One repository as a file, to be carried into another building.

The file is a tar archive: `repository.json` (what the hub knows of it, and its discussions), `repository.bundle` (a git
bundle, which `git clone` reads too), `large/<sha256>` for each large file, and `SHA256SUMS` over all of these, last.
Nothing of it becomes visible in the other hub before every hash was checked.
"""

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.errors import InputError
from madang.server.accounts.caller import Caller
from madang.server.accounts.records import accounts
from madang.server.database import insert
from madang.server.discussions.records import discussions, events, versions
from madang.server.git.objects import COMMIT
from madang.server.git.pointers import Pointer
from madang.server.git.protocol.checks import Inspection
from madang.server.git.protocol.filters import Filter
from madang.server.git.protocol.incoming import IncomingPack, PackLimits
from madang.server.git.protocol.pack_file import PackFile
from madang.server.git.protocol.packs import pack_of
from madang.server.git.protocol.raw_objects import CommitGraph, RawObjects
from madang.server.git.protocol.reachability import Boundary, lacking
from madang.server.git.protocol.room import temporary_file
from madang.server.git.protocol.storing import store_pack
from madang.server.git.records import refs
from madang.server.git.refs import list_refs
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.large_files.records import repository_blobs
from madang.server.rendering import VERSION, render_markdown
from madang.server.repositories import service
from madang.server.repositories.names import TYPES
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.search import index
from madang.server.storage.blobs import blob_key

FORMAT = 1
PIECE = 1024 * 1024
LONGEST_DESCRIPTION = 256 * 1024 * 1024
# a bundle comes from a hub of one's own: these guard against damage, and against what would not fit
LIMITS = PackLimits(file_bytes=2**31, total_bytes=2**40, object_bytes=2**31, objects=50_000_000)
_BUNDLE_REF = re.compile(rb"([0-9a-f]{40}) (refs/[^\n\0]{1,500})\n")


def export(hub: Hub, repository: Repository, to: Path) -> None:
    """Write the repository to the file `to`, which is whole or not there."""
    from madang.writing import write_file

    write_file(to, lambda part: _write(hub, repository, part))


def _write(hub: Hub, repository: Repository, part: Path) -> None:
    sums: dict[str, str] = {}
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
        with hub.database.read() as connection:
            described = json.dumps(_described(connection, repository), ensure_ascii=False).encode()
            named = list_refs(connection, repository.id)
            raw = RawObjects(connection, repository.id)
            wanted = [bytes.fromhex(target) for _, target in named]
            everything = lacking(raw, CommitGraph(raw), wanted, [], Boundary(), Filter())
            large = list(_large_files(connection, repository))
        _add(archive, sums, "repository.json", io.BytesIO(described), len(described))
        with temporary_file(hub.settings.data / "incoming") as room:
            head = "".join(f"{target} {name}\n" for name, target in named)
            room.write(f"# v2 git bundle\n{head}\n".encode())
            for piece in pack_of(hub.database, repository.id, everything):
                room.write(piece)
            size = room.tell()
            room.seek(0)
            _add(archive, sums, "repository.bundle", room, size)
        for pointer in large:
            content = _Reader(hub.storage.read(blob_key(pointer.sha256)))
            _add(archive, sums, f"large/{pointer.sha256}", content, pointer.size)
        listing = "".join(f"{digest}  {name}\n" for name, digest in sums.items()).encode()
        _add(archive, {}, "SHA256SUMS", io.BytesIO(listing), len(listing))


def _described(connection: Connection, repository: Repository) -> dict[str, Any]:
    row = connection.execute(sa.select(repositories).where(repositories.c.id == repository.id)).one()
    names = {row.id: row.name for row in connection.execute(sa.select(accounts.c.id, accounts.c.name))}
    threads = []
    query = sa.select(discussions).where(discussions.c.repository_id == repository.id).order_by(discussions.c.number)
    for thread in connection.execute(query).mappings().all():
        said = []
        for event in connection.execute(
            sa.select(events).where(events.c.discussion_id == thread["id"]).order_by(events.c.id)
        ).mappings():
            edits = connection.execute(
                sa.select(versions).where(versions.c.event_id == event["id"]).order_by(versions.c.id)
            ).mappings()
            texts = [_portable(edit, names, "event_id") for edit in edits]
            said.append({**_portable(event, names, "discussion_id"), "versions": texts})
        threads.append({**_portable(thread, names, "repository_id"), "events": said})
    return {
        "format": FORMAT,
        "type": repository.type,
        "name": repository.name,
        "private": repository.private,
        "gated": repository.gated,
        "sdk": row.sdk,
        "created_at": row.created_at,
        "discussions": threads,
    }


def _portable(row: Any, names: dict[int, str], parent: str) -> dict[str, Any]:
    """A row without the numbers that mean something in one database only; authors by their names."""
    kept = {name: value for name, value in row.items() if name not in ("id", "author_id", parent)}
    return {**kept, "author": names.get(row["author_id"])}


def _large_files(connection: Connection, repository: Repository) -> Iterator[Pointer]:
    from madang.server.large_files.records import blobs

    query = (
        sa.select(blobs.c.sha256, blobs.c.size)
        .join_from(repository_blobs, blobs)
        .where(repository_blobs.c.repository_id == repository.id)
        .order_by(blobs.c.sha256)
    )
    for sha256, size in connection.execute(query):
        yield Pointer(sha256, size)


class _Reader(io.RawIOBase):
    """Pieces of bytes as a file that is read once, and hashed on the way."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int = -1) -> bytes:
        while len(self._rest) < size or size < 0:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return taken


class _Hashing:
    """A file that is hashed while it is read."""

    def __init__(self, file: Any) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        data: bytes = self._file.read(size)
        self.digest.update(data)
        return data


def _add(archive: tarfile.TarFile, sums: dict[str, str], name: str, content: Any, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    hashed = _Hashing(content)
    archive.addfile(member, hashed)
    sums[name] = hashed.digest.hexdigest()


def import_bundle(
    hub: Hub, caller: Caller, file: Path, owner: str | None = None, name: str | None = None
) -> Repository:
    """Make the repository that is in `file`; it belongs to `owner`, else to the account it was named after.

    Raises InputError for a file that is damaged or none of ours, RepositoryExists when the name is taken.
    """
    assert caller.account is not None
    try:
        with tarfile.open(file) as archive, temporary_file(hub.settings.data / "incoming") as room:
            members = iter(archive)
            described, sums = _read_description(archive, members)
            sums["repository.bundle"] = _copy(archive, _next(members, "repository.bundle"), room)
            brought = _receive_large_files(hub, archive, members, sums)
            return _store(hub, caller, described, room, brought, owner, name)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{file} cannot be read as an exported repository: {error}") from error


def _read_description(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]
) -> tuple[dict[str, Any], dict[str, str]]:
    member = _next(members, "repository.json")
    if member.size > LONGEST_DESCRIPTION:
        raise InputError(f"the description of the repository has {member.size} bytes; no hub writes one like it.")
    content = _opened(archive, member).read()
    try:
        described = json.loads(content)
        if described["format"] != FORMAT or described["type"] not in TYPES:
            raise InputError(f"this release of Madang reads format {FORMAT}, and this is {described['format']}.")
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"the description of the repository cannot be read: {error}") from error
    return described, {"repository.json": hashlib.sha256(content).hexdigest()}


def _next(members: Iterator[tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    member = next(members, None)
    if member is None or member.name != name or not member.isfile():
        found = "it ends" if member is None else f"{member.name} comes"
        raise InputError(f"this is no repository that `madang hub export` wrote: {found} where {name} should be.")
    return member


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member)
    assert opened is not None
    return opened


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, room: IO[bytes]) -> str:
    source = _Hashing(_opened(archive, member))
    while piece := source.read(PIECE):
        room.write(piece)
    room.flush()
    return source.digest.hexdigest()


def _receive_large_files(
    hub: Hub, archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], sums: dict[str, str]
) -> list[Pointer]:
    """Take in the large files, each checked against its name, and compare all hashes with the list at the end."""
    brought: list[Pointer] = []
    for member in members:
        if member.name == "SHA256SUMS":
            listed = _opened(archive, member).read(PIECE * 64).decode()
            if listed != "".join(f"{digest}  {name}\n" for name, digest in sums.items()):
                raise InputError("the file is damaged: what is in it does not fit its list of SHA-256 sums.")
            return brought
        sha256 = member.name.removeprefix("large/")
        if not re.fullmatch("[0-9a-f]{64}", sha256) or not member.isfile():
            raise InputError(f"this is no repository that `madang hub export` wrote: it holds {member.name[:100]!r}.")
        with hub.database.write() as connection:
            large_files.announce(connection, sha256, member.size)
        large_files.receive(hub.storage, _pieces(_opened(archive, member)), sha256, member.size)
        sums[member.name] = sha256
        brought.append(Pointer(sha256, member.size))
    raise InputError("the file is cut off: its list of SHA-256 sums is missing.")


def _store(
    hub: Hub,
    caller: Caller,
    described: dict[str, Any],
    room: Any,
    brought: list[Pointer],
    owner: str | None,
    name: str | None,
) -> Repository:
    """Everything that becomes visible, in one transaction."""
    assert caller.account is not None
    targets, start = _bundle_refs(room)
    inspection = Inspection()
    namespace, _, original = str(described["name"]).rpartition("/")
    with temporary_file(hub.settings.data / "incoming") as unpacked:
        incoming = IncomingPack(PackFile(room.fileno(), start), LIMITS, unpacked, lambda oid: None, inspection.look)
        incoming.read()
        with hub.database.write() as connection:
            repository = service.add_row(
                connection,
                caller,
                described["type"],
                name or original,
                owner=owner or namespace,
                private=bool(described["private"]),
                sdk=described["sdk"],
            )
            raw = RawObjects(connection, repository.id)
            inspection.check_connected(raw, {oid: kept.kind for oid, kept in incoming.entries.items()})
            for pointer in brought:
                large_files.add_received(
                    connection, hub.storage, repository.id, pointer.sha256, pointer.size, caller.account.id
                )
            missing = {pointer.sha256 for pointer in inspection.pointers.values()} - {item.sha256 for item in brought}
            if missing:
                raise InputError(f"the file lacks {len(missing)} large files of the repository: {min(missing)} …")
            store_pack(connection, repository.id, raw, incoming)
            _store_refs(connection, repository, targets, incoming)
            _store_discussions(connection, repository, described["discussions"])
            service.after_change(connection, repository, {"refs/heads/main": targets["refs/heads/main"]})
            connection.execute(
                repositories.update()
                .where(repositories.c.id == repository.id)
                .values(gated=str(described["gated"] or ""), created_at=int(described["created_at"]))
            )
            index.update(connection, repository.id)
    return repository


def _bundle_refs(room: Any) -> tuple[dict[str, str], int]:
    """The refs of a git bundle, and where its pack begins."""
    room.seek(0)
    if room.readline(100) != b"# v2 git bundle\n":
        raise InputError("the history in this file is no git bundle of version 2.")
    targets: dict[str, str] = {}
    while (line := room.readline(1000)) != b"\n":
        found = _BUNDLE_REF.fullmatch(line)
        if found is None:
            raise InputError("the refs of the git bundle cannot be read.")
        targets[found.group(2).decode()] = found.group(1).decode()
    if "refs/heads/main" not in targets:
        raise InputError("the git bundle has no branch main.")
    return targets, room.tell()


def _store_refs(
    connection: Connection, repository: Repository, targets: dict[str, str], incoming: IncomingPack
) -> None:
    for name, target in targets.items():
        kept = incoming.entries.get(bytes.fromhex(target))
        if kept is None or (kept.kind != COMMIT and not name.startswith("refs/tags/")):
            raise InputError(f"{name} leads to {target}, which is no commit in this file.")
        connection.execute(refs.insert().values(repository_id=repository.id, name=name, target=target))


def _store_discussions(connection: Connection, repository: Repository, threads: list[dict[str, Any]]) -> None:
    """Authors are those of the same name on this hub, or nobody."""
    known = {row.key: row.id for row in connection.execute(sa.select(accounts.c.key, accounts.c.id))}

    def row(table: sa.Table, item: dict[str, Any], **parent: int) -> int:
        values = {column.name: item[column.name] for column in table.c if column.name in item}
        author = known.get(str(item.get("author") or "").lower())
        return insert(connection, table, **values, **parent, author_id=author)

    for thread in threads:
        identity = row(discussions, thread, repository_id=repository.id)
        for event in thread["events"]:
            said = row(events, event, discussion_id=identity)
            for version in event["versions"]:
                # HTML from elsewhere is not trusted: it is made again from what was written
                fresh = {"html": render_markdown(str(version["raw"])), "rendered_by": VERSION}
                row(versions, {**version, **fresh}, event_id=said)
