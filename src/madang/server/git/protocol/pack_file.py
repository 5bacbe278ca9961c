"""Reading a pack that lies in a file, from front to end, without believing anything it says of itself."""

import hashlib
import os
import zlib
from collections.abc import Iterator

from madang.server.errors import Refusal

PIECE = 64 * 1024


class PackRefused(Refusal):
    """A pack that is damaged, or holds what this hub does not take. Nothing of it is kept."""

    status = 422


class PackFile:
    """The bytes of a pack that begins at `start` of an open file and ends with it. Raises PackRefused."""

    def __init__(self, file: int, start: int) -> None:
        self.file, self.start = file, start
        self.end = os.fstat(file).st_size - 20  # where the checksum begins
        self._window, self._window_start = b"", 0

    def check_sum(self) -> None:
        """Raises PackRefused for a pack that did not arrive as it was sent."""
        if self.end - self.start < 12:
            raise PackRefused("the pack is cut off. Push again.")
        digest = hashlib.sha1(usedforsecurity=False)
        for position in range(self.start, self.end, 16 * PIECE):
            digest.update(os.pread(self.file, min(16 * PIECE, self.end - position), position))
        if os.pread(self.file, 20, self.end) != digest.digest():
            raise PackRefused("the pack is damaged or cut off: its checksum does not fit. Push again.")

    def count(self) -> int:
        """How many objects it announces."""
        header = self.take(self.start, 12)
        if header[:4] != b"PACK" or header[4:8] not in (b"\0\0\0\2", b"\0\0\0\3"):
            raise PackRefused("what was sent is no pack of version 2 or 3.")
        return int.from_bytes(header[8:], "big")

    def take(self, position: int, length: int) -> bytes:
        """So many bytes, all of them."""
        found = self._some(position, length)
        if len(found) < length:
            raise PackRefused("the pack is cut off. Push again.")
        return found

    def header(self, position: int) -> tuple[int, int, int]:
        """Kind and size of the object that begins here, and where its header ends."""
        byte = self.take(position, 1)[0]
        kind, size, shift = byte >> 4 & 7, byte & 15, 4
        while byte & 128:
            position += 1
            if shift > 60:
                raise PackRefused("the pack has an object of an impossible size.")
            byte = self.take(position, 1)[0]
            size |= (byte & 127) << shift
            shift += 7
        return kind, size, position + 1

    def distance(self, position: int) -> tuple[int, int]:
        """How far before a delta the object lies that it changes, and where that number ends."""
        byte = self.take(position, 1)[0]
        found = byte & 127
        while byte & 128:
            position += 1
            byte = self.take(position, 1)[0]
            found = (found + 1 << 7) + (byte & 127)
            if found > 1 << 62:
                raise PackRefused("the pack changes an object at an impossible place.")
        return found, position + 1

    def inflated(self, position: int, size: int) -> tuple[bytes, int]:
        """The `size` bytes that are deflated from here on, and where that ends."""
        inflation = Inflation(self, position, size)
        content = b"".join(inflation)
        return content, inflation.end

    def _some(self, position: int, length: int) -> bytes:
        """So many bytes, fewer at the end."""
        offset = position - self._window_start
        if offset < 0 or offset + length > len(self._window):
            # ahead when reading from front to end, as much as is needed when going back to a delta
            goes_on = 0 <= offset <= len(self._window)
            wanted = min(max(length, 4 * PIECE if goes_on else 4096), self.end - position)
            self._window, self._window_start, offset = os.pread(self.file, max(wanted, 0), position), position, 0
        return self._window[offset : offset + length]

    def deflated(self, position: int, size: int) -> bytes:
        """The next bytes of a stream that has `size` bytes to give yet: no more than it can need, and a little."""
        return self._some(position, min(PIECE, size + (size >> 8) + 64))


class Inflation:
    """Iterates over what is deflated from a position on; never more than `size` bytes, and exactly that many."""

    def __init__(self, pack: PackFile, position: int, size: int) -> None:
        self._pack, self._size = pack, size
        self.end = position

    def __iter__(self) -> Iterator[bytes]:
        engine = zlib.decompressobj()
        left, rest = self._size, b""
        try:
            while not engine.eof:
                if not rest:
                    rest = self._pack.deflated(self.end, left)
                    self.end += len(rest)
                    if not rest:
                        raise PackRefused("the pack is cut off. Push again.")
                # one more than there may be: more shows, and nothing is inflated without an end
                piece = engine.decompress(rest, min(left, 16 * PIECE) + 1)
                rest = engine.unconsumed_tail
                left -= len(piece)
                if left < 0:
                    raise PackRefused("an object of the pack is larger than announced.")
                yield piece
        except zlib.error as error:
            raise PackRefused(f"an object of the pack cannot be inflated: {error}.") from error
        if left:
            raise PackRefused("an object of the pack is smaller than announced.")
        self.end -= len(engine.unused_data)
