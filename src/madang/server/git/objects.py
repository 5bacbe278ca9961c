"""Git objects: their bytes, their names, and what is written in them.

The formats are those of git's documentation (gitformat-pack, `git hash-object`, `git ls-tree`). Objects are values:
the text that names one is the SHA-1 of its bytes.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from madang.server.errors import InvalidRequest

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
KIND_NAMES = {COMMIT: "commit", TREE: "tree", BLOB: "blob", TAG: "tag"}
# the end of the year 9998
_LAST_SECOND = 253_370_764_800
FILE_MODE, EXECUTABLE_MODE, LINK_MODE, FOLDER_MODE, MODULE_MODE = 0o100644, 0o100755, 0o120000, 0o40000, 0o160000

_SIGNATURE = re.compile(rb"^(.*?) ?<([^>]*)> (-?\d{1,18}) ([+-]\d{4})$")
# mode, name, id
_ENTRY = re.compile(rb"([0-7]{5,6}) ([^\0/]+)\0(.{20})", re.DOTALL)
_ENTRIES = re.compile(rb"(?:[0-7]{5,6} [^\0/]+\0.{20})*+", re.DOTALL)
_MODE = re.compile(rb"[0-7]{5,6}\Z")


@dataclass(frozen=True)
class GitObject:
    """One object: its kind (git's number) and content, without git's header."""

    kind: int
    content: bytes
    oid: str

    @classmethod
    def of(cls, kind: int, content: bytes) -> "GitObject":
        """The object and its name."""
        header = f"{KIND_NAMES[kind]} {len(content)}\0".encode()
        return cls(kind, content, hashlib.sha1(header + content, usedforsecurity=False).hexdigest())


@dataclass(frozen=True)
class Entry:
    """One line of a tree: a file, a folder, a link or a module."""

    name: str
    mode: int
    oid: str

    @property
    def is_folder(self) -> bool:
        return self.mode == FOLDER_MODE

    @property
    def sort_key(self) -> bytes:
        """Git sorts folders as if their names ended in a slash."""
        name = encode_name(self.name)
        return name + b"/" if self.is_folder else name


@dataclass(frozen=True)
class Signature:
    """Who wrote a commit, and when (seconds since 1970, and the zone they were in)."""

    name: str
    email: str
    seconds: int
    zone: str = "+0000"

    def encode(self) -> bytes:
        return f"{_plain(self.name)} <{_plain(self.email)}> {self.seconds} {self.zone}".encode("utf-8", "replace")

    @property
    def moment(self) -> datetime:
        """When, in the zone it was written in. What no calendar has becomes 1970 (year 50000) or UTC (zone +9900)."""
        offset = timedelta(hours=int(self.zone[1:3]), minutes=int(self.zone[3:5]))
        zone = timezone(-offset if self.zone[0] == "-" else offset) if offset < timedelta(days=1) else UTC
        return datetime.fromtimestamp(self.milliseconds / 1000, UTC).astimezone(zone)

    @property
    def milliseconds(self) -> int:
        """When, as the hub keeps time. What no calendar has becomes 1970."""
        return self.seconds * 1000 if 0 <= self.seconds < _LAST_SECOND else 0


@dataclass(frozen=True)
class Commit:
    """What a commit says."""

    tree: str
    parents: tuple[str, ...]
    author: Signature
    committer: Signature
    message: str

    @property
    def title(self) -> str:
        return self.message.partition("\n")[0]

    @property
    def description(self) -> str:
        """The message after its first line."""
        return self.message.partition("\n")[2].strip("\n")

    def encode(self) -> GitObject:
        lines = [f"tree {self.tree}".encode(), *(f"parent {parent}".encode() for parent in self.parents)]
        lines += [b"author " + self.author.encode(), b"committer " + self.committer.encode(), b""]
        message = self.message if self.message.endswith("\n") else self.message + "\n"
        return GitObject.of(COMMIT, b"\n".join([*lines, message.encode("utf-8", "replace")]))


def encode_name(name: str) -> bytes:
    """A name in a tree; bytes that are no UTF-8 go through unchanged. Raises InvalidRequest for half a character."""
    try:
        return name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InvalidRequest("a name has half of a character, which no file can be called.") from None


def readable(name: str) -> str:
    """A name or path as answers can carry it: bytes that are no UTF-8 become the sign for that."""
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def encode_tree(entries: Iterable[Entry]) -> GitObject:
    """A tree of these entries, in git's order."""
    lines = [
        f"{entry.mode:o} ".encode() + encode_name(entry.name) + b"\0" + bytes.fromhex(entry.oid)
        for entry in sorted(entries, key=lambda entry: entry.sort_key)
    ]
    return GitObject.of(TREE, b"".join(lines))


EMPTY_TREE = encode_tree([])


def parse_tree(content: bytes) -> list[Entry]:
    """The entries of a tree, in its order. Raises InvalidRequest for bytes that are none."""
    return list(iterate_tree(content))


def iterate_tree(content: bytes, start: bytes = b"") -> Iterator[Entry]:
    """The entries of a tree whose sort key is `start` or comes after it, in order and one by one.

    Raises InvalidRequest at bytes that are no tree: names must ascend, so that going on from one never turns back.
    """
    position = _position(content, start.removesuffix(b"/")) or 0 if start else 0
    before = b""
    while position < len(content):
        found = _ENTRY.match(content, position)
        if found is None:
            raise InvalidRequest(f"this is no git tree: byte {position} begins no entry.")
        mode, name, oid = found.groups()
        entry = Entry(name.decode("utf-8", "surrogateescape"), int(mode, 8), oid.hex())
        key = name + b"/" if entry.is_folder else name
        if key <= before:
            raise InvalidRequest(f"this is no git tree: its names are not in order at byte {position}.")
        before, position = key, found.end()
        if key >= start:
            yield entry


def tree_names(content: bytes) -> dict[bytes, bytes]:
    """Name -> mode, space and id: the quickest way to compare two large trees."""
    return {name: mode + b" " + oid for mode, name, oid in _ENTRY.findall(content)}


def find_in_tree(content: bytes, name: str) -> Entry | None:
    """The entry called `name`, without making the others: trees may have 100,000 of them."""
    encoded = encode_name(name)
    if b"\0" in encoded:
        return None
    position = _position(content, encoded)
    found = None if position is None else _ENTRY.match(content, position)
    return None if found is None else Entry(name, int(found.group(1), 8), found.group(3).hex())


def _position(content: bytes, name: bytes) -> int | None:
    """Where the entry called `name` begins."""
    wanted = b" " + name + b"\0"
    place = content.find(wanted)
    while place >= 0:
        # a name can hold " 100644 name", and so can the 20 bytes of an id: only counting entries tells
        for start in (place - 6, place - 5):
            if start >= 0 and _MODE.match(content, start, place) and _ends_entry(content, start):
                return start
        place = content.find(wanted, place + 1)
    return None


def _ends_entry(content: bytes, position: int) -> bool:
    """Whether an entry ends right before `position`."""
    entries = _ENTRIES.match(content, 0, position)
    return entries is not None and entries.end() == position


def parse_commit(content: bytes) -> Commit:
    """What a commit says. Raises InvalidRequest for bytes that are none."""
    head, _, message = content.partition(b"\n\n")
    tree, parents, author, committer = "", [], None, None
    for line in head.split(b"\n"):
        key, _, value = line.partition(b" ")
        if key == b"tree":
            tree = value.decode("ascii", "replace")
        elif key == b"parent":
            parents.append(value.decode("ascii", "replace"))
        elif key == b"author":
            author = parse_signature(value)
        elif key == b"committer":
            committer = parse_signature(value)
    if not re.fullmatch("[0-9a-f]{40}", tree) or author is None or committer is None:
        raise InvalidRequest("this is no git commit: it names no tree, author or committer.")
    return Commit(tree, tuple(parents), author, committer, message.decode("utf-8", "replace").rstrip("\n"))


def parse_signature(line: bytes) -> Signature | None:
    """`name <email> seconds zone`; None when the line is something else."""
    found = _SIGNATURE.match(line)
    if found is None:
        return None
    name, email, seconds, zone = found.groups()
    return Signature(name.decode("utf-8", "replace"), email.decode("utf-8", "replace"), int(seconds), zone.decode())


def parse_tag(content: bytes) -> tuple[str, str]:
    """The object an annotated tag names, and its message."""
    head, _, message = content.partition(b"\n\n")
    found = re.match(rb"object ([0-9a-f]{40})\n", head + b"\n")
    if found is None:
        raise InvalidRequest("this is no git tag: it names no object.")
    return found.group(1).decode(), message.decode("utf-8", "replace").rstrip("\n")


def encode_tag(name: str, commit: str, tagger: Signature, message: str) -> GitObject:
    """An annotated tag of a commit."""
    lines = [f"object {commit}", "type commit", f"tag {name}", f"tagger {tagger.encode().decode()}", ""]
    return GitObject.of(TAG, "\n".join([*lines, message.rstrip("\n") + "\n"]).encode("utf-8", "replace"))


def named_by(item: GitObject) -> set[str]:
    """The objects that an object names. Commits of other repositories (submodules) are not among them."""
    if item.kind == COMMIT:
        commit = parse_commit(item.content)
        return {commit.tree, *commit.parents}
    if item.kind == TREE:
        return {entry.oid for entry in parse_tree(item.content) if entry.mode != MODULE_MODE}
    return {parse_tag(item.content)[0]} if item.kind == TAG else set()


def files_in(item: GitObject) -> set[str]:
    """The files that an object names: those in a folder."""
    if item.kind != TREE:
        return set()
    return {entry.oid for entry in parse_tree(item.content) if entry.mode not in (FOLDER_MODE, MODULE_MODE)}


def _plain(text: str) -> str:
    """A name as git takes it: on one line, without the signs that end it."""
    return re.sub(r"[<>\n\r\0]", "", text).strip() or "unknown"
