"""The large files of a repository: listed, and deleted for good, from its whole history if that is wanted."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts import audit
from madang.server.accounts.caller import Caller
from madang.server.database import batches
from madang.server.discussions.records import discussions
from madang.server.errors import Unprocessable
from madang.server.git.diffs import changed_files
from madang.server.git.history import history_page
from madang.server.git.objects import BLOB, COMMIT, EMPTY_TREE, TAG, Commit, Entry, encode_tag, encode_tree, parse_tag
from madang.server.git.pointers import LONGEST_POINTER
from madang.server.git.records import objects as git_objects
from madang.server.git.refs import HEADS, MAIN, PULL_REQUESTS, commits_of, list_refs, move_ref
from madang.server.git.store import Objects
from madang.server.git.trees import DEEPEST, walk
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.large_files.service import forget
from madang.server.repositories.authors import signature
from madang.server.repositories.locking import lock
from madang.server.repositories.repository import Repository
from madang.server.repositories.service import after_change

PAGE = 1000
MOST_COMMITS = 100_000
# names of large files are looked for in so many paths and so many commits
MOST_PATHS = 100_000
MOST_LOOKED_AT = 500


@dataclass(frozen=True)
class LargeFile:
    """A large file a repository has, and a path it is or was at."""

    sha256: str
    size: int
    uploaded_at: int
    path: str | None = None
    ref: str | None = None


def large_files_of(
    connection: Connection, repository_id: int, after: tuple[int, str] | None = None, limit: int = PAGE
) -> list[LargeFile]:
    """A page of the large files, the one that came last first; `after` is time and SHA-256 of the one seen last."""
    uploaded, sha256 = repository_blobs.c.uploaded_at, repository_blobs.c.sha256
    query = (
        sa.select(sha256, blobs.c.size, uploaded)
        .join_from(repository_blobs, blobs)
        .where(repository_blobs.c.repository_id == repository_id)
        .order_by(uploaded.desc(), sha256)
        .limit(limit)
    )
    if after is not None:
        query = query.where(sa.or_(uploaded < after[0], sa.and_(uploaded == after[0], sha256 > after[1])))
    found = [LargeFile(*row) for row in connection.execute(query)]
    places = _places(Objects(connection, repository_id), {file.sha256 for file in found})
    return [LargeFile(file.sha256, file.size, file.uploaded_at, *places.get(file.sha256, ())) for file in found]


def _places(objects: Objects, wanted: set[str]) -> dict[str, tuple[str, str | None]]:
    """SHA-256 -> a path, and the ref whose files have it there now (None: a commit of the past)."""
    found: dict[str, tuple[str, str | None]] = {}
    refs = dict(list_refs(objects.connection, objects.repository_id))
    heads = commits_of(objects, list(refs.values()))
    left = MOST_PATHS
    for ref in sorted(refs, key=lambda name: (name != MAIN, not name.startswith(HEADS), name)):
        if refs[ref] not in heads or not wanted - found.keys():
            continue
        tree = objects.commit(heads[refs[ref]]).tree
        paths: list[tuple[str, Entry]] = []
        for item in walk(objects, tree, recursive=True):
            paths.append(item)
            left -= 1
            if left <= 0:
                break
        _note(objects, paths, wanted, ref, found)
    if wanted - found.keys():
        for oid, commit in history_page(objects, list(heads.values()), MOST_LOOKED_AT).commits:
            before = objects.commit(commit.parents[0]).tree if commit.parents else None
            changes = changed_files(objects, before, objects.commit(oid).tree)
            gone = [(change.path, change.old) for change, _ in zip(changes, range(1000), strict=False) if change.old]
            _note(objects, gone, wanted, None, found)
    return found


def _note(
    objects: Objects,
    paths: Iterable[tuple[str, Entry]],
    wanted: set[str],
    ref: str | None,
    found: dict[str, tuple[str, str | None]],
) -> None:
    for some in batches((item for item in paths if not item[1].is_folder), 1000):
        infos = objects.files(entry.oid for _, entry in some)
        for path, entry in some:
            info = infos.get(entry.oid)
            if info is not None and info.pointer is not None and info.pointer.sha256 in wanted:
                found.setdefault(info.pointer.sha256, (path, ref))


def delete_large_files(
    connection: Connection, caller: Caller, repository: Repository, sha256s: Sequence[str], *, rewrite_history: bool
) -> None:
    """Delete large files for good. With `rewrite_history` no commit of any branch, tag or pull request names them
    any more: such commits get other ids, and all refs move in this one transaction."""
    wanted = set(sha256s)
    if rewrite_history:
        _Rewriting(connection, caller, repository, wanted).run()
    forget(connection, repository.id, wanted)
    details = {
        "type": repository.type,
        "repository": repository.name,
        "files": len(wanted),
        "rewritten": rewrite_history,
    }
    audit.record(connection, caller, "repository.delete-large-files", **details)


class _Rewriting:
    """The same history without some large files."""

    def __init__(self, connection: Connection, caller: Caller, repository: Repository, sha256s: set[str]) -> None:
        self.connection, self.caller, self.repository = connection, caller, repository
        self.objects = Objects(connection, repository.id)
        self.unwanted = self._pointers(sha256s)
        self.trees: dict[str, str | None] = {}  # old -> new; None: nothing is left
        self.commits: dict[str, str] = {}

    def run(self) -> None:
        if not self.unwanted:
            return
        lock(self.connection, self.repository)
        moved: dict[str, str | None] = {}
        for ref, target in list_refs(self.connection, self.repository.id):
            new = self.target(ref, target)
            if new != target:
                move_ref(self.connection, self.repository.id, ref, target, new)
                moved[ref] = new
        self._move_pull_requests()
        rest = {ref: target for ref, target in moved.items() if not ref.startswith(PULL_REQUESTS)}
        after_change(self.connection, self.repository, rest, author=self.caller.account)

    def _move_pull_requests(self) -> None:
        """Commits that discussions name get their new ids; nothing was pushed, so nobody is told of it."""
        here = discussions.c.repository_id == self.repository.id
        for name in ("head", "merge_commit", "merge_base"):
            column = discussions.c[name]
            for old in set(self.connection.scalars(sa.select(column).where(here, column.is_not(None)))):
                if self.commits.get(old, old) != old:
                    self.connection.execute(
                        discussions.update().where(here, column == old).values({name: self.commits[old]})
                    )

    def _pointers(self, sha256s: set[str]) -> set[str]:
        """The blobs that stand for these files."""
        query = sa.select(git_objects.c.oid).where(
            git_objects.c.repository_id == self.repository.id,
            git_objects.c.kind == BLOB,
            git_objects.c.size <= LONGEST_POINTER,
        )
        found = set()
        for some in batches(list(self.connection.scalars(query))):
            for oid, info in self.objects.files(some).items():
                if info.pointer is not None and info.pointer.sha256 in sha256s:
                    found.add(oid)
        return found

    def target(self, ref: str, oid: str) -> str:
        """What a ref points at from now on: a commit, or a tag of one."""
        item = self.objects.get(oid)
        if item.kind == COMMIT:
            return self.commit(oid)
        if item.kind != TAG:
            return oid
        below, message = parse_tag(item.content)
        if self.objects.get(below).kind != COMMIT:
            return oid
        new = self.commit(below)
        if new == below or self.caller.account is None:
            return oid
        tag = encode_tag(ref.split("/", 2)[-1], new, signature(self.caller.account), message)
        self.objects.put([tag])
        return tag.oid

    def commit(self, head: str) -> str:
        """The new id of a commit, after those of all that lead to it."""
        waiting = [head]
        while waiting:
            oid = waiting[-1]
            commit = self.objects.commit(oid)
            unknown = [parent for parent in commit.parents if parent not in self.commits]
            if oid in self.commits or not unknown:
                waiting.pop()
                if oid not in self.commits:
                    self.commits[oid] = self._rewritten(oid, commit)
            else:
                waiting += unknown
            if len(self.commits) > MOST_COMMITS:
                raise Unprocessable(f"this history has more than {MOST_COMMITS:,} commits: rewrite it in a clone.")
        return self.commits[head]

    def _rewritten(self, oid: str, commit: Commit) -> str:
        parents = tuple(self.commits[parent] for parent in commit.parents)
        tree = self.tree(commit.tree)
        if tree is None:
            self.objects.put([EMPTY_TREE])
            tree = EMPTY_TREE.oid
        if (tree, parents) == (commit.tree, commit.parents):
            return oid
        new = Commit(tree, parents, commit.author, commit.committer, commit.message).encode()
        self.objects.put([new])
        return new.oid

    def tree(self, oid: str, depth: int = 0) -> str | None:
        """A folder without the files; None when they were all it had."""
        if depth > DEEPEST:
            raise Unprocessable(f"this history has more than {DEEPEST} folders in one another: rewrite it in a clone.")
        if oid not in self.trees:
            kept = []
            for entry in self.objects.tree(oid):
                new = self.tree(entry.oid, depth + 1) if entry.is_folder else entry.oid
                if new is not None and new not in self.unwanted:
                    kept.append(Entry(entry.name, entry.mode, new))
            made = encode_tree(kept)
            if made.oid != oid:
                self.objects.put([made] if kept else [])
            self.trees[oid] = made.oid if kept or made.oid == oid else None
        return self.trees[oid]
