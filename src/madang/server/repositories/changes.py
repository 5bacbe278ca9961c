"""A change of a repository's files: gathered step by step, while it is still being sent, then made in one commit."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Account, Caller, Right
from madang.server.discussions import pushes
from madang.server.errors import Forbidden, InvalidRequest, Refusal, Unprocessable
from madang.server.git.commits import Outdated
from madang.server.git.objects import BLOB, EXECUTABLE_MODE, FILE_MODE, Entry, GitObject
from madang.server.git.pointers import Pointer, read_pointer
from madang.server.git.refs import CONVERTS, HEADS, PULL_REQUESTS, RevisionNotFound, read_ref, resolve
from madang.server.git.store import Objects
from madang.server.hub import Hub
from madang.server.large_files import service as large_files
from madang.server.repositories import service
from madang.server.repositories.access import Found, check_content, refusal, right_of
from madang.server.repositories.attributes import Attributes, large_line
from madang.server.repositories.errors import EntryNotFound, RepositoryNotFound
from madang.server.repositories.files import entry_at, read_entry, read_text
from madang.server.repositories.locking import lock
from madang.server.repositories.paths import check_path
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import COLUMNS, Repository, from_row

PIECE = 1024 * 1024
MOST_STEPS = 100_000
# so many bytes of small files wait in memory for the commit; more are written before it, where nothing names them yet
MOST_WAITING = 16 * 1024 * 1024
LONGEST_ATTRIBUTES = 1024 * 1024
ATTRIBUTES = ".gitattributes"


class MissingFile(EntryNotFound):
    """A path that is to be removed or copied, and is not there. Clients know it by these words."""

    def __init__(self, path: str, commit: str) -> None:
        super().__init__(path, commit)
        self.args = (f"A file with this name doesn't exist: {path[:200]}",)


class TooManySteps(Refusal):
    """More files in one commit than the hub takes."""

    status = 413

    def __init__(self) -> None:
        super().__init__(f"One commit can change {MOST_STEPS} files. Send this change in several.")


@dataclass(frozen=True)
class Put:
    """A small file, whose content is among the objects of the repository when the commit is made."""

    path: str
    oid: str


@dataclass(frozen=True)
class PutLarge:
    """A large file that the hub has, or must have: without a size it is whatever size that is."""

    path: str
    sha256: str
    size: int | None


@dataclass(frozen=True)
class Remove:
    """A file, or a folder with all that is in it."""

    path: str


@dataclass(frozen=True)
class Copy:
    """A file or a folder of this repository, as it is at a revision (by default where the commit is made)."""

    path: str
    source: str
    revision: str | None


Step = Put | PutLarge | Remove | Copy


def ref_of(revision: str) -> str:
    """The ref that a commit to `revision` moves. Raises RevisionNotFound for what no commit can be made on."""
    if not revision.startswith("refs/"):
        return HEADS + revision
    if not revision.startswith((HEADS, PULL_REQUESTS, CONVERTS)):
        raise RevisionNotFound(revision)
    return revision


def check_may_commit(
    connection: Connection, caller: Caller, found: Found, revision: str, *, pull_request: bool
) -> None:
    """Raises Forbidden unless the caller may write, opens a pull request, or adds to one that is theirs."""
    repository, token = found.repository, caller.token
    if found.right >= Right.WRITE:
        return
    may_propose = token is None or token.may("discussion.write", repository.type, repository.name)
    if caller.account is not None and may_propose:
        if pull_request:
            return
        if pushes.number_of(revision) is not None:
            pushes.check_push(connection, caller, found, revision)
            return
    raise Forbidden(refusal(caller, repository, Right.WRITE))


def check_still_may_commit(
    connection: Connection, caller: Caller, repository: Repository, revision: str, *, pull_request: bool
) -> None:
    """The same for a repository that was found before. Raises RepositoryNotFound when the caller sees it no more."""
    row = connection.execute(sa.select(*COLUMNS).where(repositories.c.id == repository.id)).first()
    right = Right.NONE if row is None else right_of(connection, caller, from_row(row))
    if row is None or right < Right.READ:
        raise RepositoryNotFound(signed_in=caller.signed_in)
    found = Found(from_row(row), right)
    check_content(connection, caller, found)
    check_may_commit(connection, caller, found, revision, pull_request=pull_request)


def is_large_file(path: str, size: int, attributes: Attributes, large_from_bytes: int) -> bool:
    """Whether a file is kept as a large one, by its size or by `.gitattributes`. As with git-lfs, no empty file is."""
    return size > large_from_bytes or (size > 0 and attributes.is_large(path))


class Draft:
    """What one commit will change. Content is kept as it comes: large files in the blob store, small ones as objects.

    Nothing of it is to be seen before `commit`.
    """

    def __init__(self, hub: Hub, repository: Repository, author: Account, revision: str) -> None:
        self.hub, self.repository, self.author = hub, repository, author
        self._steps: list[Step] = []
        self._waiting: dict[str, GitObject] = {}
        self._waiting_size = 0
        with hub.database.read() as connection:
            objects = Objects(connection, repository.id)
            tree = objects.commit(resolve(connection, repository.id, revision)).tree
            self._attributes = Attributes(text_of(objects, tree, ATTRIBUTES))

    def put(self, path: str, file: IO[bytes], size: int) -> None:
        """Put the content of `file` at `path`: as a large file if it is one by its size or by `.gitattributes`."""
        check_path(path)
        if is_large_file(path, size, self._attributes, self.hub.settings.large_from_bytes):
            self._add(PutLarge(path, self._keep(file, size), size))
            return
        file.seek(0)
        content = file.read()
        pointer = read_pointer(content)
        if pointer is not None:  # the text of a pointer is a large file to everybody who reads it
            self._add(PutLarge(path, pointer.sha256, pointer.size))
            return
        blob = GitObject.of(BLOB, content)
        self._waiting[blob.oid] = blob
        self._waiting_size += len(content)
        if self._waiting_size > MOST_WAITING:
            with self.hub.database.write() as connection:
                lock(connection, self.repository)
                self._write_waiting(connection)
        self._add(Put(path, blob.oid))

    def put_large(self, path: str, sha256: str, size: int | None) -> None:
        """Put a large file at `path` that was uploaded before."""
        check_path(path)
        self._add(PutLarge(path, sha256, size))

    def remove(self, path: str) -> None:
        """Remove a file, or a folder with all that is in it."""
        path = path.removeprefix("./").rstrip("/")
        check_path(path)
        self._add(Remove(path))

    def copy(self, path: str, source: str, revision: str | None) -> None:
        """Put at `path` what is at `source`, without its content being sent."""
        check_path(path)
        check_path(source)
        self._add(Copy(path, source, revision))

    def commit(self, connection: Connection, ref: str, message: str, parent: str | None) -> str:
        """The commit on `ref`, which is its head if nothing changes.

        Raises Outdated when `parent` is not the head, RevisionNotFound, MissingFile, InvalidRequest for large files the
        hub does not have, Conflict when somebody else commits at the same moment.
        """
        lock(connection, self.repository)
        head = read_ref(connection, self.repository.id, ref)
        if head is None:
            raise RevisionNotFound(ref.removeprefix(HEADS))
        if parent is not None and not head.startswith(parent):
            raise Outdated
        self._write_waiting(connection)
        changes = _Changes(connection, self.repository, self.author, head)
        for step in self._steps:
            changes.take(step)
        entries = changes.entries()
        if all(entry is not None and changes.is_there(path, entry) for path, entry in entries.items()):
            return head
        return service.change_files(
            connection, self.repository, ref, entries, author=self.author, message=message, parent=head
        )

    def _add(self, step: Step) -> None:
        if len(self._steps) == MOST_STEPS:
            raise TooManySteps
        self._steps.append(step)

    def _keep(self, file: IO[bytes], size: int) -> str:
        """Keep content as a large file; returns its SHA-256."""
        digest = hashlib.sha256()
        for piece in _pieces(file):
            digest.update(piece)
        sha256 = digest.hexdigest()
        large_files.keep(self.hub, self.repository.id, _pieces(file), sha256, size, self.author.id)
        return sha256

    def _write_waiting(self, connection: Connection) -> None:
        Objects(connection, self.repository.id).put(self._waiting.values())
        self._waiting, self._waiting_size = {}, 0


class _Changes:
    """What the steps, one after the other, lead to: an entry for each path, None where something goes."""

    def __init__(self, connection: Connection, repository: Repository, author: Account, head: str) -> None:
        self.connection, self.repository, self.author, self.head = connection, repository, author, head
        self.objects = Objects(connection, repository.id)
        self.tree = self.objects.commit(head).tree
        self._found: dict[str, tuple[int, Entry | None]] = {}  # path -> number of the step, entry
        self._removed: dict[str, int] = {}
        self._folders: set[str] = set()  # those that steps put something into
        self._large: list[str] = []
        self._step = 0

    def take(self, step: Step) -> None:
        self._step += 1
        path = self._spelled(step.path)
        if isinstance(step, Remove):
            there = path in self._found or path in self._folders or self.objects.find(self.tree, path) is not None
            if not there:
                raise MissingFile(step.path, self.head)
            self._found[path] = (self._step, None)
            self._removed[path] = self._step
            return
        if isinstance(step, Copy):
            entry = self._source(step)
        elif isinstance(step, PutLarge):
            entry = self._entry(path, self._pointer(step))
            self._large.append(path)
        else:
            entry = self._entry(path, step.oid)
        self._found[path] = (self._step, entry)
        self._folders.update(_above(path))

    def entries(self) -> dict[str, Entry | None]:
        """The changes that are left when all steps are taken. Raises Unprocessable when they contradict each other."""
        left: dict[str, Entry | None] = {}
        for path, (number, entry) in self._found.items():
            above = list(_above(path))
            if any(self._removed.get(folder, 0) > number for folder in above):
                continue
            left[path] = entry
            for folder in above:
                number, parent = self._found.get(folder, (0, None))
                if entry is not None and parent is not None:
                    raise Unprocessable(f"{folder[:200]!r} would be a file and a folder in the same commit.")
        self._name_large_files(left)
        return left

    def is_there(self, path: str, entry: Entry) -> bool:
        """Whether the head has exactly this at `path` already."""
        there = self.objects.find(self.tree, path)
        return there is not None and (there.mode, there.oid) == (entry.mode, entry.oid)

    def _spelled(self, path: str) -> str:
        """The path composed, except where the repository has it as it was sent."""
        composed = check_path(path)
        return path if composed != path and self.objects.find(self.tree, path) is not None else composed

    def _entry(self, path: str, oid: str) -> Entry:
        """A file: it can be run if the one before it could."""
        there = self.objects.find(self.tree, path)
        mode = EXECUTABLE_MODE if there is not None and there.mode == EXECUTABLE_MODE else FILE_MODE
        return Entry(path.rpartition("/")[2], mode, oid)

    def _source(self, step: Copy) -> Entry:
        commit = self.head
        if step.revision is not None:
            commit = resolve(self.connection, self.repository.id, step.revision)
        tree = self.objects.commit(commit).tree
        entry = entry_at(self.objects, tree, step.source)
        if entry is None:
            raise MissingFile(step.source, commit)
        return Entry(step.path.rpartition("/")[2], entry.mode, entry.oid)

    def _pointer(self, step: PutLarge) -> str:
        """Let the repository have the large file of a step; returns the object that stands for it."""
        size = large_files.known(self.connection, self.repository.id, step.sha256, self.author.id)
        if size is None:
            raise InvalidRequest(
                f"the content of {step.path[:200]!r} (SHA-256 {step.sha256}) has not been uploaded to this repository. "
                "Upload it first, then commit."
            )
        if step.size not in (None, size):
            raise InvalidRequest(f"the content of {step.path[:200]!r} has {size} bytes, the commit says {step.size}.")
        large_files.add(self.connection, self.repository.id, step.sha256, size, self.author.id)
        blob = GitObject.of(BLOB, Pointer(step.sha256, size).encode())
        self.objects.put([blob])
        return blob.oid

    def _name_large_files(self, left: dict[str, Entry | None]) -> None:
        """Write large files that no pattern covers into `.gitattributes`, by which git-lfs knows them in a clone."""
        if not self._large:
            return
        changed = left.get(ATTRIBUTES)
        there = changed if ATTRIBUTES in left else self.objects.find(self.tree, ATTRIBUTES)
        if there is not None and read_entry(self.objects, there, LONGEST_ATTRIBUTES) is None:
            return  # too long to be read: it stays as its author wrote it
        text = read_text(self.objects, there, LONGEST_ATTRIBUTES)
        attributes = Attributes(text)
        lines = [
            large_line(path) for path in dict.fromkeys(self._large) if path in left and not attributes.is_large(path)
        ]
        if lines:
            text += "" if not text or text.endswith("\n") else "\n"
            blob = GitObject.of(BLOB, (text + "".join(lines)).encode())
            self.objects.put([blob])
            left[ATTRIBUTES] = Entry(ATTRIBUTES, FILE_MODE, blob.oid)


def text_of(objects: Objects, tree: str, name: str) -> str:
    """The text of `.gitattributes` or `.gitignore` at the top of a tree; empty without one."""
    return read_text(objects, objects.find(tree, name), LONGEST_ATTRIBUTES)


def _above(path: str) -> Iterator[str]:
    """The folders a path is in, the deepest first."""
    while "/" in path:
        path = path.rpartition("/")[0]
        yield path


def _pieces(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while piece := file.read(PIECE):
        yield piece
