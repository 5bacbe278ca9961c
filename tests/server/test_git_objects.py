"""Objects, trees and commits: the same bytes and names as git's own, and walks that lose and repeat nothing."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import Connection

from madang.server.accounts.records import accounts
from madang.server.database import insert
from madang.server.errors import InvalidRequest, Unprocessable
from madang.server.git.objects import (
    BLOB,
    EXECUTABLE_MODE,
    FILE_MODE,
    Commit,
    Entry,
    GitObject,
    Signature,
    encode_tag,
    encode_tree,
    find_in_tree,
    parse_commit,
    parse_tag,
    parse_tree,
)
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree, walk
from madang.server.repositories.records import repositories
from madang.testing.hub import hub_in

# names that sort differently as files and as folders, and such as contain what entries are made of
NAMES = ["a", "a.b", "a-b", "a0", "ab", "b", "x", "A", "가나", "a b", "100644 a", "40000 b", "é", "~"]
NAME = st.sampled_from(NAMES) | st.text(
    st.characters(blacklist_characters="/\0", blacklist_categories=["Cs"]), min_size=1, max_size=4
)
FILES = st.dictionaries(st.lists(NAME, min_size=1, max_size=4).map("/".join), st.binary(max_size=3), max_size=25)


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """A transaction with one empty repository, number 1."""
    made = hub_in(tmp_path_factory.mktemp("hub"))
    with made.hub.database.write() as opened:
        owner = insert(opened, accounts, kind="user", name="a", key="a", created_at=0)
        row = {"type": "model", "owner_id": owner, "name": "a/b", "key": "a/b", "created_at": 0, "modified_at": 0}
        assert insert(opened, repositories, **row) == 1
        yield opened
    made.hub.close()


def without_clashes(files: dict[str, bytes]) -> dict[str, bytes]:
    """Those files that do not lie where a folder must be."""
    folders = {path[:place] for path in files for place, sign in enumerate(path) if sign == "/"}
    return {path: content for path, content in files.items() if path not in folders}


def stored(objects: Objects, files: dict[str, bytes], base: str | None = None) -> str:
    """The tree of these files."""
    blobs = {path: GitObject.of(BLOB, content) for path, content in files.items()}
    changes = {path: Entry(path.rpartition("/")[2], FILE_MODE, blob.oid) for path, blob in blobs.items()}
    tree, made = change_tree(objects, base, changes)
    objects.put([*blobs.values(), *made])
    return tree


def modelled(files: dict[str, bytes], *, recursive: bool) -> list[str]:
    """What a walk must give, made from nothing but the paths: folders end in a slash."""
    found = set()
    for path in files:
        parts = path.split("/")
        found |= {"/".join(parts[:count]) + "/" for count in range(1, len(parts))} | {path}
    if not recursive:
        found = {path for path in found if path.rstrip("/").count("/") == 0}
    return sorted(found, key=lambda path: path.encode())


def walked(objects: Objects, tree: str, **options: object) -> list[str]:
    return [path + "/" if entry.is_folder else path for path, entry in walk(objects, tree, **options)]  # type: ignore[arg-type]


COMMON = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@COMMON
@given(files=FILES, recursive=st.booleans())
def test_a_walk_gives_every_path_once_and_in_order(
    connection: Connection, files: dict[str, bytes], recursive: bool
) -> None:
    files = without_clashes(files)
    objects = Objects(connection, 1)
    assert walked(objects, stored(objects, files), recursive=recursive) == modelled(files, recursive=recursive)


@COMMON
@given(files=FILES, recursive=st.booleans())
def test_a_walk_goes_on_after_any_of_its_paths(
    connection: Connection, files: dict[str, bytes], recursive: bool
) -> None:
    objects = Objects(connection, 1)
    tree = stored(objects, without_clashes(files))
    everything = walked(objects, tree, recursive=recursive)
    for place, path in enumerate(everything):
        assert walked(objects, tree, recursive=recursive, after=path) == everything[place + 1 :]


@COMMON
@given(files=FILES, below=st.lists(NAME, min_size=1, max_size=3).map("/".join), after=st.text(max_size=5))
def test_a_walk_below_a_folder_stays_there(
    connection: Connection, files: dict[str, bytes], below: str, after: str
) -> None:
    files = {f"{below}/{path}": content for path, content in without_clashes(files).items()}
    objects = Objects(connection, 1)
    folder = objects.find(stored(objects, {**files, "other": b""}), below)
    if not files:
        return
    assert folder is not None
    everything = walked(objects, folder.oid, folder=below, recursive=True)
    assert [path for path in everything if not path.endswith("/")] == sorted(files, key=str.encode)
    # whatever somebody sends as the place to go on from: part of the list, never more and never an endless one
    assert set(walked(objects, folder.oid, folder=below, recursive=True, after=after)) <= set(everything)


@COMMON
@given(old=FILES, changes=st.dictionaries(st.lists(NAME, min_size=1, max_size=3).map("/".join), st.booleans()))
def test_changing_a_tree_is_like_changing_a_dictionary(
    connection: Connection, old: dict[str, bytes], changes: dict[str, bool]
) -> None:
    old, objects = without_clashes(old), Objects(connection, 1)
    tree = stored(objects, old)
    new = dict.fromkeys(without_clashes({path: b"" for path, puts in changes.items() if puts}), b"new")
    removed = [path for path, puts in changes.items() if not puts]
    blob = GitObject.of(BLOB, b"new")
    steps: dict[str, Entry | None] = dict.fromkeys(removed)
    middle, made = change_tree(objects, tree, steps)
    objects.put([blob, *made])
    after, made = change_tree(objects, middle, {path: Entry("", FILE_MODE, blob.oid) for path in new})
    objects.put(made)

    def covers(place: str, path: str) -> bool:
        return path == place or path.startswith(place + "/")

    left = {path: content for path, content in old.items() if not any(covers(place, path) for place in removed)}
    left = {
        path: content
        for path, content in left.items()
        if not any(covers(place, path) or covers(path, place) for place in new)
    }
    expected = {**left, **new}
    assert after == stored(objects, expected)


@COMMON
@given(files=FILES)
def test_each_entry_is_found_and_no_other(connection: Connection, files: dict[str, bytes]) -> None:
    files, objects = without_clashes(files), Objects(connection, 1)
    tree = stored(objects, files)
    for path, content in files.items():
        entry = objects.find(tree, path)
        assert entry is not None
        assert entry.oid == GitObject.of(BLOB, content).oid
    for name in NAMES:
        there = name in files or any(path.startswith(name + "/") for path in files)
        assert (objects.find(tree, name) is not None) == there


def test_an_entry_after_any_id_is_found() -> None:
    for last in range(256):
        tree = encode_tree([Entry("a", FILE_MODE, f"{'00' * 19}{last:02x}"), Entry("b", 0o40000, "11" * 20)])
        assert find_in_tree(tree.content, "b") == Entry("b", 0o40000, "11" * 20)


def test_an_id_that_spells_an_entry_hides_none() -> None:
    fake = (b"100644 evil\0" + b"z" * 8).hex()
    content = encode_tree([Entry("a", 0o160000, fake), Entry("evil", FILE_MODE, "22" * 20)]).content
    assert find_in_tree(content, "evil") == Entry("evil", FILE_MODE, "22" * 20)
    assert find_in_tree(encode_tree([Entry("a", 0o160000, fake)]).content, "evil") is None


@pytest.mark.parametrize(
    "content",
    [
        b"100644 a\0short",
        b"100644 b\0" + b"1" * 20 + b"100644 a\0" + b"1" * 20,  # not in order: pages of it could go round in circles
        b"100644 a\0" + b"1" * 20 + b"100644 a\0" + b"1" * 20,
        b"100644 a/b\0" + b"1" * 20,
        b"100644 \0" + b"1" * 20,
        b"99 a\0" + b"1" * 20,
    ],
)
def test_bytes_that_are_no_tree_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidRequest, match="no git tree"):
        parse_tree(content)


def test_a_path_as_deep_as_the_stack_is_refused(connection: Connection) -> None:
    with pytest.raises(Unprocessable, match="folders"):
        change_tree(Objects(connection, 1), None, {"a/" * 5000 + "a": Entry("a", FILE_MODE, "11" * 20)})


def git(folder: Path, *words: str, given: bytes = b"") -> str:
    """What the real git answers."""
    environment = {
        **os.environ,
        **{f"GIT_{who}_{key}": value for who in ("AUTHOR", "COMMITTER") for key, value in IDENTITY.items()},
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
    }
    done = subprocess.run(["git", *words], cwd=folder, input=given, capture_output=True, check=True, env=environment)
    return done.stdout.decode().strip()


IDENTITY = {"NAME": "Kim 김", "EMAIL": "kim@example.org", "DATE": "1700000000 +0900"}


def test_trees_commits_and_tags_have_the_names_git_gives_them(connection: Connection, tmp_path: Path) -> None:
    files = {
        "a": b"1",
        "a.b": b"2",
        "a-b/x": b"3",
        "a0": b"4",
        "b/a/x": b"",
        "b/a.x": b"6",
        "한글/파일 (1).txt": "일\n".encode(),
    }
    for path, content in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(content)
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    (tmp_path / "a0").chmod(0o755)
    git(tmp_path, "update-index", "--chmod=+x", "a0")
    git(tmp_path, "commit", "-q", "-m", "Title\n\nBody")
    objects = Objects(connection, 1)
    plain = stored(objects, files)
    tree, made = change_tree(objects, plain, {"a0": Entry("a0", EXECUTABLE_MODE, GitObject.of(BLOB, b"4").oid)})
    objects.put(made)
    assert tree == git(tmp_path, "rev-parse", "HEAD^{tree}")
    who = Signature("Kim 김", "kim@example.org", 1700000000, "+0900")
    first = Commit(tree, (), who, who, "Title\n\nBody").encode()
    assert first.oid == git(tmp_path, "rev-parse", "HEAD")
    second = Commit(plain, (first.oid,), who, who, "Second").encode()
    assert git(tmp_path, "hash-object", "-t", "commit", "--stdin", given=second.content) == second.oid
    tag = encode_tag("v1", first.oid, who, "One")
    assert git(tmp_path, "mktag", given=tag.content) == tag.oid
    assert parse_tag(tag.content) == (first.oid, "One")


def test_a_commit_is_read_as_it_was_written() -> None:
    who = Signature("Kim", "kim@example.org", 1700000000, "-0330")
    commit = Commit("11" * 20, ("22" * 20, "33" * 20), who, who, "Title\n\nBody")
    assert parse_commit(commit.encode().content) == commit
    assert (commit.title, commit.description) == ("Title", "Body")


@pytest.mark.parametrize(("seconds", "zone"), [(10**17, "+0000"), (-5, "+0000"), (1, "+9999"), (1, "-9960")])
def test_a_date_no_calendar_has_does_not_fail(seconds: int, zone: str) -> None:
    assert 1970 <= Signature("a", "b", seconds, zone).moment.year <= 9999


def test_half_a_character_in_a_message_does_not_fail() -> None:
    who = Signature("a\ud800", "b", 0)
    assert b"?" in Commit("11" * 20, (), who, who, "\ud800").encode().content


def test_objects_of_one_repository_are_not_found_in_another(connection: Connection) -> None:
    item = GitObject.of(BLOB, b"private")
    Objects(connection, 1).put([item])
    assert list(Objects(connection, 2).get_many([item.oid])) == []
