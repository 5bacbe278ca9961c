"""Writing a repository into one file, to be carried into another building; `bundles` says what is in it."""

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.discussions import carrying
from madang.server.git.protocol.filters import Filter
from madang.server.git.protocol.packs import pack_of
from madang.server.git.protocol.raw_objects import CommitGraph, RawObjects
from madang.server.git.protocol.reachability import Boundary, lacking
from madang.server.git.protocol.room import temporary_file
from madang.server.git.refs import list_refs
from madang.server.hub import Hub
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.operations.bundles import (
    DESCRIPTION,
    FORMAT,
    GIT_BUNDLE,
    HISTORY,
    LARGE,
    SUMS,
    HashingReader,
    spelled,
)
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository
from madang.server.storage.blobs import blob_key
from madang.writing import write_file


def export_repository(hub: Hub, repository: Repository, to: Path) -> None:
    """Write the repository to the file `to`, which is whole or not there."""
    write_file(to, lambda part: _write(hub, repository, part))


def _write(hub: Hub, repository: Repository, part: Path) -> None:
    sums: dict[str, str] = {}
    with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
        # one moment of the database, so that history, discussions and large files fit together
        with hub.database.read() as connection:
            described = json.dumps(_described(connection, repository), ensure_ascii=False).encode()
            refs = list_refs(connection, repository.id)
            raw = RawObjects(connection, repository.id)
            heads = [bytes.fromhex(target) for _, target in refs]
            objects = lacking(raw, CommitGraph(raw), heads, [], Boundary(), Filter())
            large = _large_files(connection, repository)
        _add(archive, sums, DESCRIPTION, io.BytesIO(described), len(described))
        with temporary_file(hub.settings.data / "incoming") as room:
            listed = "".join(f"{target} {name}\n" for name, target in refs)
            room.write(GIT_BUNDLE + f"{listed}\n".encode())
            for piece in pack_of(hub.database, repository.id, objects):
                room.write(piece)
            size = room.tell()
            room.seek(0)
            _add(archive, sums, HISTORY, room, size)
        for sha256, size in large:
            _add(archive, sums, LARGE + sha256, _Reader(hub.storage.read(blob_key(sha256))), size)
        listing = spelled(sums)
        _add(archive, sums, SUMS, io.BytesIO(listing), len(listing))


def _described(connection: Connection, repository: Repository) -> dict[str, Any]:
    query = sa.select(repositories.c.sdk, repositories.c.created_at).where(repositories.c.id == repository.id)
    sdk, created_at = connection.execute(query).one()
    return {
        "format": FORMAT,
        "type": repository.type,
        "name": repository.name,
        "private": repository.private,
        "gated": repository.gated,
        "sdk": sdk,
        "created_at": created_at,
        "discussions": carrying.carried(connection, repository.id),
    }


def _large_files(connection: Connection, repository: Repository) -> list[tuple[str, int]]:
    """SHA-256 and size of each."""
    query = (
        sa.select(blobs.c.sha256, blobs.c.size)
        .join_from(repository_blobs, blobs)
        .where(repository_blobs.c.repository_id == repository.id)
        .order_by(blobs.c.sha256)
    )
    return [(sha256, size) for sha256, size in connection.execute(query)]


def _add(archive: tarfile.TarFile, sums: dict[str, str], name: str, content: Any, size: int) -> None:
    member = tarfile.TarInfo(name)
    member.size = size
    hashed = HashingReader(content)
    archive.addfile(member, hashed)
    sums[name] = hashed.digest.hexdigest()


class _Reader:
    """Pieces of bytes as a file that is read once."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest = pieces, b""

    def read(self, size: int) -> bytes:
        while len(self._rest) < size:
            piece = next(self._pieces, None)
            if piece is None:
                break
            self._rest += piece
        taken, self._rest = self._rest[:size], self._rest[size:]
        return taken
