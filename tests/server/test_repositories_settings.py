"""Names, visibility, copies and large files of repositories over HTTP."""

import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.accounts.caller import Caller
from madang.server.accounts.finding import user_named
from madang.server.accounts.records import accounts, audit_log, members
from madang.server.app import create_application
from madang.server.clock import now
from madang.server.database import insert
from madang.server.git.commits import NewFile
from madang.server.git.refs import MAIN
from madang.server.large_files import service as large_files
from madang.server.large_files.records import repository_blobs
from madang.server.repositories import service
from madang.server.repositories.access import find
from madang.server.repositories.properties import LEGAL
from madang.testing.hub import HubForTests, hub_in

Clients = Callable[..., TestClient]
Commit = Callable[..., str]


@pytest.fixture
def alice(client: Clients) -> TestClient:
    found = client("alice")
    found.post("/api/repos/create", json={"name": "bert"})
    return found


def bring(hub: HubForTests, content: bytes, repository_id: int = 1) -> bytes:
    """Keep a large file; returns its pointer."""
    sha256 = hashlib.sha256(content).hexdigest()
    large_files.keep(hub.hub, repository_id, [content], sha256, len(content), None)
    return f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {len(content)}\n".encode()


def move(caller: TestClient, old: str, new: str) -> Any:
    return caller.post("/api/repos/move", json={"fromRepo": old, "toRepo": new, "type": "model"})


def organisation(hub: HubForTests, name: str, **roles: str) -> None:
    with hub.hub.database.write() as connection:
        row = {"kind": "org", "name": name, "key": name, "created_at": now()}
        made = insert(connection, accounts, **row)
        for user, role in roles.items():
            who = connection.scalar(sa.select(accounts.c.id).where(accounts.c.name == user))
            connection.execute(members.insert().values(organisation_id=made, account_id=who, role=role))


def test_a_moved_repository_is_found_by_both_names(alice: TestClient) -> None:
    assert move(alice, "alice/bert", "alice/new").status_code == 200
    for name in ("alice/bert", "Alice/NEW"):
        assert alice.get(f"/api/models/{name}").json()["id"] == "alice/new"
    assert [item["id"] for item in alice.get("/api/models", params={"search": "new"}).json()] == ["alice/new"]
    assert alice.get("/api/models", params={"search": "bert"}).json() == []


def test_a_repository_moves_back(alice: TestClient) -> None:
    for old, new in (("alice/bert", "alice/new"), ("alice/new", "alice/bert"), ("alice/bert", "alice/new")):
        assert move(alice, old, new).status_code == 200
        assert alice.get(f"/api/models/{old}").json()["id"] == new
    assert move(alice, "alice/new", "alice/New").json()["name"] == "alice/New"


def test_a_name_that_was_left_can_be_taken(alice: TestClient) -> None:
    move(alice, "alice/bert", "alice/new")
    assert alice.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    assert alice.get("/api/models/alice/bert").json()["id"] == "alice/bert"
    assert alice.get("/api/models/alice/new").json()["id"] == "alice/new"


def test_a_name_that_is_taken_is_not_given(alice: TestClient) -> None:
    alice.post("/api/repos/create", json={"name": "other"})
    answer = move(alice, "alice/bert", "alice/Other")
    assert answer.status_code == 409
    assert "A model repository called alice/Other already exists" in answer.json()["error"]


def test_moving_needs_rights_at_both_ends(hub: HubForTests, client: Clients, alice: TestClient) -> None:
    bob = client("bob")
    organisation(hub, "lab", bob="write", alice="read")
    assert move(bob, "alice/bert", "bob/bert").status_code == 403
    assert move(alice, "alice/bert", "bob/bert").status_code == 403
    assert move(alice, "alice/bert", "lab/bert").status_code == 403
    assert move(alice, "alice/bert", "nobody/bert").status_code == 404
    assert move(alice, "alice/nothing", "alice/x").status_code == 404
    assert move(client(), "alice/bert", "alice/x").status_code == 401
    assert move(client("alice", role="read"), "alice/bert", "alice/x").status_code == 403
    for name in ("alice/a--b", "alice/.git", "alice/resolve", "a/b/c", "alice/", "alice/a b"):
        assert move(alice, "alice/bert", name).status_code in (400, 404), name
    bob.post("/api/repos/create", json={"name": "mine"})
    assert move(bob, "bob/mine", "lab/mine").status_code == 200
    assert bob.get("/api/models/bob/mine").json()["author"] == "lab"


def test_settings_change_who_sees_a_repository(client: Clients, alice: TestClient) -> None:
    settings, bob = "/api/models/alice/bert/settings", client("bob")
    assert alice.put(settings, json={"visibility": "private"}).status_code == 200
    assert bob.get("/api/models/alice/bert").status_code == 404
    assert bob.get("/api/models", params={"search": "bert"}).json() == []
    assert alice.put(settings, json={"private": False, "gated": "manual"}).status_code == 200
    assert bob.get("/api/models/alice/bert").json()["gated"] == "manual"
    assert bob.get("/api/models/alice/bert/tree/main").headers["x-error-code"] == "GatedRepo"
    assert alice.put(settings, json={"gated": False}).status_code == 200
    assert bob.get("/api/models/alice/bert/tree/main").status_code == 200


@pytest.mark.parametrize(
    "asked",
    [
        *({"gated": "x"}, {"gated": True}, {"visibility": "x"}, {"visibility": "protected"}, {"private": {"a": 1}}),
        *({"visibility": ["private"]}, {"gated": {"auto": 1}}),
    ],
)
def test_settings_there_are_not_are_refused(alice: TestClient, asked: dict[str, Any]) -> None:
    before = alice.get("/api/models/alice/bert").json()
    assert alice.put("/api/models/alice/bert/settings", json=asked).status_code == 400
    assert alice.get("/api/models/alice/bert").json() == before


def test_only_administrators_change_settings(client: Clients, alice: TestClient) -> None:
    for caller, status in ((client("bob"), 403), (client(), 401), (client("alice", role="read"), 403)):
        assert caller.put("/api/models/alice/bert/settings", json={"private": True}).status_code == status


def test_a_space_can_be_protected_and_not_gated(client: Clients, alice: TestClient) -> None:
    alice.post("/api/repos/create", json={"name": "demo", "type": "space", "sdk": "static"})
    assert alice.put("/api/spaces/alice/demo/settings", json={"visibility": "protected"}).status_code == 200
    assert client("bob").get("/api/spaces/alice/demo").status_code == 404
    listed = {item["id"]: item["visibility"] for item in alice.get("/api/settings/repositories").json()}
    assert listed == {"alice/bert": "public", "alice/demo": "protected"}
    assert alice.put("/api/spaces/alice/demo/settings", json={"gated": "auto"}).status_code == 400


def test_what_owners_do_is_in_the_audit_log(hub: HubForTests, alice: TestClient) -> None:
    move(alice, "alice/bert", "alice/new")
    alice.put("/api/models/alice/new/settings", json={"private": True})
    alice.request("DELETE", "/api/repos/delete", json={"name": "new"})
    with hub.hub.database.read() as connection:
        actions = list(connection.scalars(sa.select(audit_log.c.action).order_by(audit_log.c.id)))
    assert [action for action in actions if action.startswith("repository.")][-3:] == [
        *("repository.move", "repository.settings", "repository.delete")
    ]


def test_auth_check_says_what_the_caller_may(client: Clients, alice: TestClient) -> None:
    alice.put("/api/models/alice/bert/settings", json={"gated": "manual"})
    checks = ("/api/models/alice/bert/auth-check", "/api/models/alice/bert/auth-check/write")
    assert [alice.get(check).status_code for check in checks] == [200, 200]
    assert [client("bob").get(check).status_code for check in checks] == [403, 403]
    assert client("bob").get(checks[0]).headers["x-error-code"] == "GatedRepo"
    assert [client().get(check).status_code for check in checks] == [401, 401]


def test_an_administrator_gives_names_without_an_owner(client: Clients, alice: TestClient) -> None:
    root, address = client("root", administrator=True), "/api/models/alice/bert/canonical"
    assert alice.put(address, json={"alias": "bert-base"}).status_code == 403
    assert root.put(address, json={"alias": "bert-base"}).status_code == 200
    assert client().get("/api/models/Bert-Base").json()["id"] == "alice/bert"
    assert client().get("/api/models/bert-base/tree/main").status_code == 200
    assert root.put(address, json={"alias": "Alice"}).status_code == 409
    for alias in ("resolve", "a/b", "a--b", "", "api"):
        assert root.put(address, json={"alias": alias}).status_code == 400, alias
    assert root.delete(f"{address}/bert-base").status_code == 200
    assert root.delete(f"{address}/bert-base").status_code == 404
    assert client().get("/api/models/bert-base").status_code == 401


def test_own_repositories_are_listed_with_what_they_use(
    hub: HubForTests, client: Clients, alice: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("madang.server.api.repository_settings.PAGE", 2)
    client("bob")
    organisation(hub, "lab", alice="admin")
    for name in ("b", "c", "lab/d"):
        alice.post("/api/repos/create", json={"name": name, "type": "dataset", "private": True})
    first = alice.get("/api/settings/repositories")
    items = first.json() + alice.get(first.links["next"]["url"]).json()
    assert [item["id"] for item in items] == ["alice/bert", "alice/b", "alice/c"]
    assert {"type", "updatedAt", "visibility", "storage", "storagePercent"} <= set(items[0])
    assert [item["id"] for item in alice.get("/api/organizations/lab/settings/repositories").json()] == ["lab/d"]
    assert client("bob").get("/api/organizations/lab/settings/repositories").status_code == 403
    assert client().get("/api/settings/repositories").status_code == 401
    assert client().get("/api/organizations/lab/settings/repositories").status_code == 401


def test_a_copy_has_the_files_and_may_use_the_large_ones(
    hub: HubForTests, client: Clients, alice: TestClient, commit: Commit
) -> None:
    pointer = bring(hub, b"x" * 1000)
    head = commit("alice/bert", {"a/b": b"1", "large.bin": pointer})
    secret = commit("alice/bert", {"other": b"1"}, ref="refs/heads/main")
    bob = client("bob")
    answer = bob.post("/api/models/alice/bert/duplicate", json={"repository": "bob/copy"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["url"].endswith("/bob/copy")
    assert bob.get("/api/models/bob/copy").json()["sha"] == secret
    assert bob.get("/api/models/bob/copy/tree/main").json() == bob.get("/api/models/alice/bert/tree/main").json()
    assert head in [item["id"] for item in bob.get("/api/models/bob/copy/commits/main").json()]
    with hub.hub.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(repository_blobs)) == 2
    again = bob.post("/api/models/alice/bert/duplicate", json={"repository": "bob/copy"})
    assert (again.status_code, again.json()["url"]) == (409, answer.json()["url"])


def test_a_copy_needs_the_right_to_read_and_to_create(client: Clients, alice: TestClient) -> None:
    bob, address = client("bob"), "/api/models/alice/bert/duplicate"
    assert bob.post(address, json={"repository": "alice/copy"}).status_code == 403
    alice.put("/api/models/alice/bert/settings", json={"gated": "manual"})
    assert bob.post(address, json={"repository": "bob/copy"}).headers["x-error-code"] == "GatedRepo"
    assert alice.post(address, json={"repository": "alice/copy"}).status_code == 200
    assert alice.get("/api/models/alice/copy").json()["gated"] == "manual"
    alice.put("/api/models/alice/bert/settings", json={"private": True})
    assert bob.post(address, json={"repository": "bob/copy"}).headers["x-error-code"] == "RepoNotFound"
    alice.post(address, json={"repository": "alice/hidden"})
    assert alice.get("/api/models/alice/hidden").json()["private"] is True


def test_large_files_are_listed_once_with_a_name(hub: HubForTests, alice: TestClient, commit: Commit) -> None:
    pointers = {f"dir/{number}.bin": bring(hub, bytes([number]) * 1000) for number in range(5)}
    commit("alice/bert", {**pointers, "copy.bin": pointers["dir/0.bin"]})
    commit("alice/bert", {"dir/4.bin": None})
    items, answer = [], alice.get("/api/models/alice/bert/lfs-files", params={"limit": 2})
    while True:
        items += answer.json()
        if "next" not in answer.links:
            break
        answer = alice.get(answer.links["next"]["url"])
    assert len({item["fileOid"] for item in items}) == len(items) == 5
    names = {item["filename"]: item.get("ref") for item in items}
    assert names.pop("dir/4.bin") is None
    assert set(names.values()) == {"refs/heads/main"}


def test_deleted_large_files_are_in_no_commit_any_more(
    hub: HubForTests, client: Clients, alice: TestClient, commit: Commit
) -> None:
    base = "/api/models/alice/bert"
    pointers = {name: bring(hub, name.encode() * 1000) for name in ("bad.bin", "good.bin")}
    first = commit("alice/bert", {"only/bad.bin": pointers["bad.bin"], "good.bin": pointers["good.bin"]}, "First")
    alice.post(f"{base}/tag/main", json={"tag": "v1", "message": "One"})
    alice.post(f"{base}/branch/side", json={})
    commit("alice/bert", {"text": b"1"}, "Second")
    sha256 = hashlib.sha256(b"bad.bin" * 1000).hexdigest()
    asked = {"deletions": {"sha": [sha256], "rewriteHistory": True}}
    assert client("bob").post(f"{base}/lfs-files/batch", json=asked).status_code == 403
    assert alice.post(f"{base}/lfs-files/batch", json=asked).status_code == 200
    for revision, paths in (
        ("main", {".gitattributes", "good.bin", "text"}),
        *((name, {".gitattributes", "good.bin"}) for name in ("v1", "side")),
    ):
        listed = alice.get(f"{base}/tree/{revision}", params={"recursive": "true"}).json()
        assert {item["path"] for item in listed} == paths
    commits = alice.get(f"{base}/commits/main").json()
    assert [item["title"] for item in commits] == ["Second", "First", "initial commit"]
    assert first not in [item["id"] for item in commits]
    assert [item["filename"] for item in alice.get(f"{base}/lfs-files").json()] == ["good.bin"]
    assert alice.get(base).json()["sha"] == commits[0]["id"]


def test_large_files_are_deleted_without_touching_commits_if_that_is_wanted(
    hub: HubForTests, alice: TestClient, commit: Commit
) -> None:
    head = commit("alice/bert", {"bad.bin": bring(hub, b"x" * 1000)})
    sha256 = hashlib.sha256(b"x" * 1000).hexdigest()
    asked = {"deletions": {"sha": [sha256], "rewriteHistory": False}}
    assert alice.post("/api/models/alice/bert/lfs-files/batch", json=asked).status_code == 200
    assert alice.get("/api/models/alice/bert").json()["sha"] == head
    assert alice.get("/api/models/alice/bert/lfs-files").json() == []
    for bad in ({"sha": ["x"]}, {"sha": "x"}, {}, {"sha": [sha256] * 10_001}):
        assert alice.post("/api/models/alice/bert/lfs-files/batch", json={"deletions": bad}).status_code == 400


@pytest.mark.parametrize("type", ["model", "dataset", "space"])
def test_expand_names_exactly_what_is_answered(alice: TestClient, type: str) -> None:
    alice.post("/api/repos/create", json={"name": "x", "type": type, "sdk": "static"})
    address = f"/api/{type}s/alice/x"
    for name in LEGAL[type]:
        answer = alice.get(address, params={"expand": name}).json()
        assert {"_id", "id"} <= set(answer) <= {"_id", "id", name}
    several = alice.get(address, params={"expand": ["sha", "tags", "likes"], "blobs": "true"}).json()
    assert set(several) == {"_id", "id", "sha", "tags", "likes"}
    refused = alice.get(address, params={"expand": ["sha", "nothing"]})
    assert refused.status_code == 400
    assert f'expected one of "{LEGAL[type][0]}"|"' in refused.json()["error"]


def test_a_revision_is_described_by_its_own_files(alice: TestClient, commit: Commit) -> None:
    old = commit("alice/bert", {"README.md": b"---\nlicense: mit\n---\n", "old": b"1"})
    commit("alice/bert", {"README.md": b"---\nlicense: apache-2.0\n---\n", "old": None})
    answer = alice.get(f"/api/models/alice/bert/revision/{old[:8]}", params={"blobs": "true"}).json()
    assert (answer["sha"], answer["cardData"]) == (old, {"license": "mit"})
    assert {item["rfilename"]: item["size"] for item in answer["siblings"]}["old"] == 1
    assert alice.get("/api/models/alice/bert").json()["cardData"] == {"license": "apache-2.0"}


@pytest.mark.loopback
def test_the_public_client_reads_and_administers_repositories(served: HubForTests) -> None:
    program = """
import pytest
from huggingface_hub import HfApi
from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError
from huggingface_hub import CommitOperationAdd

api = HfApi()
api.create_repo("alice/bert")
api.create_commit("alice/bert", operations=[
    CommitOperationAdd("README.md", b"---\\nlicense: mit\\ntags: [x]\\n---\\n"), CommitOperationAdd("a/b.txt", b"1")
], commit_message="Files")
info = api.model_info("alice/bert", files_metadata=True)
assert info.card_data.license == "mit" and "license:mit" in info.tags, info
assert {file.rfilename: file.size for file in info.siblings}["a/b.txt"] == 1
some = api.model_info("alice/bert", expand=["sha", "tags", "usedStorage", "safetensors", "childrenModelCount"])
assert some.sha == info.sha and some.used_storage > 0 and some.author is None
with pytest.raises(HfHubHTTPError, match='expected one of "author"'):
    api.model_info("alice/bert", expand=["nothing"])
tree = list(api.list_repo_tree("alice/bert", recursive=True, expand=True))
assert [item.path for item in tree] == [".gitattributes", "README.md", "a", "a/b.txt"]
assert tree[-1].last_commit.title == "Files" and tree[0].last_commit.title == "initial commit"
assert tree[-1].security is not None
found = api.get_paths_info("alice/bert", ["a", "a/b.txt", "none"], expand=True)
assert [item.path for item in found] == ["a", "a/b.txt"]
commits = api.list_repo_commits("alice/bert", formatted=True)
assert [commit.title for commit in commits] == ["Files", "initial commit"] and commits[0].authors == ["alice"]
with pytest.raises(RevisionNotFoundError):
    api.list_repo_commits("alice/bert", revision="none")
api.auth_check("alice/bert", write=True)
api.update_repo_settings("alice/bert", private=True, gated="auto")
with pytest.raises(RepositoryNotFoundError):
    api.model_info("alice/bert", token=False)
api.update_repo_settings("alice/bert", private=False)
assert api.model_info("alice/bert", token=False).gated == "auto"
with pytest.raises(GatedRepoError):
    api.auth_check("alice/bert", token=False)
api.move_repo("alice/bert", "alice/new")
assert api.model_info("alice/bert").id == "alice/new"
assert [file for file in api.list_repo_files("alice/bert")] == [".gitattributes", "README.md", "a/b.txt"]
copy = api.duplicate_repo("alice/new", "alice/copy")
assert copy.repo_id == "alice/copy", copy
assert [repo.id for repo in api.list_user_repos()] == ["alice/new", "alice/copy"]
with pytest.raises(HfHubHTTPError, match="A model repository called alice/copy already exists"):
    api.move_repo("alice/new", "alice/copy")
assert list(api.list_lfs_files("alice/new")) == []
api.delete_repo("alice/new")
with pytest.raises(RepositoryNotFoundError):
    api.model_info("alice/bert")
api.create_repo("alice/table", repo_type="dataset")
assert api.dataset_info("alice/table", expand=["tags"]).tags == ["region:us"]
api.create_repo("alice/demo", repo_type="space", space_sdk="static")
assert api.space_info("alice/demo").sdk == "static"
"""
    environment = {
        "HF_ENDPOINT": served.address,
        "HF_TOKEN": served.user("alice"),
        "HF_HOME": str(served.hub.settings.data / "client"),
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_XET": "1",
        "PATH": "/usr/bin:/bin",
    }
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.mark.loopback
def test_all_of_it_works_on_postgresql(postgresql: str, tmp_path: Path) -> None:
    made = hub_in(tmp_path, database_url=postgresql)
    alice = TestClient(create_application(made.hub), headers={"Authorization": f"Bearer {made.user('alice')}"})
    base = "/api/models/alice/bert"
    assert alice.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    pointer, sha256 = bring(made, b"x" * 1000), hashlib.sha256(b"x" * 1000).hexdigest()
    with made.hub.database.write() as connection:
        owner = Caller(user_named(connection, "alice"))
        assert owner.account is not None
        repository = find(connection, owner, "model", "alice/bert").repository
        files = {"README.md": NewFile(b"---\nlicense: mit\n---\n"), "a/b.bin": NewFile(pointer)}
        service.change_files(connection, repository, MAIN, files, author=owner.account, message="Files")
    for method, address, body in (
        ("GET", f"{base}?expand=tags&expand=spaces&expand=childrenModelCount&expand=usedStorage", None),
        ("GET", f"{base}/tree/main?recursive=true&expand=true&limit=1", None),
        ("GET", f"{base}/commits/main?path=a", None),
        ("GET", f"{base}/compare/main...main", None),
        ("POST", f"{base}/branch/A%2Fb", {}),
        ("POST", f"{base}/tag/main", {"tag": "v1", "message": "One"}),
        ("GET", f"{base}/refs", None),
        ("POST", f"{base}/duplicate", {"repository": "alice/copy"}),
        ("PUT", f"{base}/settings", {"visibility": "private", "gated": "auto"}),
        ("POST", "/api/repos/move", {"fromRepo": "alice/bert", "toRepo": "alice/new"}),
        ("GET", "/api/settings/repositories", None),
        ("POST", f"{base}/super-squash/A%2Fb", {"message": "One"}),
        ("GET", f"{base}/lfs-files", None),
        ("POST", f"{base}/lfs-files/batch", {"deletions": {"sha": [sha256]}}),
        ("DELETE", f"{base}/branch/A%2Fb", None),
        ("DELETE", f"{base}/tag/v1", None),
    ):
        answer = alice.request(method, address, json=body)
        assert answer.status_code in (200, 201), (address, answer.text)
    assert [item["path"] for item in alice.get(f"{base}/tree/main").json()] == [".gitattributes", "README.md"]
    assert [item["path"] for item in alice.get("/api/models/alice/copy/tree/main/a").json()] == ["a/b.bin"]
    made.hub.close()
