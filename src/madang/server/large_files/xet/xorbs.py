"""Xorbs as they are sent: chunk after chunk, each with a header of eight bytes, each compressed in one of three ways.

`XorbReader` takes the bytes in whatever pieces they arrive, and hands out the chunks as they are in files. What is
declared is limited before anything is unpacked, and what comes out is compared with what was declared.
"""

from collections.abc import Iterator

import lz4.frame
import numpy as np
from numpy.typing import NDArray

from madang.server.large_files.xet.errors import InvalidXorb
from madang.server.large_files.xet.hashing import chunk_hash

HEADER = 8
MOST_CHUNKS = 8192
LARGEST_CHUNK = 128 * 1024
LARGEST_XORB = 64 * 1024 * 1024  # of the chunks as they are in files; compression must not make them more
LARGEST_BODY = LARGEST_XORB + MOST_CHUNKS * HEADER
PLAIN, LZ4, GROUPED_LZ4 = 0, 1, 2


class XorbReader:
    """Unpacks a xorb that arrives in pieces, and remembers hash and length of its chunks."""

    def __init__(self) -> None:
        self.hashes: list[bytes] = []
        self.lengths: list[int] = []
        self.received = 0
        self.unpacked = 0
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[bytes | memoryview]:
        """The chunks that are complete with these bytes. Raises InvalidXorb."""
        self.received += len(data)
        if self.received > LARGEST_BODY:
            raise InvalidXorb(f"the xorb is larger than {LARGEST_BODY:,} bytes, the most this hub takes.")
        data = self._rest + data if self._rest else data
        view, place = memoryview(data), 0
        while len(data) - place >= HEADER:
            stored, scheme, length = self._header(data[place : place + HEADER])
            end = place + HEADER + stored
            if end > len(data):
                break
            chunk = unpacked(view[place + HEADER : end], scheme, length)
            self.hashes.append(chunk_hash(chunk))
            self.lengths.append(length)
            self.unpacked += length
            yield chunk
            place = end
        self._rest = data[place:]

    def finish(self) -> None:
        """Call it when everything arrived. Raises InvalidXorb when the last chunk did not."""
        if self._rest:
            raise InvalidXorb(
                f"the xorb ends within a chunk: {len(self._rest)} bytes are left after the last whole one."
            )
        if not self.hashes:
            raise InvalidXorb("the xorb is empty: at least one chunk is expected.")

    def _header(self, header: bytes) -> tuple[int, int, int]:
        stored, length = int.from_bytes(header[1:4], "little"), int.from_bytes(header[5:8], "little")
        scheme, number = header[4], len(self.hashes)
        if header[0] != 0 or scheme not in (PLAIN, LZ4, GROUPED_LZ4):
            raise InvalidXorb(
                f"chunk {number} has version {header[0]} and compression {scheme}; version 0 with 0 to 2 is expected."
            )
        if not 0 < length <= LARGEST_CHUNK or not 0 < stored <= LARGEST_CHUNK + 1024:
            raise InvalidXorb(f"chunk {number} says {length} bytes in {stored}: one to {LARGEST_CHUNK} are expected.")
        if number == MOST_CHUNKS or self.unpacked + length > LARGEST_XORB:
            raise InvalidXorb(
                f"the xorb has more than {MOST_CHUNKS} chunks, or more than {LARGEST_XORB:,} bytes in them."
            )
        return stored, scheme, length


def unpacked(stored: memoryview, scheme: int, length: int) -> bytes | memoryview:
    """The bytes of one chunk. Raises InvalidXorb when they are not exactly `length`."""
    if scheme == PLAIN:
        if len(stored) != length:
            raise InvalidXorb(f"a chunk that is not compressed says {length:,} bytes and has {len(stored):,}.")
        return stored
    decompressor = lz4.frame.LZ4FrameDecompressor()
    try:
        # one more than expected, so that a frame which holds more is noticed, and never unpacked
        data: bytes = decompressor.decompress(stored, max_length=length + 1)
    except RuntimeError as error:
        raise InvalidXorb(f"a chunk cannot be unpacked: {error}") from None
    if len(data) != length or not decompressor.eof or decompressor.unused_data:
        raise InvalidXorb(f"a chunk says {length:,} bytes and does not hold exactly as many.")
    return ungrouped(data) if scheme == GROUPED_LZ4 else data


def ungrouped(data: bytes) -> memoryview:
    """Undo byte grouping: first all bytes at positions 0, 4, 8…, then those at 1, 5, 9… become their old order."""
    grouped = np.frombuffer(data, dtype=np.uint8)
    ordered: NDArray[np.uint8] = np.empty_like(grouped)
    start = 0
    for position in range(4):
        place = ordered[position::4]
        place[:] = grouped[start : start + len(place)]
        start += len(place)
    return memoryview(ordered.data)
