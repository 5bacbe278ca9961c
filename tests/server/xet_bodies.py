"""Xorbs and shards as clients make them, for tests that send them by hand."""

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import lz4.frame
from fastapi.testclient import TestClient

from madang.server.large_files.xet.hashing import (
    HashTree,
    chunk_hash,
    file_hash,
    from_text,
    range_hash,
    text_of,
    xorb_hash,
)
from madang.server.large_files.xet.shards import BOOKEND, TAG, WITH_CHECKS, WITH_SHA256

Term = tuple[bytes, int, int, int]  # xorb, bytes, first chunk, end


def grouped(data: bytes) -> bytes:
    """All bytes at positions 0, 4, 8…, then those at 1, 5, 9…"""
    return b"".join(data[start::4] for start in range(4))


def packed(chunk: bytes, scheme: int = 0) -> bytes:
    """A chunk with its header."""
    stored = chunk if scheme == 0 else lz4.frame.compress(grouped(chunk) if scheme == 2 else chunk)
    return header(len(stored), scheme, len(chunk)) + stored


def header(stored: int, scheme: int, length: int, version: int = 0) -> bytes:
    sizes = stored.to_bytes(3, "little") + bytes([scheme]) + length.to_bytes(3, "little")
    return bytes([version]) + sizes


def hash_of(chunks: Sequence[bytes]) -> bytes:
    """The hash of a xorb with these chunks."""
    return xorb_hash((chunk_hash(chunk), len(chunk)) for chunk in chunks)


def file_id(chunks: Sequence[bytes]) -> bytes:
    """The hash of a file that consists of these chunks."""
    tree = HashTree()
    for chunk in chunks:
        tree.add(chunk_hash(chunk), len(chunk))
    return file_hash(tree.root())


@dataclass
class Listed:
    """A file in a shard; what is None is as it should be."""

    chunks: Sequence[bytes]
    terms: Sequence[Term]
    hash: bytes | None = None
    sha256: str | None = None
    flags: int = WITH_CHECKS | WITH_SHA256
    checks: Sequence[bytes] = ()
    count: int | None = None

    def records(self) -> bytes:
        sha256 = self.sha256 or hashlib.sha256(b"".join(self.chunks)).hexdigest()
        rows = bytearray(self.hash or file_id(self.chunks))
        rows += struct.pack("<2I8x", self.flags, len(self.terms) if self.count is None else self.count)
        for xorb, size, first, end in self.terms:
            rows += xorb + struct.pack("<4I", 0, size, first, end)
        if self.flags & WITH_CHECKS:
            for number, (_, _, first, end) in enumerate(self.terms):
                hashes = b"".join(chunk_hash(chunk) for chunk in self.chunks[: end - first])
                rows += (self.checks[number] if self.checks else range_hash(hashes)) + bytes(16)
        if self.flags & WITH_SHA256:
            rows += from_text(sha256) + bytes(16)
        return bytes(rows)


def shard(*files: Listed, version: int = 2, footer: int = 0, xorb_records: bytes = b"") -> bytes:
    """A shard with these files."""
    bookend = BOOKEND + bytes(16)
    start = TAG + struct.pack("<2Q", version, footer)
    return start + b"".join(file.records() for file in files) + bookend + xorb_records + bookend


class Uploader:
    """Somebody who uploads by hand to the repository `name`."""

    def __init__(self, client: TestClient, name: str) -> None:
        self.client = client
        answer = client.get(f"/api/models/{name}/xet-write-token/main")
        assert answer.status_code == 200, answer.text
        given = answer.json()
        self.token, self.cas = given["accessToken"], given["casUrl"]
        self.headers = {"Authorization": f"Bearer {self.token}"}

    def send(self, method: str, path: str, content: bytes | None = None, **headers: str) -> Any:
        """A request to the chunk store."""
        return self.client.request(method, self.cas + path, content=content, headers={**self.headers, **headers})

    def xorb(self, chunks: Sequence[bytes], scheme: int = 0) -> bytes:
        """Send a xorb, which is taken; its hash."""
        sent = hash_of(chunks)
        answer = self.send("POST", f"/v1/xorbs/default/{text_of(sent)}", b"".join(packed(c, scheme) for c in chunks))
        assert answer.status_code == 200, answer.text
        return sent

    def whole(self, chunks: Sequence[bytes], scheme: int = 0) -> Listed:
        """Send chunks as one xorb, and list the file that is all of them."""
        return Listed(chunks, [(self.xorb(chunks, scheme), sum(map(len, chunks)), 0, len(chunks))])

    def shard(self, *files: Listed, path: str = "/v2/shards", **other: Any) -> Any:
        """Send a shard; the answer."""
        return self.send("POST", path, shard(*files, **other))
