"""Branches, tags and squashing over HTTP."""

import subprocess
import sys
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import pytest
from fastapi.testclient import TestClient

from madang.server.git.objects import TAG
from madang.server.git.refs import read_ref
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


def refs(caller: TestClient, kind: str = "branches") -> dict[str, str]:
    answer = caller.get(f"{BASE}/refs", params={"include_prs": 1}).json()
    return {item["ref"]: item["targetCommit"] for item in answer[kind]}


def head(caller: TestClient, revision: str = "main") -> str:
    return str(caller.get(f"{BASE}/revision/{quote(revision, safe='')}").json()["sha"])


def test_a_branch_begins_at_the_revision_it_is_given(alice: TestClient, commit: Commit) -> None:
    first = head(alice)
    second = commit("alice/bert", {"a": b"1"})
    assert alice.post(f"{BASE}/branch/new").status_code == 201
    assert alice.post(f"{BASE}/branch/old", json={"startingPoint": first[:8]}).status_code == 201
    assert alice.post(f"{BASE}/branch/feature%2Fx", json={"startingPoint": "old"}).status_code == 201
    assert refs(alice) == {
        **{"refs/heads/main": second, "refs/heads/new": second},
        **{"refs/heads/old": first, "refs/heads/feature/x": first},
    }
    assert next(iter(refs(alice))) == "refs/heads/main"
    commit("alice/bert", {"b": b"1"}, ref="refs/heads/new")
    assert head(alice) == second


def test_a_branch_that_is_there_is_not_made_again(alice: TestClient) -> None:
    answer = alice.post(f"{BASE}/branch/main", json={})
    assert (answer.status_code, answer.json()["error"]) == (409, "Reference refs/heads/main already exists")


def test_a_branch_needs_a_revision_there_is(alice: TestClient) -> None:
    answer = alice.post(f"{BASE}/branch/new", json={"startingPoint": "nothing"})
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize(
    "name",
    [
        *("refs/pr/5", "refs/foo/bar", "refs/heads/main", "a..b", "a b", "-a", ".a", "a.lock", "a/", "/a", "a//b", "@"),
        *("a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "a@{1}", "HEAD", "0" * 40, "x" * 300, "\u202e", "a\u2028b"),
    ],
)
def test_a_branch_and_a_tag_need_names_git_takes(alice: TestClient, name: str) -> None:
    before = refs(alice), refs(alice, "tags")
    assert alice.post(f"{BASE}/branch/{quote(name, safe='')}", json={}).status_code == 400
    assert alice.post(f"{BASE}/tag/main", json={"tag": name}).status_code == 400
    assert (refs(alice), refs(alice, "tags")) == before


def test_a_branch_cannot_lie_inside_another(alice: TestClient) -> None:
    assert alice.post(f"{BASE}/branch/a", json={}).status_code == 201
    assert alice.post(f"{BASE}/branch/a%2Fb", json={}).status_code == 409
    assert alice.post(f"{BASE}/branch/A%2Fb", json={}).status_code == 201
    assert alice.post(f"{BASE}/branch/A", json={}).status_code == 409


def test_the_main_branch_cannot_be_deleted(alice: TestClient) -> None:
    answer = alice.delete(f"{BASE}/branch/main")
    assert answer.status_code == 403
    assert "Cannot delete refs/heads/main" in answer.json()["error"]


def test_a_branch_is_deleted_once(alice: TestClient) -> None:
    alice.post(f"{BASE}/branch/gone%2Fsoon", json={})
    assert alice.delete(f"{BASE}/branch/gone%2Fsoon").status_code == 200
    again = alice.delete(f"{BASE}/branch/gone%2Fsoon")
    assert again.status_code == 404
    assert "Invalid rev id" in again.json()["error"]
    assert list(refs(alice)) == ["refs/heads/main"]


def test_a_branch_and_a_tag_may_share_a_name(alice: TestClient) -> None:
    alice.post(f"{BASE}/tag/main", json={"tag": "v1"})
    assert alice.delete(f"{BASE}/branch/v1").status_code == 404
    alice.post(f"{BASE}/branch/v1", json={})
    assert "refs/tags/v1" in refs(alice, "tags")
    assert alice.delete(f"{BASE}/tag/v1").status_code == 200
    assert "refs/heads/v1" in refs(alice)
    answer = alice.delete(f"{BASE}/tag/v1")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RevisionNotFound")


def test_a_tag_with_a_message_says_who_made_it(hub: HubForTests, alice: TestClient) -> None:
    assert alice.post(f"{BASE}/tag/main", json={"tag": "plain"}).status_code == 201
    assert alice.post(f"{BASE}/tag/main", json={"tag": "told", "message": "Since\nwhen"}).status_code == 201
    assert set(refs(alice, "tags").values()) == {head(alice)}
    assert head(alice, "told") == head(alice)
    with hub.hub.database.read() as connection:
        target = read_ref(connection, 1, "refs/tags/told")
        assert target is not None
        content = Objects(connection, 1).get(target, TAG).content.decode()
    assert content.startswith(f"object {head(alice)}\ntype commit\ntag told\ntagger alice <alice@")
    assert content.endswith("\n\nSince\nwhen\n")


def test_a_tag_that_is_there_is_not_moved(alice: TestClient, commit: Commit) -> None:
    alice.post(f"{BASE}/tag/main", json={"tag": "v1"})
    tagged = head(alice)
    commit("alice/bert", {"a": b"1"})
    assert alice.post(f"{BASE}/tag/main", json={"tag": "v1"}).status_code == 409
    assert refs(alice, "tags") == {"refs/tags/v1": tagged}
    missing = alice.post(f"{BASE}/tag/nothing", json={"tag": "v2"})
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "RevisionNotFound")


def test_squashing_leaves_one_commit_of_the_same_files(alice: TestClient, commit: Commit) -> None:
    commit("alice/bert", {"a": b"1"})
    commit("alice/bert", {"b": b"1"})
    listed = alice.get(f"{BASE}/tree/main").json()
    assert alice.post(f"{BASE}/super-squash/main", json={"message": "All of it"}).status_code == 200
    commits = alice.get(f"{BASE}/commits/main").json()
    assert [item["title"] for item in commits] == ["All of it"]
    assert alice.get(f"{BASE}/tree/main").json() == listed
    assert alice.post(f"{BASE}/super-squash/nothing", json={}).status_code == 404


def test_a_pull_request_is_squashed_by_its_ref(alice: TestClient, commit: Commit) -> None:
    made = alice.post(f"{BASE}/discussions", json={"title": "Title", "description": "Words", "pullRequest": True})
    assert made.status_code in (200, 201), made.text
    commit("alice/bert", {"a": b"1"}, ref="refs/pr/1")
    commit("alice/bert", {"b": b"1"}, ref="refs/pr/1")
    assert alice.post(f"{BASE}/super-squash/refs%2Fpr%2F1", json={"message": "One"}).status_code == 200
    assert [item["title"] for item in alice.get(f"{BASE}/commits/refs%2Fpr%2F1").json()] == ["One"]
    assert list(refs(alice, "pullRequests")) == ["refs/pr/1"]
    assert "pullRequests" not in alice.get(f"{BASE}/refs").json()


def test_only_writers_change_refs(client: Clients, alice: TestClient) -> None:
    changes: list[tuple[str, str, Any]] = [
        ("POST", f"{BASE}/branch/new", {}),
        ("DELETE", f"{BASE}/branch/other", None),
        ("POST", f"{BASE}/tag/main", {"tag": "v2"}),
        ("DELETE", f"{BASE}/tag/v1", None),
        ("POST", f"{BASE}/super-squash/main", {"message": "M"}),
        ("POST", f"{BASE}/revert/main", {}),
    ]
    alice.post(f"{BASE}/branch/other", json={})
    alice.post(f"{BASE}/tag/main", json={"tag": "v1"})
    before = alice.get(f"{BASE}/refs").json()
    for caller, status in ((client("bob"), 403), (client(), 401), (client("alice", role="read"), 403)):
        for method, address, body in changes:
            assert caller.request(method, address, json=body).status_code == status, (method, address)
    assert alice.get(f"{BASE}/refs").json() == before


@pytest.mark.loopback
def test_the_public_client_makes_and_deletes_branches_and_tags(served: HubForTests) -> None:
    program = """
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import BadRequestError, HfHubHTTPError, RevisionNotFoundError

api = HfApi()
api.create_repo("alice/bert")
api.create_branch("alice/bert", branch="a/b")
api.create_branch("alice/bert", branch="a/b", exist_ok=True)
with pytest.raises(HfHubHTTPError, match="Reference refs/heads/a/b already exists"):
    api.create_branch("alice/bert", branch="a/b")
with pytest.raises(RevisionNotFoundError):
    api.create_branch("alice/bert", branch="c", revision="nothing")
with pytest.raises(BadRequestError):
    api.create_branch("alice/bert", branch="refs/pr/5")
with pytest.raises(HfHubHTTPError, match="Cannot delete refs/heads/main"):
    api.delete_branch("alice/bert", branch="main")
with pytest.raises(HfHubHTTPError, match="Invalid rev id"):
    api.delete_branch("alice/bert", branch="nothing")
api.create_tag("alice/bert", tag="v1", tag_message="First")
api.create_tag("alice/bert", tag="v1", exist_ok=True)
with pytest.raises(BadRequestError):
    api.create_tag("alice/bert", tag="a b")
found = api.list_repo_refs("alice/bert", include_pull_requests=True)
assert [ref.name for ref in found.branches] == ["main", "a/b"], found
assert [(ref.name, ref.ref) for ref in found.tags] == [("v1", "refs/tags/v1")], found
assert found.pull_requests == [] and found.converts == []
assert found.tags[0].target_commit == found.branches[0].target_commit
api.super_squash_history("alice/bert", branch="a/b", commit_message="One")
assert [commit.title for commit in api.list_repo_commits("alice/bert", revision="a/b")] == ["One"]
api.delete_branch("alice/bert", branch="a/b")
api.delete_tag("alice/bert", tag="v1")
with pytest.raises(RevisionNotFoundError):
    api.delete_tag("alice/bert", tag="v1")
assert len(api.list_repo_refs("alice/bert").branches) == 1
"""
    run_client(served, program)


def run_client(served: HubForTests, program: str, user: str = "alice") -> str:
    """Run a program with the public client against a hub; it must end well."""
    environment = {
        "HF_ENDPOINT": served.address,
        "HF_TOKEN": served.user(user),
        "HF_HOME": str(served.hub.settings.data / "client"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout
