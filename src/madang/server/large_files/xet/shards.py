"""Shards: the lists in which clients say of which chunks files consist, and in which the hub says what it has.

A shard is made of records of 48 bytes: a header, the files, the xorbs, and in the hub's own answers a footer.
"""

import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from blake3 import blake3
from numpy.typing import NDArray

from madang.server.large_files.xet.errors import InvalidShard
from madang.server.large_files.xet.hashing import SIZE, text_of

RECORD = 48
TAG = bytes.fromhex("48465265706f4d6574614461746100556967456a7b815783a5bdd95ccdd14aa9")
VERSION = 2
FOOTER, FOOTER_VERSION = 200, 1
BOOKEND = b"\xff" * SIZE
WITH_CHECKS, WITH_SHA256 = 1 << 31, 1 << 30
LARGEST_SHARD = 96 * 1024 * 1024  # clients begin a new one at 64 MiB
MOST_TERMS = 256 * 1024
MOST_FILES = 100_000
MOST_CHUNKS = 8192

TERM = np.dtype([("xorb", "V32"), ("flags", "<u4"), ("bytes", "<u4"), ("first", "<u4"), ("end", "<u4")])
CHUNK = np.dtype([("hash", "V32"), ("start", "<u4"), ("length", "<u4"), ("flags", "<u4"), ("unused", "<u4")])


@dataclass(frozen=True)
class Term:
    """The chunks from `first` up to and without `end` of a xorb, which are `size` bytes of a file."""

    xorb: bytes
    first: int
    end: int
    size: int
    check: bytes | None  # the hash of the chunks' hashes, where the shard has one


@dataclass(frozen=True)
class ListedFile:
    """One file of a shard."""

    hash: bytes
    sha256: str
    rows: NDArray[np.void]
    checks: bytes

    @property
    def size(self) -> int:
        return int(self.rows["bytes"].sum(dtype=np.uint64))

    @property
    def chunks(self) -> int:
        """How many chunks are listed; too few when a row ends before it begins, which is refused elsewhere."""
        return int((self.rows["end"].astype(np.int64) - self.rows["first"]).sum())

    def terms(self) -> Iterator[Term]:
        """What the file consists of, in order."""
        for number, row in enumerate(self.rows):
            check = self.checks[number * RECORD : number * RECORD + SIZE] if self.checks else None
            yield Term(row["xorb"].tobytes(), int(row["first"]), int(row["end"]), int(row["bytes"]), check)

    def xorbs(self) -> list[bytes]:
        """The xorbs that are named, each once, in the order of the file."""
        return list(dict.fromkeys(row.tobytes() for row in self.rows["xorb"]))


def read_files(shard: IO[bytes]) -> Iterator[ListedFile]:
    """The files of a shard, one after the other; its other parts are looked through. Raises InvalidShard."""
    shard.seek(0)
    header = _read(shard, RECORD)
    version, footer = struct.unpack("<2Q", header[SIZE:])
    if header[:SIZE] != TAG or version != VERSION:
        raise InvalidShard(f"this is no shard of version {VERSION}: it begins with other bytes.")
    files = 0
    while (header := _read(shard, RECORD))[:SIZE] != BOOKEND:
        files += 1
        if files > MOST_FILES:
            raise InvalidShard(f"the shard lists more than {MOST_FILES:,} files.")
        yield _read_file(shard, header)
    while (header := _read(shard, RECORD))[:SIZE] != BOOKEND:
        _, count = struct.unpack("<2I", header[SIZE : SIZE + 8])
        if count > MOST_CHUNKS:
            raise InvalidShard(f"a xorb is listed with {count:,} chunks; the most is {MOST_CHUNKS:,}.")
        _read(shard, count * RECORD)
    if footer == 0 and shard.read(1):
        raise InvalidShard("the shard goes on after its last record.")


def _read_file(shard: IO[bytes], header: bytes) -> ListedFile:
    name = text_of(header[:SIZE])
    flags, count = struct.unpack("<2I", header[SIZE : SIZE + 8])
    if count > MOST_TERMS:
        raise InvalidShard(f"file {name} is listed with {count:,} pieces; the most is {MOST_TERMS:,}.")
    rows = np.frombuffer(_read(shard, count * RECORD), dtype=TERM)
    checks = _read(shard, count * RECORD) if flags & WITH_CHECKS else b""
    if not flags & WITH_SHA256:
        raise InvalidShard(f"file {name} is listed without its SHA-256, by which files are kept here.")
    # the SHA-256 is written as the other hashes are: its hex digits are those of four numbers
    sha256 = text_of(_read(shard, RECORD)[:SIZE])
    return ListedFile(header[:SIZE], sha256, rows, checks)


def _read(shard: IO[bytes], size: int) -> bytes:
    data = shard.read(size)
    if len(data) != size:
        raise InvalidShard("the shard ends in the middle of a record, or says more records than it has.")
    return data


def known_chunks_shard(
    xorbs: Iterable[tuple[bytes, bytes, NDArray[np.uint32]]], *, key: bytes, valid_seconds: int
) -> bytes:
    """What the hub answers to a question for a chunk: xorbs, each with the hashes (joined) and lengths of its chunks.

    Hashes of chunks are themselves hashed with `key`: who has a chunk finds it, who does not learns nothing.
    """
    body = bytearray(TAG + struct.pack("<2Q", VERSION, FOOTER))
    files_at = len(body)
    body += _bookend()
    xorbs_at = len(body)
    stored = 0
    for digest, hashes, lengths in xorbs:
        starts = np.concatenate(([0], np.cumsum(lengths[:-1], dtype=np.uint32)))
        total = int(lengths.sum())
        stored += total
        body += digest + struct.pack("<4I", 0, len(lengths), total, 0)
        rows = np.zeros(len(lengths), dtype=CHUNK)
        keyed = b"".join(blake3(hashes[n : n + SIZE], key=key).digest() for n in range(0, len(hashes), SIZE))
        rows["hash"] = np.frombuffer(keyed, dtype="V32")
        rows["start"], rows["length"] = starts, lengths
        body += rows.tobytes()
    body += _bookend()
    end, now = len(body), int(time.time())
    # no tables for looking up files (6 numbers), no further sums but the bytes in the xorbs (6 unused, then 3)
    tables = (end, 0, end, 0, end, 0)
    body += struct.pack("<9Q", FOOTER_VERSION, files_at, xorbs_at, *tables) + key
    body += struct.pack("<12Q", now, now + valid_seconds, *(0,) * 6, 0, stored, stored, end)
    return bytes(body)


def _bookend() -> bytes:
    return BOOKEND + bytes(RECORD - SIZE)
