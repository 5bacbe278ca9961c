"""Merging trees and texts: what is taken from which side, and what is never guessed."""

import random
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from madang.server.accounts.tokens import caller_of
from madang.server.errors import Unprocessable
from madang.server.git import ancestry, merging
from madang.server.git.ancestry import merge_base, new_commits
from madang.server.git.merging import Merge, Steps, TooDifferent, hunks, merge_lines, merge_trees
from madang.server.git.objects import BLOB, EXECUTABLE_MODE, FILE_MODE, LINK_MODE, Commit, Entry, GitObject, Signature
from madang.server.git.pointers import Pointer
from madang.server.git.store import Objects
from madang.server.git.trees import change_tree, walk
from madang.server.repositories import service
from madang.testing.hub import HubForTests

File = str | bytes | tuple[int, bytes]


@pytest.fixture
def objects(hub: HubForTests) -> Iterator[Objects]:
    """The objects of an empty repository."""
    token = hub.user("alice")
    with hub.hub.database.write() as connection:
        repository = service.create(connection, caller_of(connection, f"Bearer {token}"), "model", "bert")
        yield Objects(connection, repository.id)


def tree(objects: Objects, files: Mapping[str, File]) -> str:
    entries: dict[str, Entry | None] = {}
    for path, content in files.items():
        mode, data = content if isinstance(content, tuple) else (FILE_MODE, content)
        blob = GitObject.of(BLOB, data.encode() if isinstance(data, str) else data)
        objects.put([blob])
        entries[path] = Entry(path.rpartition("/")[2], mode, blob.oid)
    oid, made = change_tree(objects, None, entries)
    objects.put(made)
    return oid


def merged(
    objects: Objects, base: Mapping[str, File], ours: Mapping[str, File], theirs: Mapping[str, File]
) -> dict[str, str]:
    """The files of a merge that works, in both directions."""
    trees = [tree(objects, files) for files in (base, ours, theirs)]
    results = []
    for one, other in ((1, 2), (2, 1)):
        found = merge_trees(objects, trees[0], trees[one], trees[other])
        assert found.conflicts == []
        objects.put(found.blobs)
        oid, made = change_tree(objects, trees[one], found.changes)
        objects.put(made)
        results.append(oid)
    assert results[0] == results[1]
    items = walk(objects, results[0], recursive=True)
    return {path: objects.get(entry.oid).content.decode() for path, entry in items if not entry.is_folder}


def conflicts(
    objects: Objects, base: Mapping[str, File], ours: Mapping[str, File], theirs: Mapping[str, File]
) -> list[str]:
    trees = [tree(objects, files) for files in (base, ours, theirs)]
    found = merge_trees(objects, trees[0], trees[1], trees[2])
    assert merge_trees(objects, trees[0], trees[2], trees[1]).conflicts == found.conflicts
    return found.conflicts


def test_what_one_side_changed_is_taken_from_it(objects: Objects) -> None:
    base = {"same": "1", "changed": "1", "gone": "1", "below/one": "1", "below/two": "1"}
    ours = {"same": "1", "changed": "2", "gone": "1", "below/one": "2", "below/two": "1", "mine": "m"}
    theirs = {"same": "1", "changed": "1", "below/one": "1", "below/two": "3", "new/folder/file": "n"}
    assert merged(objects, base, ours, theirs) == {
        "same": "1",
        "changed": "2",
        "below/one": "2",
        "below/two": "3",
        "mine": "m",
        "new/folder/file": "n",
    }


def test_the_same_change_on_both_sides_is_no_conflict(objects: Objects) -> None:
    both = {"a": "2", "new": "x"}
    assert merged(objects, {"a": "1", "gone": "1"}, both, both) == both


def test_different_lines_of_one_file_are_merged(objects: Objects) -> None:
    base = "one\ntwo\nthree\nfour\nfive\n"
    found = merged(
        objects, {"a.txt": base}, {"a.txt": base.replace("one", "ONE")}, {"a.txt": base.replace("five", "FIVE")}
    )
    assert found == {"a.txt": "ONE\ntwo\nthree\nfour\nFIVE\n"}


def test_folders_are_removed_and_replaced(objects: Objects) -> None:
    base = {"keep": "1", "folder/a": "1", "folder/b": "1"}
    assert merged(objects, base, {**base, "keep": "2"}, {"keep": "1"}) == {"keep": "2"}
    assert merged(objects, base, {**base, "keep": "2"}, {"keep": "1", "folder": "now a file"}) == {
        "keep": "2",
        "folder": "now a file",
    }
    # both removed parts of a folder
    assert merged(objects, base, {"keep": "1", "folder/a": "1"}, {"keep": "1", "folder/b": "1"}) == {"keep": "1"}


@pytest.mark.parametrize(
    ("base", "ours", "theirs"),
    [
        ({"f": "1\n"}, {"f": "2\n"}, {"f": "3\n"}),
        ({}, {"f": "2"}, {"f": "3"}),
        ({"f": "1"}, {"f": "2"}, {}),
        ({"f/a": "1", "f/b": "1"}, {"f": "file"}, {"f/a": "2", "f/b": "1"}),
        ({"f": "1"}, {"f": "2"}, {"f/a": "1"}),
        ({"f": b"\0one\n2\n3\n4\n"}, {"f": b"\0ONE\n2\n3\n4\n"}, {"f": b"\0one\n2\n3\nFOUR\n"}),
        ({"f": (LINK_MODE, b"a")}, {"f": (LINK_MODE, b"b")}, {"f": (LINK_MODE, b"c")}),
    ],
    ids=["same line", "added twice", "changed and removed", "file for folder", "folder for file", "binary", "links"],
)
def test_what_cannot_be_decided_is_a_conflict(
    objects: Objects, base: Mapping[str, File], ours: Mapping[str, File], theirs: Mapping[str, File]
) -> None:
    other = {"other": "1"}
    assert conflicts(objects, {**base, **other}, {**ours, **other}, {**theirs, "other": "2"}) == ["f"]


def test_files_changed_below_a_removed_folder_are_named(objects: Objects) -> None:
    base = {"x": "1", "folder/a": "1", "folder/b": "1"}
    assert conflicts(objects, base, {**base, "folder/a": "2"}, {"x": "1"}) == ["folder/a"]


def test_pointers_to_large_files_are_never_merged_by_line(objects: Objects) -> None:
    def pointer(sign: str, size: int) -> bytes:
        return Pointer(sign * 64, size).encode()

    # one side changed the line with the hash, the other the line with the size: as text this would merge
    sides = [{"model.bin": data} for data in (pointer("a", 1), pointer("b", 1), pointer("a", 2))]
    assert conflicts(objects, *sides) == ["model.bin"]


def test_modes_are_merged_with_contents(objects: Objects) -> None:
    base, ours, theirs = {"run": "1\n"}, {"run": (EXECUTABLE_MODE, b"1\n")}, {"run": "2\n"}
    trees = [tree(objects, files) for files in (base, ours, theirs)]
    found = merge_trees(objects, *trees)
    entry = found.changes["run"]
    assert entry is not None
    assert (entry.mode, objects.get(entry.oid).content) == (EXECUTABLE_MODE, b"2\n")


def test_a_merge_reads_only_what_differs(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    many = {f"folder{number}/file": str(number) for number in range(50)}
    trees = [tree(objects, {**many, **more}) for more in ({}, {"a/x": "1"}, {"b/x": "1"})]
    read: list[str] = []
    original = Objects.tree
    monkeypatch.setattr(Objects, "tree", lambda self, oid: read.append(oid) or original(self, oid))
    assert merge_trees(objects, *trees).conflicts == []
    assert len(read) == 3


def test_very_deep_folders_do_no_harm(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "DEEPEST", 3)
    path = "a/b/c/d/e/f"
    assert conflicts(objects, {path: "1"}, {path: "2"}, {path: "3", "x": "1"}) == ["a/b/c/d"]


def test_names_that_are_no_text_are_told_as_text(objects: Objects) -> None:
    name = b"caf\xe9".decode("utf-8", "surrogateescape")
    assert conflicts(objects, {name: "1"}, {name: "2"}, {name: "3"}) == ["caf\N{REPLACEMENT CHARACTER}"]


@pytest.mark.skipif(shutil.which("git") is None, reason="compares with git")
def test_lines_are_merged_as_git_merges_them(tmp_path: Path) -> None:
    chance = random.Random(5)

    def edited(lines: list[bytes]) -> list[bytes]:
        out: list[bytes] = []
        for line in lines:
            dice = chance.random()
            if dice >= 0.08:
                out.append(b"new %d\n" % chance.randrange(3) if dice < 0.16 else line)
            if 0.16 <= dice < 0.24:
                out.append(b"more %d\n" % chance.randrange(3))
        return out

    seen = set()
    for _ in range(150):
        base = [b"line %d\n" % number for number in range(chance.randrange(1, 14))]
        ours, theirs = edited(base), edited(base)
        for name, lines in (("base", base), ("ours", ours), ("theirs", theirs)):
            (tmp_path / name).write_bytes(b"".join(lines))
        git = subprocess.run(
            ["git", "merge-file", "-p", "-q", "ours", "base", "theirs"],
            cwd=tmp_path,
            capture_output=True,
            check=False,
        )
        found = merge_lines(base, ours, theirs)
        assert (found is None) == (git.returncode > 0)
        if found is not None:
            assert b"".join(found) == git.stdout
        seen.add(found is None)
    assert seen == {True, False}


def test_changes_turn_the_old_text_into_the_new_one_and_are_the_fewest() -> None:
    chance = random.Random(6)
    for _ in range(500):
        old, new = ([b"%d" % chance.randrange(3) for _ in range(chance.randrange(9))] for _ in range(2))
        found = hunks(old, new, Steps(10_000))
        made, position = [], 0
        for hunk in found:
            made += old[position : hunk.start] + new[hunk.new_start : hunk.new_end]
            position = hunk.end
        assert made + old[position:] == new
        length = [[0] * (len(new) + 1) for _ in range(len(old) + 1)]
        for x, line in enumerate(old):
            for y, other in enumerate(new):
                length[x + 1][y + 1] = length[x][y] + 1 if line == other else max(length[x][y + 1], length[x + 1][y])
        changed = sum(hunk.end - hunk.start + hunk.new_end - hunk.new_start for hunk in found)
        assert changed == len(old) + len(new) - 2 * length[-1][-1]


def test_hostile_texts_are_given_up_on() -> None:
    chance = random.Random(7)
    old, new = ([b"%d" % chance.randrange(3) for _ in range(20_000)] for _ in range(2))
    with pytest.raises(TooDifferent):
        hunks(old, new, Steps(100_000))
    with pytest.raises(TooDifferent):
        hunks([b"a"], [b"b"] * (merging.MOST_LINES + 1), Steps(10**9))


def test_many_hostile_files_take_no_longer_than_one(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merging, "MOST_STEPS", 10)
    base = {f"f{number}": "1\n2\n3\n4\n5\n" for number in range(4)}
    ours = {path: text.replace("1", "one") for path, text in base.items()}
    theirs = {path: text.replace("5", "five") for path, text in base.items()}
    assert conflicts(objects, base, ours, theirs) == ["f1", "f2", "f3"]


class Histories:
    """Commits by letters, each a second later than the one before unless said."""

    def __init__(self, objects: Objects) -> None:
        self.objects, self.seconds, self.ids = objects, 1000, {}
        self.tree = tree(objects, {"a": "1"})

    def add(self, name: str, *parents: str, seconds: int | None = None) -> str:
        self.seconds += 1
        who = Signature("alice", "a@b", self.seconds if seconds is None else seconds)
        commit = Commit(self.tree, tuple(self.ids[parent] for parent in parents), who, who, name).encode()
        self.objects.put([commit])
        self.ids[name] = commit.oid
        return commit.oid

    def base(self, one: str, other: str) -> str | None:
        found = merge_base(self.objects, self.ids[one], self.ids[other])
        assert found == merge_base(self.objects, self.ids[other], self.ids[one])
        return next((name for name, oid in self.ids.items() if oid == found), None)

    def new(self, head: str, *known: str) -> list[str]:
        return [commit.title for _, commit in new_commits(self.objects, self.ids[head], [self.ids[k] for k in known])]


def test_two_lines_meet_where_they_parted(objects: Objects) -> None:
    commits = Histories(objects)
    for name, parents in {"a": "", "b": "a", "c": "b", "x": "b", "y": "x", "z": "yc", "d": "c", "alone": ""}.items():
        commits.add(name, *parents)
    assert commits.base("c", "y") == "b"
    assert commits.base("d", "z") == "c"
    assert commits.base("a", "d") == "a"
    assert commits.base("d", "d") == "d"
    assert commits.base("alone", "d") is None
    assert commits.new("z", "d") == ["z", "y", "x"]
    assert commits.new("d", "y") == ["d", "c"]
    assert commits.new("d", "y", "c") == ["d"]
    assert commits.new("a", "d") == []


def test_clocks_that_differ_change_nothing(objects: Objects) -> None:
    commits = Histories(objects)
    commits.add("a", seconds=9000)
    commits.add("b", "a", seconds=8000)
    commits.add("c", "b", seconds=10)
    commits.add("x", "c", seconds=9500)
    commits.add("y", "c", seconds=5)
    assert commits.base("x", "y") == "c"
    assert commits.new("x", "y") == ["x"]
    assert commits.new("y", "x") == ["y"]


def test_walks_that_would_not_end_are_refused(objects: Objects, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ancestry, "MOST_VISITED", 20)
    commits = Histories(objects)
    for line in "ab":
        commits.add(f"{line}0")
        for number in range(1, 20):
            commits.add(f"{line}{number}", f"{line}{number - 1}")
    with pytest.raises(Unprocessable, match="nothing in common"):
        merge_base(objects, commits.ids["a19"], commits.ids["b19"])


def test_nothing_is_stored_by_looking(objects: Objects) -> None:
    trees = [tree(objects, {"a": text}) for text in ("1\n2\n3\n", "one\n2\n3\n", "1\n2\nthree\n")]
    found = merge_trees(objects, *trees)
    assert isinstance(found, Merge)
    assert list(objects.get_many(blob.oid for blob in found.blobs)) == []
