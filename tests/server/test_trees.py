"""Listings of folders and files over HTTP."""

import hashlib
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from madang.server.git.last_changes import Effort, Memory, last_changes
from madang.server.git.pointers import Pointer
from madang.server.git.refs import resolve
from madang.server.git.store import Objects
from madang.testing.hub import HubForTests

Clients = Callable[..., TestClient]
Commit = Callable[..., str]
TREE = "/api/models/alice/bert/tree/main"


@pytest.fixture
def alice(client: Clients) -> TestClient:
    found = client("alice")
    found.post("/api/repos/create", json={"name": "bert"})
    return found


def paths(answer: Any) -> list[str]:
    return [item["path"] for item in answer.json()]


def all_pages(caller: TestClient, address: str, **query: Any) -> list[str]:
    """Every path of a listing, following the links that its pages name."""
    found, answer = [], caller.get(address, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found += paths(answer)
        if "next" not in answer.links:
            return found
        answer = caller.get(answer.links["next"]["url"])


def test_folders_and_files_are_listed_in_the_order_of_git(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a.b": b"", "a-b/x": b"", "a/x": b"", "a0": b""})
    assert paths(alice.get(TREE)) == [".gitattributes", "a-b", "a.b", "a", "a0"]
    assert paths(alice.get(TREE, params={"recursive": "true"})) == [
        *(".gitattributes", "a-b", "a-b/x", "a.b", "a", "a/x", "a0")
    ]


@pytest.mark.parametrize("limit", [1, 2, 3, 7])
@pytest.mark.parametrize("recursive", ["true", "false"])
def test_pages_hold_every_path_once(alice: TestClient, commit: Commit, limit: int, recursive: str) -> None:
    files = {
        f"{folder}/{name}": b"" for folder in ("a", "a.b", "a-b", "한글 폴더/b&c=d") for name in ("x", "y z", "+%")
    }
    commit("alice/bert", files)
    whole = paths(alice.get(TREE, params={"recursive": recursive}))
    assert all_pages(alice, TREE, recursive=recursive, limit=limit) == whole
    below = f"{TREE}/{quote('한글 폴더', safe='')}"
    assert all_pages(alice, below, recursive=recursive, limit=limit) == paths(
        alice.get(below, params={"recursive": recursive})
    )


def test_a_path_below_a_folder_may_be_encoded_or_not(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a/b/c.txt": b"1"})
    assert paths(alice.get(f"{TREE}/a%2Fb")) == paths(alice.get(f"{TREE}/a/b")) == ["a/b/c.txt"]


@pytest.mark.parametrize("path", ["missing", "README.md", "README.md/x", "a/../a", "%2E%2E", "a%2F..%2Fa"])
def test_what_is_no_folder_is_not_found(alice: TestClient, commit: Commit, path: str) -> None:
    oid = commit("alice/bert", {"README.md": b"1", "a/b": b"2"})
    answer = alice.get(f"{TREE}/{quote(path, safe='%')}")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "EntryNotFound")
    assert answer.headers["x-repo-commit"] == oid


def test_an_unknown_revision_is_not_found(alice: TestClient) -> None:
    for revision in ("other", "0" * 40, "refs%2Fpr%2F9", "abcdef1"):
        answer = alice.get(f"/api/models/alice/bert/tree/{revision}")
        assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize("cursor", ["x", "!!!", "bnVsbA", "W10", "a" * 50_000, "%ff"])
def test_a_cursor_nobody_gave_out_is_refused(alice: TestClient, cursor: str) -> None:
    assert alice.get(f"{TREE}?cursor={cursor}").status_code == 400


def test_a_large_file_shows_its_own_size(alice: TestClient, commit: Commit) -> None:
    pointer = Pointer(hashlib.sha256(b"x").hexdigest(), 123_456_789)
    commit("alice/bert", {"model.bin": pointer.encode()})
    item = alice.get(TREE).json()[1]
    assert item["size"] == item["lfs"]["size"] == 123_456_789
    assert item["lfs"] == {"oid": pointer.sha256, "size": 123_456_789, "pointerSize": len(pointer.encode())}
    assert alice.get("/api/models/alice/bert/treesize/main").json()["size"] > 123_456_789


def test_the_size_of_a_folder_counts_a_file_at_each_place(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a/x": b"12345", "a/b/x": b"12345", "a/c/x": b"12345", "z": b"1"})
    assert alice.get("/api/models/alice/bert/treesize/main/a").json() == {"path": "/a", "size": 15}
    assert alice.get("/api/models/alice/bert/treesize/main/nothing").status_code == 404


def test_expanded_lines_name_the_commit_that_changed_them_last(alice: TestClient, commit: Commit) -> None:
    first = commit("alice/bert", {"a/x": b"1", "a/y": b"1", "b/z": b"1"}, "First")
    second = commit("alice/bert", {"a/x": b"2"}, "Second\n\nBody")
    answer = alice.get(TREE, params={"recursive": "true", "expand": "true"}).json()
    lines = {item["path"]: item for item in answer}
    assert {path: item["lastCommit"]["id"] for path, item in lines.items() if path != ".gitattributes"} == {
        **{"a": second, "a/x": second, "a/y": first, "b": first, "b/z": first}
    }
    assert lines["a/x"]["lastCommit"]["title"] == "Second"
    assert lines["a/x"]["lastCommit"]["date"].endswith("Z")
    assert set(lines["a/x"]["securityFileStatus"]) == {"status", "avScan", "pickleImportScan"}
    assert "securityFileStatus" not in lines["a"]


def test_the_commit_that_changed_a_line_last_is_found_through_merges(
    hub: HubForTests, alice: TestClient, commit: Commit
) -> None:
    base = commit("alice/bert", {"a": b"1", "b": b"1"})
    alice.post("/api/models/alice/bert/branch/side", json={})
    side = commit("alice/bert", {"b": b"2"}, ref="refs/heads/side")
    main = commit("alice/bert", {"a": b"2"})
    merged = commit("alice/bert", {"b": b"2"}, parents=[side])
    with hub.hub.database.read() as connection:
        found = last_changes(Objects(connection, 1), merged, "", ["a", "b", ".gitattributes"])
    assert found["a"] == main
    assert found["b"] == side
    assert found[".gitattributes"] != base


def test_last_changes_are_those_of_reading_every_commit(hub: HubForTests, alice: TestClient, commit: Commit) -> None:
    made: dict[str, str] = {}
    for number in range(40):
        name = f"{'abc'[number % 3]}/{number % 7}"
        made[name] = commit("alice/bert", {name: str(number).encode()})
    with hub.hub.database.read() as connection:
        head, objects = resolve(connection, 1, "main"), Objects(connection, 1)
        for folder in "abc":
            names = [path[2:] for path in made if path.startswith(folder)]
            expected = {name: made[f"{folder}/{name}"] for name in names}
            assert last_changes(objects, head, folder, names) == expected
            # asked again, nothing is read
            assert last_changes(objects, head, folder, names, Effort(0, 0)) == expected


def test_a_long_history_costs_a_bounded_effort(hub: HubForTests, alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"old": b"1"})
    for number in range(12):
        commit("alice/bert", {"new": str(number).encode()})
    with hub.hub.database.read() as connection:
        head, objects = resolve(connection, 1, "main"), Objects(connection, 1)
        effort = Effort(commits=5)
        found = last_changes(objects, head, "", ["old", "new"], effort)
        assert (found, effort.commits) == ({"new": head}, 0)
        # what could not be found is not remembered as such
        assert "old" in last_changes(objects, head, "", ["old", "new"])


def test_the_memory_of_last_changes_is_bounded() -> None:
    memory = Memory(limit=10)
    for number in range(20):
        memory.add((1, str(number), ""), {str(name).encode(): "x" for name in range(3)})
    assert memory._size == sum(len(found) for found in memory._kept.values()) <= 10


def test_paths_info_tells_of_those_that_are_there(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a/x y&z": b"1", "b": b"22"})
    answer = alice.post(
        "/api/models/alice/bert/paths-info/main",
        data={"paths": ["a/x y&z", "a", "missing", "b", "b/c", ""], "expand": "true"},
    )
    assert [(item["type"], item["path"]) for item in answer.json()] == [
        *(("file", "a/x y&z"), ("directory", "a"), ("file", "b"))
    ]
    assert all("lastCommit" in item for item in answer.json())
    as_json = alice.post("/api/models/alice/bert/paths-info/main", json={"paths": ["b"]})
    assert paths(as_json) == ["b"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"&".join([b"paths=a"] * 501), "application/x-www-form-urlencoded"),
        (b"paths=%ff", "application/x-www-form-urlencoded"),
        (b"\xff", "application/x-www-form-urlencoded"),
        (b"[]", "application/json"),
        (b"{", "application/json"),
        (b"[" * 100_000, "application/json"),
        (b'{"paths": [1]}', "application/json"),
        (b'{"paths": "a"}', "application/json"),
        (b'{"paths": ["\\ud800"]}', "application/json"),
        (b"paths=" + b"a" * 5_000_000, "application/x-www-form-urlencoded"),
    ],
)
def test_paths_info_refuses_what_it_cannot_answer(alice: TestClient, body: bytes, kind: str) -> None:
    answer = alice.post("/api/models/alice/bert/paths-info/main", content=body, headers={"Content-Type": kind})
    assert answer.status_code == 400


def test_names_that_are_no_text_do_not_fail(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"\udcff\udcfe": b"1", "b/\udcff": b"1"})
    listed = all_pages(alice, TREE, recursive="true", limit=1)
    assert listed == [".gitattributes", "b", "b/\ufffd", "\ufffd\ufffd"]
    assert alice.get("/api/models/alice/bert", params={"blobs": "true"}).status_code == 200


def test_strangers_see_no_listing_of_a_private_repository(client: Clients, alice: TestClient) -> None:
    alice.post("/api/repos/create", json={"name": "secret", "private": True})
    for address in ("tree/main", "treesize/main", "refs", "commits/main", "commit/main", "compare/main..main"):
        for stranger, status in ((client("bob"), 404), (client(), 401)):
            answer = stranger.get(f"/api/models/alice/secret/{address}")
            assert (answer.status_code, answer.headers["x-error-code"]) == (status, "RepoNotFound")
    answer = client("bob").post("/api/models/alice/secret/paths-info/main", data={"paths": "a"})
    assert answer.headers["x-error-code"] == "RepoNotFound"
