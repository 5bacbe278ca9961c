"""Packs and pushes made by hand: also those that git would never send."""

import hashlib
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from fastapi.testclient import TestClient
from httpx2 import Response

COMMIT, TREE, BLOB, TAG, OFFSET_DELTA, NAMED_DELTA = 1, 2, 3, 4, 6, 7
NAMES = {COMMIT: "commit", TREE: "tree", BLOB: "blob", TAG: "tag"}
NOTHING = "0" * 40


def oid(kind: int, content: bytes) -> str:
    return hashlib.sha1(f"{NAMES[kind]} {len(content)}\0".encode() + content).hexdigest()


def number(value: int) -> bytes:
    """A size as deltas have it."""
    found = bytearray()
    while True:
        found.append(value & 127 | (128 if value > 127 else 0))
        value >>= 7
        if not value:
            return bytes(found)


def header(kind: int, size: int) -> bytes:
    first, size = kind << 4 | size & 15, size >> 4
    return bytes([first | (128 if size else 0)]) + (number(size) if size else b"")


def tree(*entries: tuple[str, bytes, str]) -> bytes:
    return b"".join(mode.encode() + b" " + name + b"\0" + bytes.fromhex(target) for mode, name, target in entries)


def commit(tree: str, *parents: str, author: str = "A <a@example.org> 1 +0000", message: str = "x") -> bytes:
    lines = [f"tree {tree}", *(f"parent {parent}" for parent in parents), f"author {author}", f"committer {author}"]
    return "\n".join([*lines, "", message, ""]).encode()


@dataclass
class Pack:
    """Objects in the order they were added; `pack.bytes()` ends with the right checksum."""

    parts: list[bytes] = field(default_factory=list)
    size: int = 12

    def raw(self, part: bytes) -> int:
        """Add bytes as they are; returns where they begin."""
        place = self.size
        self.parts.append(part)
        self.size += len(part)
        return place

    def add(self, kind: int, content: bytes) -> str:
        self.raw(header(kind, len(content)) + zlib.compress(content))
        return oid(kind, content)

    def add_named_delta(self, base: str, delta: bytes) -> int:
        return self.raw(header(NAMED_DELTA, len(delta)) + bytes.fromhex(base) + zlib.compress(delta))

    def add_delta(self, distance: int, delta: bytes) -> int:
        digits = [distance & 127]
        while distance := distance >> 7:
            distance -= 1
            digits.append(distance & 127 | 128)
        return self.raw(header(OFFSET_DELTA, len(delta)) + bytes(reversed(digits)) + zlib.compress(delta))

    def commit(self, *entries: tuple[str, bytes, str], parents: Iterable[str] = ()) -> str:
        """A commit of a tree of these entries."""
        return self.add(COMMIT, commit(self.add(TREE, tree(*entries)), *parents))

    def bytes(self, count: int | None = None) -> bytes:
        body = b"PACK" + struct.pack(">II", 2, len(self.parts) if count is None else count) + b"".join(self.parts)
        return body + hashlib.sha1(body).digest()


def packet(content: bytes) -> bytes:
    return b"%04x" % (len(content) + 4) + content


def push_body(*commands: tuple[str, str, str], pack: bytes = b"", options: str = "report-status") -> bytes:
    """Commands are (old, new, ref)."""
    lines = [f"{old} {new} {ref}".encode() for old, new, ref in commands]
    lines[0] += b"\0" + options.encode()
    return b"".join(packet(line) for line in lines) + b"0000" + pack


def send(client: TestClient, body: bytes, name: str = "alice/bert", **headers: str) -> Response:
    return client.post(
        f"/{name}.git/git-receive-pack",
        content=body,
        headers={"Content-Type": "application/x-git-receive-pack-request", **headers},
    )


def push(client: TestClient, pack: bytes, new: str, ref: str = "refs/heads/pushed", old: str = NOTHING) -> str:
    """What the hub answers to the push of one ref."""
    answer = send(client, push_body((old, new, ref), pack=pack))
    assert answer.status_code == 200, answer.text
    return answer.text
