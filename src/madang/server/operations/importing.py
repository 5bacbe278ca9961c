"""Making a repository from a file that `exporting` wrote. Nothing of it is visible before every hash was checked."""

import hashlib
import json
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from sqlalchemy.engine import Connection

from madang.errors import InputError
from madang.server.accounts.caller import Caller
from madang.server.discussions import carrying
from madang.server.git.objects import COMMIT
from madang.server.git.pointers import Pointer
from madang.server.git.protocol.checks import Inspection
from madang.server.git.protocol.incoming import IncomingPack, PackLimits
from madang.server.git.protocol.pack_file import PackFile
from madang.server.git.protocol.raw_objects import RawObjects
from madang.server.git.protocol.room import temporary_file
from madang.server.git.protocol.storing import store_pack
from madang.server.git.records import refs
from madang.server.git.refs import MAIN, TAGS
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.operations.bundles import (
    DESCRIPTION,
    FORMAT,
    GIT_BUNDLE,
    HISTORY,
    KEYS,
    LARGE,
    SUMS,
    HashingReader,
    spelled,
)
from madang.server.repositories import service
from madang.server.repositories.names import TYPES
from madang.server.repositories.repository import Repository

PIECE = 1024 * 1024
LONGEST_DESCRIPTION = 256 * 1024 * 1024
LONGEST_SUMS = 64 * 1024 * 1024
# the file comes from a hub of one's own: these guard against damage, and against what would not fit
LIMITS = PackLimits(file_bytes=2**31, total_bytes=2**40, object_bytes=2**31, objects=50_000_000)
_REF = re.compile(rb"([0-9a-f]{40}) (refs/[^\n\0]{1,500})\n")


def import_repository(
    hub: Hub, caller: Caller, file: Path, owner: str | None = None, name: str | None = None
) -> Repository:
    """Make the repository that is in `file`; it belongs to `owner`, else to the account it was named after.

    Raises InputError for a file that is damaged or none of ours, RepositoryExists when the name is taken.
    """
    try:
        with tarfile.open(file, "r:") as archive, temporary_file(hub.settings.data / "incoming") as room:
            members = iter(archive)
            described, sums = _read_description(archive, members)
            sums[HISTORY] = _copy(archive, _next(members, HISTORY), room)
            brought = _receive_large_files(hub, archive, members, sums)
            namespace, _, original = str(described["name"]).rpartition("/")
            described |= {"owner": owner or namespace, "name": name or original}
            return _store(hub, caller, described, room, brought)
    except (tarfile.TarError, EOFError) as error:
        raise InputError(f"{file} cannot be read as an exported repository: {error}") from error


def _read_description(
    archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo]
) -> tuple[dict[str, Any], dict[str, str]]:
    member = _next(members, DESCRIPTION)
    if member.size > LONGEST_DESCRIPTION:
        raise InputError(f"the description of the repository has {member.size:,} bytes; no hub writes one like it.")
    content = _opened(archive, member).read()
    try:
        described = dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise InputError(f"the description of the repository cannot be read: {error}") from error
    if described.get("format") != FORMAT:
        raise InputError(f"this Madang reads files of format {FORMAT}; this one has {described.get('format')!r}.")
    lacking = [key for key in KEYS if key not in described]
    if lacking:
        raise InputError(f"the file is damaged: the description of the repository lacks {', '.join(lacking)}.")
    if described["type"] not in TYPES:
        raise InputError(f"the file holds a {described['type']!r}; it must be one of {', '.join(TYPES)}.")
    return described, {DESCRIPTION: hashlib.sha256(content).hexdigest()}


def _next(members: Iterator[tarfile.TarInfo], name: str) -> tarfile.TarInfo:
    member = next(members, None)
    if member is None or member.name != name or not member.isfile():
        found = "it ends" if member is None else f"{member.name[:100]!r} comes"
        raise InputError(f"this is no repository that `madang hub export` wrote: {found} where {name} should be.")
    return member


def _opened(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    opened = archive.extractfile(member)
    assert opened is not None
    return opened


def _pieces(file: IO[bytes] | HashingReader) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece


def _copy(archive: tarfile.TarFile, member: tarfile.TarInfo, room: IO[bytes]) -> str:
    source = HashingReader(_opened(archive, member))
    for piece in _pieces(source):
        room.write(piece)
    room.flush()
    return source.digest.hexdigest()


def _receive_large_files(
    hub: Hub, archive: tarfile.TarFile, members: Iterator[tarfile.TarInfo], sums: dict[str, str]
) -> list[Pointer]:
    """Take in the large files, each checked against its name, and compare all hashes with the list at the end."""
    brought: list[Pointer] = []
    for member in members:
        if not member.isfile():
            raise InputError(f"this is no repository that `madang hub export` wrote: {member.name[:100]!r} is no file.")
        if member.name == SUMS:
            if _opened(archive, member).read(LONGEST_SUMS) != spelled(sums):
                raise InputError("the file is damaged: what is in it does not fit its list of SHA-256 sums.")
            return brought
        sha256 = member.name.removeprefix(LARGE)
        if not re.fullmatch("[0-9a-f]{64}", sha256):
            raise InputError(f"this is no repository that `madang hub export` wrote: it holds {member.name[:100]!r}.")
        with hub.database.write() as connection:
            large_files.announce(connection, sha256, member.size)
        large_files.receive(hub.storage, _pieces(_opened(archive, member)), sha256, member.size)
        sums[member.name] = sha256
        brought.append(Pointer(sha256, member.size))
    raise InputError("the file is cut off: its list of SHA-256 sums is missing.")


def _store(hub: Hub, caller: Caller, described: dict[str, Any], room: IO[bytes], brought: list[Pointer]) -> Repository:
    """Everything that becomes visible, in one transaction."""
    assert caller.account is not None
    targets, start = _read_refs(room)
    inspection = Inspection()
    with temporary_file(hub.settings.data / "incoming") as unpacked:
        incoming = IncomingPack(PackFile(room.fileno(), start), LIMITS, unpacked, lambda oid: None, inspection.look)
        incoming.read()
        with hub.database.write() as connection:
            repository = _make(connection, caller, described)
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
            carrying.unpack(connection, repository.id, described["discussions"])
            service.after_change(connection, repository, {MAIN: targets[MAIN]})
    return repository


def _make(connection: Connection, caller: Caller, described: dict[str, Any]) -> Repository:
    """The row of the repository, as it was in the other hub."""
    return service.add_row(
        connection,
        caller,
        described["type"],
        described["name"],
        owner=described["owner"],
        private=bool(described["private"]),
        sdk=described["sdk"],
        gated=str(described["gated"] or ""),
        created_at=int(described["created_at"]),
    )


def _read_refs(room: IO[bytes]) -> tuple[dict[str, str], int]:
    """The refs of a git bundle, and where its pack begins."""
    room.seek(0)
    if room.readline(100) != GIT_BUNDLE:
        raise InputError("the history in this file is no git bundle of version 2.")
    targets: dict[str, str] = {}
    while (line := room.readline(1000)) != b"\n":
        found = _REF.fullmatch(line)
        if found is None:
            raise InputError("the refs of the git bundle cannot be read.")
        targets[found.group(2).decode()] = found.group(1).decode()
    if MAIN not in targets:
        raise InputError("the git bundle has no branch main.")
    return targets, room.tell()


def _store_refs(
    connection: Connection, repository: Repository, targets: dict[str, str], incoming: IncomingPack
) -> None:
    for name, target in targets.items():
        kept = incoming.entries.get(bytes.fromhex(target))
        if kept is None or (kept.kind != COMMIT and not name.startswith(TAGS)):
            raise InputError(f"{name} leads to {target}, which is no commit in this file.")
        connection.execute(refs.insert().values(repository_id=repository.id, name=name, target=target))
