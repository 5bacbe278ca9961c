"""Git objects: their bytes, their names, and what is written in them.

The formats are those of git's documentation (gitformat-pack, `git hash-object`, `git ls-tree`). Objects are values:
the text that names one is the SHA-1 of its bytes.
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from madang.server.errors import InvalidRequest

COMMIT, TREE, BLOB, TAG = 1, 2, 3, 4
KIND_NAMES = {COMMIT: "commit", TREE: "tree", BLOB: "blob", TAG: "tag"}
FILE_MODE, EXECUTABLE_MODE, LINK_MODE, FOLDER_MODE, MODULE_MODE = 0o100644, 0o100755, 0o120000, 0o40000, 0o160000

_SIGNATURE = re.compile(rb"^(.*?) ?<([^>]*)> (-?\d+) ([+-]\d{4})$")


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
        return f"{_plain(self.name)} <{_plain(self.email)}> {self.seconds} {self.zone}".encode()

    @property
    def moment(self) -> datetime:
        offset = timedelta(hours=int(self.zone[1:3]), minutes=int(self.zone[3:5]))
        return datetime.fromtimestamp(self.seconds, UTC).astimezone(
            timezone(-offset if self.zone[0] == "-" else offset)
        )


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
        return GitObject.of(COMMIT, b"\n".join([*lines, message.encode()]))


def encode_name(name: str) -> bytes:
    """A name in a tree; bytes that are no UTF-8 go through unchanged."""
    return name.encode("utf-8", "surrogateescape")


def encode_tree(entries: Iterable[Entry]) -> GitObject:
    """A tree of these entries, in git's order."""
    lines = [
        f"{entry.mode:o} ".encode() + encode_name(entry.name) + b"\0" + bytes.fromhex(entry.oid)
        for entry in sorted(entries, key=lambda entry: entry.sort_key)
    ]
    return GitObject.of(TREE, b"".join(lines))


def parse_tree(content: bytes) -> list[Entry]:
    """The entries of a tree, in its order. Raises InvalidRequest for bytes that are none."""
    entries, position = [], 0
    try:
        while position < len(content):
            space = content.index(b" ", position)
            end = content.index(b"\0", space)
            oid = content[end + 1 : end + 21]
            if len(oid) != 20:
                raise ValueError("cut off")
            name = content[space + 1 : end].decode("utf-8", "surrogateescape")
            entries.append(Entry(name, int(content[position:space], 8), oid.hex()))
            position = end + 21
    except ValueError as error:
        raise InvalidRequest(f"this is no git tree: {error}") from error
    return entries


def find_in_tree(content: bytes, name: str) -> Entry | None:
    """The entry called `name`, without reading the others: trees may have 100,000 of them."""
    wanted = b" " + encode_name(name) + b"\0"
    position = content.find(wanted)
    while position >= 0:
        # the same bytes can occur within somebody's 20 bytes of id: an entry begins with its mode
        start = position - 6 if content[max(0, position - 6) : position].isdigit() else position - 5
        mode = content[max(0, start) : position]
        end = position + len(wanted) + 20
        if mode.isdigit() and (start == 0 or _ends_entry(content, start)) and end <= len(content):
            return Entry(name, int(mode, 8), content[end - 20 : end].hex())
        position = content.find(wanted, position + 1)
    return None


def _ends_entry(content: bytes, position: int) -> bool:
    """Whether an entry ends right before `position`: decided from the beginning, which is rare enough."""
    place = 0
    while place < position:
        place = content.index(b"\0", place) + 21
    return place == position


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


def _plain(text: str) -> str:
    """A name as git takes it: on one line, without the signs that end it."""
    return re.sub(r"[<>\n\r\0]", "", text).strip() or "unknown"
