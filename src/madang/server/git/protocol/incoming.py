"""Packs on their way in: unpacked, deltas resolved, every object named by its own hash (gitformat-pack).

The pack lies in a file, and so do the objects its deltas lead to; memory holds an index and a few contents.
"""

import hashlib
import os
import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from dulwich.errors import ApplyDeltaError
from dulwich.pack import apply_delta

from madang.server.git.objects import BLOB, KIND_NAMES
from madang.server.git.protocol.pack_file import Inflation, PackFile, PackRefused
from madang.server.git.protocol.raw_objects import Packed

OFFSET_DELTA, NAMED_DELTA = 6, 7
REMEMBERED_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True)
class PackLimits:
    """How much a pack may hold. Each guards memory, disk or time against packs made to use them up."""

    file_bytes: int  # of one file; larger ones belong into the store of large files
    total_bytes: int  # of all objects, unpacked
    object_bytes: int = 32 * 1024 * 1024  # of anything that has to be in memory at once
    objects: int = 1_000_000
    chain: int = 4095  # deltas upon deltas: git makes none longer


class Kept(NamedTuple):
    """Where an object lies: zlib data in one of the two files."""

    kind: int
    size: int
    file: int
    start: int
    length: int


class Delta(NamedTuple):
    """Where the instructions lie that make an object of another one."""

    offset: int  # of the object in the pack
    start: int  # of the instructions
    size: int


# told of every object found: id, kind, content
Look = Callable[[bytes, int, bytes], None]
# kind and content of an object that the pack does not hold
FindBase = Callable[[bytes], tuple[int, bytes] | None]


class IncomingPack:
    """The objects of a pack. Raises PackRefused."""

    def __init__(self, pack: PackFile, limits: PackLimits, room: BinaryIO, find_base: FindBase, look: Look) -> None:
        self.entries: dict[bytes, Kept] = {}
        # files above the limit, which are named and not kept: id and size
        self.too_large: dict[bytes, int] = {}
        self._pack, self._limits, self._find_base, self._look = pack, limits, find_base, look
        self._made = room  # what deltas lead to
        self._total = 0
        self._by_place: dict[int, list[Delta]] = defaultdict(list)
        self._by_name: dict[bytes, list[Delta]] = defaultdict(list)
        self._remembered = _Remembered()

    def read(self) -> None:
        """Find all objects. When there are files that are `too_large`, others may be missing."""
        self._pack.check_sum()
        whole = self._scan()
        self._resolve([(delta, oid, 1) for offset, oid in whole for delta in self._by_place.pop(offset, ())])
        self._resolve([(delta, oid, 1) for _, oid in whole for delta in self._by_name.pop(oid, ())])
        while self._by_name and not self.too_large:
            found = [oid for oid in self._by_name if self._base(oid) is not None]
            if not found:
                missing = next(iter(self._by_name))
                raise PackRefused(f"the pack changes an object that is not here: {missing.hex()}.")
            self._resolve([(delta, oid, 1) for oid in found for delta in self._by_name.pop(oid, ())])
        if self._by_place and not self.too_large:
            raise PackRefused("the pack changes objects at places where there are none.")
        self._made.flush()

    def packed(self, oids: Iterable[bytes]) -> Iterator[Packed]:
        """Objects as the database keeps them."""
        for oid in oids:
            kept = self.entries[oid]
            yield Packed(oid, kept.kind, kept.size, self._data(kept))

    def content(self, oid: bytes) -> bytes:
        return zlib.decompress(self._data(self.entries[oid]))

    def _data(self, kept: Kept) -> bytes:
        file = self._made.fileno() if kept.file else self._pack.file
        if kept.file:
            self._made.flush()
        return os.pread(file, kept.length, kept.start)

    def _scan(self) -> list[tuple[int, bytes]]:
        """Read the pack from front to end; returns where whole objects begin, and their names."""
        count = self._pack.count()
        if count > self._limits.objects:
            raise PackRefused(
                f"{count:,} objects are too many for one push, {self._limits.objects:,} are possible: push older"
                " commits first."
            )
        whole = []
        position = self._pack.start + 12
        for _ in range(count):
            offset = position
            kind, size, position = self._pack.header(position)
            if kind in KIND_NAMES:
                oid, position = self._whole(kind, size, position)
                whole.append((offset, oid))
            elif kind in (OFFSET_DELTA, NAMED_DELTA):
                position = self._delta(kind, offset, size, position)
            else:
                raise PackRefused(f"the pack has an object of the unknown kind {kind}.")
        if position != self._pack.end:
            raise PackRefused("the pack holds more than the objects it announces.")
        return whole

    def _whole(self, kind: int, size: int, position: int) -> tuple[bytes, int]:
        """Name an object that is there as it is; returns its id and where it ends."""
        self._count(kind, size)
        digest = _hash(kind, size)
        inflation = Inflation(self._pack, position, size)
        if kind == BLOB and size > self._limits.file_bytes:
            for piece in inflation:
                digest.update(piece)
            self.too_large[digest.digest()] = size
            return digest.digest(), inflation.end
        content = b"".join(inflation)
        digest.update(content)
        oid, length = digest.digest(), inflation.end - position
        # somebody's zlib may have made more of it than it was
        if length > size + 1024:
            self._keep(oid, kind, content)
        else:
            self.entries[oid] = Kept(kind, size, 0, position, length)
            self._look(oid, kind, content)
        return oid, inflation.end

    def _delta(self, kind: int, offset: int, size: int, position: int) -> int:
        """Note a delta with what it changes; returns where it ends."""
        if kind == OFFSET_DELTA:
            distance, position = self._pack.distance(position)
            waiting = self._by_place[offset - distance]
        else:
            waiting, position = self._by_name[self._pack.take(position, 20)], position + 20
        self._count(OFFSET_DELTA, size)
        waiting.append(Delta(offset, position, size))
        return self._pack.inflated(position, size)[1]

    def _resolve(self, waiting: list[tuple[Delta, bytes, int]]) -> None:
        """Make the objects of these deltas (each with its base and its place in the chain), and of those upon them."""
        while waiting:
            delta, base_oid, chain = waiting.pop()
            if base_oid in self.too_large:
                continue  # the push is refused for that file
            if chain > self._limits.chain:
                raise PackRefused(f"the pack has a chain of more than {self._limits.chain} deltas.")
            base = self._base(base_oid)
            if base is None:
                raise PackRefused(f"the pack changes an object that is not here: {base_oid.hex()}.")
            kind, old = base
            oid = self._apply(delta, kind, old)
            upon = (*self._by_place.pop(delta.offset, ()), *self._by_name.pop(oid, ()))
            waiting.extend((further, oid, chain + 1) for further in upon)

    def _apply(self, delta: Delta, kind: int, old: bytes) -> bytes:
        """The object that a delta makes of another; returns its id."""
        instructions, _ = self._pack.inflated(delta.start, delta.size)
        size = delta_result_size(instructions)
        self._count(kind, size, in_memory=True)
        try:
            content = b"".join(apply_delta(old, instructions))
        except (ApplyDeltaError, ValueError, IndexError) as error:
            raise PackRefused(f"a delta of the pack cannot be applied: {error}.") from error
        digest = _hash(kind, len(content))
        digest.update(content)
        oid = digest.digest()
        if kind == BLOB and size > self._limits.file_bytes:
            self.too_large[oid] = size
        elif oid not in self.entries:
            self._keep(oid, kind, content)
        return oid

    def _keep(self, oid: bytes, kind: int, content: bytes) -> None:
        """Put an object that is not in the pack as it is into the second file."""
        data = zlib.compress(content, 1)
        start = self._made.tell()
        self._made.write(data)
        self.entries[oid] = Kept(kind, len(content), 1, start, len(data))
        self._remembered.put(oid, kind, content)
        self._look(oid, kind, content)

    def _base(self, oid: bytes) -> tuple[int, bytes] | None:
        """Kind and content of an object, of the pack or of the repository."""
        found = self._remembered.get(oid)
        if found is None:
            if oid in self.entries:
                found = self.entries[oid].kind, self.content(oid)
            else:
                found = self._find_base(oid)
            if found is not None:
                self._remembered.put(oid, *found)
        return found

    def _count(self, kind: int, size: int, *, in_memory: bool = False) -> None:
        """Raises PackRefused where an object is too large, or all of them together."""
        # a file above the limit of files is only hashed, piece by piece, to tell its name
        if size > self._limits.object_bytes and (kind != BLOB or in_memory):
            raise PackRefused(
                f"the pack has an object of {size:,} bytes; at most {self._limits.object_bytes:,} are possible."
                " Large files go by git lfs: see `git lfs migrate import`."
            )
        self._total += size
        if self._total > self._limits.total_bytes:
            raise PackRefused(
                f"the pack unpacks to more than {self._limits.total_bytes:,} bytes: push older commits first, and large"
                " files by git lfs."
            )


class _Remembered:
    """The contents used last: what deltas change is needed again soon."""

    def __init__(self) -> None:
        self._kept: OrderedDict[bytes, tuple[int, bytes]] = OrderedDict()
        self._size = 0

    def get(self, oid: bytes) -> tuple[int, bytes] | None:
        found = self._kept.get(oid)
        if found is not None:
            self._kept.move_to_end(oid)
        return found

    def put(self, oid: bytes, kind: int, content: bytes) -> None:
        if oid in self._kept:
            return
        self._kept[oid] = kind, content
        self._size += len(content)
        while self._size > REMEMBERED_BYTES and len(self._kept) > 1:
            _, (_, dropped) = self._kept.popitem(last=False)
            self._size -= len(dropped)


def delta_result_size(instructions: bytes) -> int:
    """The size of what a delta makes, as its header says: the second of its two numbers. Raises PackRefused."""
    position = 0
    for number in range(2):
        size, shift = 0, 0
        while True:
            if position >= len(instructions) or shift > 60:
                raise PackRefused("a delta of the pack has no readable header.")
            byte = instructions[position]
            position += 1
            size |= (byte & 127) << shift
            shift += 7
            if not byte & 128:
                break
        if number == 1:
            return size
    raise AssertionError


def _hash(kind: int, size: int) -> "hashlib._Hash":
    return hashlib.sha1(f"{KIND_NAMES[kind]} {size}\0".encode(), usedforsecurity=False)
