"""The hashes of Xet: of chunks, of bundles of chunks (xorbs), of files. All are BLAKE3, with keys the format fixes."""

import re
import struct
from collections.abc import Iterable

from blake3 import blake3

from madang.server.errors import InvalidRequest

SIZE = 32
CHUNK_KEY = bytes.fromhex("6697f5775b9550de3135cbaca597181c9de421109beb2b58b4d0b04b93adf229")
NODE_KEY = bytes.fromhex("017ec5c7a5472996fd946666b48a02e65ddd536f37c76dd2f86352e64a53713f")
RANGE_KEY = bytes.fromhex("7f1857d6ce56ed66127ff913e7a5c3f3a4cd26d5b5db49e64124987f28fb94c3")
FILE_KEY = bytes(SIZE)
# a node of the tree has at least 3 and at most 9 children, except where a level ends
FEWEST_CHILDREN, MOST_CHILDREN = 3, 9
_TEXT = re.compile("[0-9a-f]{64}")


def text_of(hash: bytes) -> str:
    """How a hash is written in addresses: its four little-endian numbers of 64 bits, 16 hex digits each."""
    return "{:016x}{:016x}{:016x}{:016x}".format(*struct.unpack("<4Q", hash))


def from_text(text: str) -> bytes:
    """The hash that is written so. Raises InvalidRequest."""
    if not _TEXT.fullmatch(text):
        raise InvalidRequest(f"{text[:80]!r} is no hash: 64 hex digits in lower case are expected.")
    return struct.pack("<4Q", *(int(text[place : place + 16], 16) for place in range(0, 64, 16)))


def chunk_hash(data: bytes | memoryview) -> bytes:
    """The hash of a chunk, of its bytes as they are in the file."""
    return blake3(data, key=CHUNK_KEY).digest()


def range_hash(hashes: bytes) -> bytes:
    """What stands in a shard beside a row of chunks: the hash of their hashes."""
    return blake3(hashes, key=RANGE_KEY).digest()


def remainder(hash: bytes, divisor: int) -> int:
    """What remains of the last eight bytes: the format decides by it where nodes end and which chunks are asked for."""
    return int.from_bytes(hash[24:], "little") % divisor


class HashTree:
    """The root over a list of chunks, which may be longer than memory: only what waits for siblings is kept."""

    def __init__(self) -> None:
        self._waiting: list[list[tuple[bytes, int]]] = [[]]

    def add(self, hash: bytes, length: int, level: int = 0) -> None:
        """Append a chunk (at level 0) or a finished node."""
        if level == len(self._waiting):
            self._waiting.append([])
        children = self._waiting[level]
        children.append((hash, length))
        ends = len(children) >= FEWEST_CHILDREN and remainder(hash, 4) == 0
        if ends or len(children) == MOST_CHILDREN:
            self._close(level)

    def root(self) -> bytes:
        """The hash of the whole; call it once, at the end. Of nothing it is zeros."""
        level = 0
        while True:
            children = self._waiting[level]
            if level == len(self._waiting) - 1 and len(children) <= 1:
                return children[0][0] if children else bytes(SIZE)
            if children:
                self._close(level)
            level += 1

    def _close(self, level: int) -> None:
        children, self._waiting[level] = self._waiting[level], []
        text = "".join(f"{text_of(digest)} : {length}\n" for digest, length in children)
        self.add(blake3(text.encode(), key=NODE_KEY).digest(), sum(length for _, length in children), level + 1)


def xorb_hash(chunks: Iterable[tuple[bytes, int]]) -> bytes:
    """The hash of a bundle, of the hashes and lengths of its chunks."""
    tree = HashTree()
    for digest, length in chunks:
        tree.add(digest, length)
    return tree.root()


def file_hash(root: bytes) -> bytes:
    """The id of a file, of the root over all its chunks. An empty file has zeros."""
    return root if root == bytes(SIZE) else blake3(root, key=FILE_KEY).digest()
