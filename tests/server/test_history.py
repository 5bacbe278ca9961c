"""Commits, differences and undoing over HTTP."""

import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.accounts.records import accounts
from madang.server.git.diffs import changed_files, header, patch
from madang.server.git.merging import Steps
from madang.server.git.objects import Signature
from madang.server.git.pointers import Pointer
from madang.server.git.store import Objects
from madang.testing.hub import HubForTests

Clients = Callable[..., TestClient]
Commit = Callable[..., str]
BASE = "/api/models/alice/bert"


@pytest.fixture
def alice(client: Clients) -> TestClient:
    found = client("alice")
    found.post("/api/repos/create", json={"name": "bert"})
    return found


def titles(caller: TestClient, address: str, **query: Any) -> list[str]:
    """The titles of all commits, following the links of the pages."""
    found, answer = [], caller.get(address, params=query)
    while True:
        assert answer.status_code == 200, answer.text
        found += [item["title"] for item in answer.json()]
        if "next" not in answer.links:
            return found
        answer = caller.get(answer.links["next"]["url"])


def files(answer: Any) -> dict[str, dict[str, Any]]:
    return {item["path"]: item for item in answer.json()["files"]}


def test_commits_come_newest_first_each_once(alice: TestClient, commit: Commit) -> None:
    for number in range(7):
        commit("alice/bert", {"a": str(number).encode()}, f"Change {number}\n\nWhy {number}")
    alice.post(f"{BASE}/branch/side", json={"startingPoint": "main"})
    side = commit("alice/bert", {"b": b"1"}, "Side", ref="refs/heads/side")
    commit("alice/bert", {"a": b"x"}, "Merge", parents=[side])
    whole = titles(alice, f"{BASE}/commits/main")
    assert sorted(whole) == sorted(["Merge", "Side", *(f"Change {number}" for number in range(7)), "initial commit"])
    assert (whole[0], whole[-1]) == ("Merge", "initial commit")
    for limit in (1, 2, 3):
        assert sorted(titles(alice, f"{BASE}/commits/main", limit=limit)) == sorted(whole)


def test_a_commit_tells_what_clients_read(alice: TestClient, commit: Commit) -> None:
    oid = commit("alice/bert", {"a": b"1"}, "Title\n\nBody")
    first = alice.get(f"{BASE}/commits/main", params={"expand[]": "formatted"}).json()[0]
    assert (first["id"], first["title"], first["message"]) == (oid, "Title", "Body")
    assert first["authors"] == [{"user": "alice"}]
    assert first["formatted"] == {"title": "Title", "message": "Body"}
    assert first["date"].endswith("Z")
    assert "formatted" not in alice.get(f"{BASE}/commits/main").json()[0]
    assert alice.get(f"{BASE}/commits/main", params={"expand": "other"}).status_code == 400
    assert alice.get(f"{BASE}/commits/nothing").headers["x-error-code"] == "RevisionNotFound"


def test_authors_are_accounts_where_the_address_is_known(
    hub: HubForTests, client: Clients, alice: TestClient, commit: Commit
) -> None:
    client("bob")
    with hub.hub.database.write() as connection:
        connection.execute(accounts.update().where(accounts.c.name == "bob").values(email="Bob@Example.org"))
    written = {
        Signature("Robert", "bob@example.ORG", 1700000000): ["bob"],
        Signature("Somebody", "unknown@example.org", 1700000000): ["Somebody"],
        Signature("Old name", "alice@users.noreply.madang", 1700000000): ["alice"],
        Signature("Nobody", "nobody@users.noreply.madang", 1700000000): ["Nobody"],
    }
    for number, (author, expected) in enumerate(written.items()):
        oid = commit("alice/bert", {"a": str(number).encode()}, "Change", author=author)
        assert alice.get(f"{BASE}/commit/{oid}").json()["authors"] == [{"user": name} for name in expected]
    oid = commit("alice/bert", {"a": b"x"}, "Change\n\nCo-authored-by: R <bob@example.org>")
    assert alice.get(f"{BASE}/commit/{oid}").json()["authors"] == [{"user": "alice"}, {"user": "bob"}]


def test_commits_of_a_path_are_those_that_changed_it(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a/x": b"1"}, "Makes it")
    commit("alice/bert", {"b": b"1"}, "Another file")
    commit("alice/bert", {"a/x": b"2"}, "Changes it")
    commit("alice/bert", {"a/x": None}, "Removes it")
    for path in ("a/x", "a"):
        for limit in (1, 50):
            found = titles(alice, f"{BASE}/commits/main", path=path, limit=limit)
            assert found == ["Removes it", "Changes it", "Makes it"]
    assert titles(alice, f"{BASE}/commits/main", path="nothing") == []


def test_a_page_of_a_rare_path_looks_at_a_bounded_number_of_commits(
    alice: TestClient, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madang.server.git.history.MOST_VISITED", 3)
    commit("alice/bert", {"rare": b"1"}, "Rare")
    for number in range(8):
        commit("alice/bert", {"often": str(number).encode()})
    assert alice.get(f"{BASE}/commits/main", params={"path": "rare"}).json() == []
    assert titles(alice, f"{BASE}/commits/main", path="rare") == ["Rare"]


@pytest.mark.parametrize("cursor", ["x", "WyJhIl0", "W10", "WzFd", "e30", "W" * 1000])
def test_a_cursor_of_another_list_is_refused(alice: TestClient, cursor: str) -> None:
    answer = alice.get(f"{BASE}/commits/main", params={"cursor": cursor})
    assert answer.status_code == (200 if cursor == "W10" else 400)


def test_a_commit_shows_what_it_changed(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"changed": b"a\nb\nc\n", "removed": b"x\n", "same": b"1", "binary": b"\0\1"})
    large = Pointer(hashlib.sha256(b"x").hexdigest(), 5_000_000)
    oid = commit(
        "alice/bert",
        {"changed": b"a\nB\nc\n", "removed": None, "new/file": b"n\n", "binary": b"\0\2", "model": large.encode()},
    )
    found = files(alice.get(f"{BASE}/commit/{oid[:10]}"))
    assert {path: item["status"] for path, item in found.items()} == {
        **{"changed": "modified", "removed": "removed", "new/file": "added", "binary": "modified", "model": "added"}
    }
    assert found["changed"]["patch"] == "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"
    assert found["removed"]["old"]["size"] == 2
    assert "new" not in found["removed"]
    assert found["binary"]["binary"] is True
    assert "patch" not in found["binary"]
    assert found["model"]["new"]["lfs"]["oid"] == large.sha256
    assert found["model"]["new"]["size"] == 5_000_000
    assert large.sha256 in found["model"]["patch"]
    first = files(alice.get(f"{BASE}/commit/{alice.get(f'{BASE}/commits/main').json()[-1]['id']}"))
    assert {path: item["status"] for path, item in first.items()} == {".gitattributes": "added"}


def test_comparing_shows_what_differs_or_what_one_side_changed(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a": b"1\n"})
    alice.post(f"{BASE}/branch/feature%2Fx", json={})
    commit("alice/bert", {"side": b"1\n"}, ref="refs/heads/feature/x")
    commit("alice/bert", {"a": b"2\n"})
    direct = files(alice.get(f"{BASE}/compare/main..feature%2Fx"))
    assert {path: item["status"] for path, item in direct.items()} == {"a": "modified", "side": "added"}
    assert set(files(alice.get(f"{BASE}/compare/main...feature%2Fx"))) == {"side"}
    assert files(alice.get(f"{BASE}/compare/main..main")) == {}
    for question in ("main", "..main", "main..", "a..b..c", ""):
        assert alice.get(f"{BASE}/compare/{question}").status_code == 400, question
    assert alice.get(f"{BASE}/compare/main..nothing").headers["x-error-code"] == "RevisionNotFound"


def test_a_large_difference_is_cut_and_says_so(
    alice: TestClient, commit: Commit, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madang.server.repositories.comparing.MOST_FILES", 5)
    monkeypatch.setattr("madang.server.repositories.comparing.MOST_TEXT", 100)
    oid = commit("alice/bert", {f"{number}": b"line\n" * 10 for number in range(9)})
    answer = alice.get(f"{BASE}/commit/{oid}").json()
    assert (len(answer["files"]), answer["truncated"]) == (5, True)
    assert sum("patch" in item for item in answer["files"]) == 1


def test_texts_without_a_common_line_end_in_time(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a": b"".join(b"%d\n" % number for number in range(40_000))})
    oid = commit("alice/bert", {"a": b"".join(b"%d\n" % (number * 7 % 40_009) for number in range(40_000))})
    found = files(alice.get(f"{BASE}/commit/{oid}"))
    assert found["a"]["binary"] is False


def test_patches_are_those_git_applies(hub: HubForTests, alice: TestClient, commit: Commit, tmp_path: Path) -> None:
    lines = [b"line %d\n" % number for number in range(60)]
    old = {"a": b"".join(lines), "end": b"no newline", "gone": b"x\ny\n", "d/e": b"\n\n"}
    new = {
        **{"a": b"".join([b"first\n", *lines[:20], b"new\n", *lines[22:55], b"last"]), "end": b"no newline\n"},
        **{"gone": None, "d/e": b"\nx\n\n", "made": b"1\n2"},
    }
    base, head = commit("alice/bert", old), commit("alice/bert", new)
    with hub.hub.database.read() as connection:
        objects = Objects(connection, 1)
        text = ""
        for change in changed_files(objects, objects.commit(base).tree, objects.commit(head).tree):
            found = patch(objects, change, Steps(1_000_000))
            text += header(change, found) + (found.text or "")
    for path, content in old.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    subprocess.run(["git", "apply", "-"], cwd=tmp_path, input=text.encode(), check=True)
    for path, content in new.items():
        assert ((tmp_path / path).read_bytes() if (tmp_path / path).exists() else None) == content


def test_reverting_undoes_one_commit_and_keeps_later_ones(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"kept": b"1\n", "text": b"".join(b"%d\n" % number for number in range(20))}, "Base")
    bad = commit("alice/bert", {"kept": None, "new": b"1\n"}, "Bad")
    commit("alice/bert", {"later": b"1\n"}, "Later")
    answer = alice.post(f"{BASE}/revert/{bad}", json={})
    assert answer.status_code == 200, answer.text
    assert answer.json()["commitUrl"].endswith(f"/alice/bert/commit/{answer.json()['commitOid']}")
    listed = {item["path"] for item in alice.get(f"{BASE}/tree/main").json()}
    assert listed == {".gitattributes", "kept", "text", "later"}
    newest = alice.get(f"{BASE}/commits/main").json()[0]
    assert (newest["title"], newest["message"]) == ('Revert "Bad"', f"This reverts commit {bad}.")
    assert alice.post(f"{BASE}/revert/{bad}", json={}).status_code == 409  # nothing is left to undo


def test_reverting_what_was_changed_since_names_the_paths(alice: TestClient, commit: Commit) -> None:
    bad = commit("alice/bert", {"a": b"1\n", "b": b"1\n"}, "Bad")
    later = commit("alice/bert", {"a": b"2\n"}, "Later")
    answer = alice.post(f"{BASE}/revert/{bad[:12]}", json={})
    assert (answer.status_code, answer.json()["filesWithConflicts"]) == (409, ["a"])
    assert "a" in answer.json()["error"]
    assert alice.get(BASE).json()["sha"] == later
    assert alice.post(f"{BASE}/revert/{bad}", json={"branch": "nothing"}).status_code == 404
