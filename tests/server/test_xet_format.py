"""The formats of Xet: hashes, xorbs, shards; what is damaged or hostile is refused."""

import io
import random
import struct
import tracemalloc

import lz4.frame
import pytest

from madang.server.errors import InvalidRequest
from madang.server.large_files.xet.errors import InvalidShard, InvalidXorb
from madang.server.large_files.xet.hashing import HashTree, chunk_hash, file_hash, from_text, text_of
from madang.server.large_files.xet.shards import known_chunks_shard, read_files
from madang.server.large_files.xet.xorbs import LARGEST_CHUNK, MOST_CHUNKS, XorbReader
from tests.server.xet_bodies import Listed, file_id, hash_of, header, packed, shard


def chunks_of(*sizes: int) -> list[bytes]:
    return [random.randbytes(size) for size in sizes]


def read(body: bytes, step: int = 1 << 30) -> tuple[list[bytes], XorbReader]:
    reader = XorbReader()
    found = [bytes(c) for start in range(0, len(body), step) for c in reader.feed(body[start : start + step])]
    reader.finish()
    return found, reader


def test_hashes_are_those_of_the_published_format() -> None:
    # an example of the public description
    example = "a29cfb08e608d4d8726dd8659a90b9134b3240d5d8e42d5fcb28e2a6e763a3e8"
    assert chunk_hash(b"Hello World!").hex() == example
    assert text_of(bytes.fromhex(example)) == "d8d408e608fb9ca213b9909a65d86d725f2de4d8d540324be8a363e7a6e228cb"
    assert text_of(from_text("0123456789abcdef" * 4)) == "0123456789abcdef" * 4


@pytest.mark.parametrize("text", ["", "ab", "g" * 64, "A" * 64, "a" * 65, "a" * 63 + "\n"])
def test_what_is_no_hash_is_refused(text: str) -> None:
    with pytest.raises(InvalidRequest, match="64 hex digits"):
        from_text(text)


def test_the_tree_is_the_same_whether_built_at_once_or_level_by_level() -> None:
    leaves = [(random.randbytes(32), random.randrange(1, 100)) for _ in range(700)]
    for count in (0, 1, 2, 3, 4, 9, 10, 27, 28, 100, 700):
        tree = HashTree()
        for digest, length in leaves[:count]:
            tree.add(digest, length)
        assert tree.root() == root_level_by_level(leaves[:count])


def root_level_by_level(nodes: list[tuple[bytes, int]]) -> bytes:
    """As the format describes it: group after group, level after level."""
    if not nodes:
        return bytes(32)
    while len(nodes) > 1:
        level, place = [], 0
        while place < len(nodes):
            rest = len(nodes) - place
            size = min(9, rest)
            for count in range(3, size + 1):
                if int.from_bytes(nodes[place + count - 1][0][24:], "little") % 4 == 0:
                    size = count
                    break
            tree = HashTree()
            tree._waiting = [nodes[place : place + size]]
            tree._close(0)
            level.append(tree._waiting[1][0])
            place += size
        nodes = level
    return nodes[0][0]


@pytest.mark.parametrize("scheme", [0, 1, 2])
@pytest.mark.parametrize("step", [1, 7, 1 << 30])
def test_chunks_come_out_as_they_went_in_however_they_arrive(scheme: int, step: int) -> None:
    chunks = [b"a" * 5, b"text " * 50, random.randbytes(123), bytes(range(256)) * 2 + b"xyz"]
    found, reader = read(b"".join(packed(chunk, scheme) for chunk in chunks), step)
    assert found == chunks
    assert reader.lengths == [5, 250, 123, 515]
    assert reader.hashes == [chunk_hash(chunk) for chunk in chunks]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "empty"),
        (packed(b"abc")[:-1], "ends within a chunk"),
        (packed(b"abc") + b"\0\0\0", "ends within a chunk"),
        (header(3, 0, 3, version=1) + b"abc", "version 1"),
        (header(3, 3, 3) + b"abc", "compression 3"),
        (header(3, 0, 4) + b"abc", "says 4 bytes"),
        (header(0, 0, 0), "one to 131072"),
        (header(3, 0, LARGEST_CHUNK + 1) + b"abc", "one to 131072"),
        (header(LARGEST_CHUNK * 2, 1, 10), "one to 131072"),
        (header(3, 1, 10) + b"abc", "exactly as many"),
        (header(30, 1, 10) + b"a" * 30, "cannot be unpacked"),
        (header(0xFFFFFF, 0, 0xFFFFFF), "one to 131072"),
    ],
)
def test_damaged_xorbs_are_refused(body: bytes, message: str) -> None:
    with pytest.raises(InvalidXorb, match=message):
        read(body)


@pytest.mark.parametrize("said", [99, 101])
def test_a_chunk_of_another_length_than_it_says_is_refused(said: int) -> None:
    stored = lz4.frame.compress(b"a" * 100)
    with pytest.raises(InvalidXorb, match="exactly as many"):
        read(header(len(stored), 1, said) + stored)


def test_something_behind_the_compressed_bytes_is_refused() -> None:
    stored = lz4.frame.compress(b"a" * 100) + b"more"
    with pytest.raises(InvalidXorb, match="exactly as many"):
        read(header(len(stored), 1, 100) + stored)


def test_a_bomb_is_refused_without_being_unpacked() -> None:
    stored = lz4.frame.compress(bytes(20_000_000), store_size=False)
    assert len(stored) < LARGEST_CHUNK
    assert refused_within(header(len(stored), 1, 100_000) + stored) < 2_000_000


def test_a_frame_that_claims_a_petabyte_is_refused() -> None:
    honest = lz4.frame.compress(bytes(1000), store_size=True)
    # its header has a checksum of one byte: one of these is right
    for checksum in range(256):
        stored = honest[:6] + struct.pack("<Q", 1 << 50) + bytes([checksum]) + honest[15:]
        assert refused_within(header(len(stored), 1, 1000) + stored) < 2_000_000


def refused_within(body: bytes) -> int:
    """The most memory that refusing a xorb took."""
    tracemalloc.start()
    try:
        with pytest.raises(InvalidXorb):
            read(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_too_many_chunks_are_refused() -> None:
    with pytest.raises(InvalidXorb, match=f"more than {MOST_CHUNKS} chunks"):
        read(packed(b"a") * (MOST_CHUNKS + 1))


def test_more_than_a_xorb_holds_is_refused_before_it_is_unpacked() -> None:
    chunk = packed(bytes(LARGEST_CHUNK), 1)
    with pytest.raises(InvalidXorb, match="bytes in them"):
        read(chunk * 513, len(chunk))


def test_a_shard_is_read_as_it_was_written() -> None:
    first, second = chunks_of(100, 200), chunks_of(300)
    xorb = hash_of(first + second)
    files = [Listed(first, [(xorb, 300, 0, 2)]), Listed(second, [(xorb, 300, 2, 3)])]
    found = list(read_files(io.BytesIO(shard(*files))))
    assert [file.hash for file in found] == [file_id(first), file_id(second)]
    assert [file.size for file in found] == [300, 300]
    assert [(term.first, term.end, term.size) for file in found for term in file.terms()] == [(0, 2, 300), (2, 3, 300)]
    assert found[0].xorbs() == [xorb]


def body_of(**changed: object) -> bytes:
    chunks = [b"abc"]
    return shard(Listed(chunks, [(hash_of(chunks), 3, 0, 1)], **changed))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "middle of a record"),
        (b"x" * 48, "no shard"),
        (shard(version=3), "no shard"),
        (shard()[:-1], "middle of a record"),
        (shard() + b"x", "goes on"),
        (body_of(count=0xFFFFFFFF), "the most is"),
        (body_of(count=200_000), "middle of a record"),
        (body_of(flags=0), "without its SHA-256"),
        (shard(xorb_records=bytes(32) + struct.pack("<4I", 0, 0xFFFFFFFF, 0, 0)), "the most is"),
        (shard(xorb_records=bytes(32) + struct.pack("<4I", 0, 8000, 0, 0)), "middle of a record"),
    ],
)
def test_damaged_shards_are_refused(body: bytes, message: str) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(InvalidShard, match=message):
            list(read_files(io.BytesIO(body)))
        assert tracemalloc.get_traced_memory()[1] < 2_000_000
    finally:
        tracemalloc.stop()


def test_an_answer_says_where_its_parts_are() -> None:
    import numpy as np

    hashes = random.randbytes(64)
    body = known_chunks_shard([(b"x" * 32, hashes, np.array([10, 20], dtype="<u4"))], key=b"k" * 32, valid_seconds=60)
    files_at, xorbs_at, end = struct.unpack("<3Q", body[-192:-168])
    assert (files_at, xorbs_at, end, struct.unpack("<Q", body[-8:])[0]) == (48, 96, len(body) - 200, len(body) - 200)
    assert body[96:128] == b"x" * 32
    assert struct.unpack("<4I", body[128:144]) == (0, 2, 30, 0)
    assert [struct.unpack("<2I", body[at : at + 8]) for at in (176, 224)] == [(0, 10), (10, 20)]
    # the chunks' own hashes are not told
    assert hashes[:32] not in body


def test_an_empty_file_has_the_hash_of_zeros() -> None:
    assert file_hash(HashTree().root()) == bytes(32)
