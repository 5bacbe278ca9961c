"""Changing files over HTTP: one commit for each request."""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.git.refs import move_ref
from madang.server.large_files.records import repository_blobs
from madang.server.repositories.records import repositories
from madang.testing.hub import HubForTests
from tests.server.committing import COMMIT, Clients, commit, content, file, header, large, lines, step, tree, uploaded


@pytest.fixture
def alice(client: Clients) -> TestClient:
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    return made


def test_a_commit_adds_files_and_says_where_it_is(alice: TestClient) -> None:
    answer = commit(alice, file("config.json", "{}"), file("data/한글 (1).txt", "가나다"))
    assert answer.status_code == 200
    said = answer.json()
    assert said["commitUrl"] == f"http://testserver/alice/bert/commit/{said['commitOid']}"
    assert alice.get("/api/models/alice/bert").json()["sha"] == said["commitOid"]
    assert content(alice, "data/한글 (1).txt").decode() == "가나다"
    assert set(tree(alice)) == {".gitattributes", "config.json", "data/한글 (1).txt"}


def test_removing_works_for_files_and_for_folders_by_either_key(alice: TestClient) -> None:
    commit(alice, *(file(path) for path in ("a.txt", "one/a.txt", "one/b.txt", "two/a.txt", "keep.txt")))
    removed = commit(alice, step("deletedFile", "a.txt"), step("deletedFile", "one"), step("deletedFolder", "two/"))
    assert removed.status_code == 200
    assert set(tree(alice)) == {".gitattributes", "keep.txt"}


def test_removing_what_is_not_there_is_refused_by_name(alice: TestClient) -> None:
    head = alice.get("/api/models/alice/bert").json()["sha"]
    answer = commit(alice, file("a.txt"), step("deletedFile", "nothing.txt"))
    assert answer.status_code == 404
    assert answer.headers["x-error-code"] == "EntryNotFound"
    assert "A file with this name doesn't exist" in answer.json()["error"]
    assert alice.get("/api/models/alice/bert").json()["sha"] == head


def test_steps_are_taken_in_their_order(alice: TestClient) -> None:
    commit(alice, file("data/old.txt"))
    commit(alice, step("deletedFolder", "data/"), file("data/new.txt"))
    assert set(tree(alice)) == {".gitattributes", "data/new.txt"}
    commit(alice, file("data/late.txt"), step("deletedFolder", "data"), file("other.txt"))
    assert set(tree(alice)) == {".gitattributes", "other.txt"}
    commit(alice, file("made/here.txt"), step("deletedFile", "made"))
    assert set(tree(alice)) == {".gitattributes", "other.txt"}


def test_a_path_is_no_file_and_folder_at_once(alice: TestClient) -> None:
    assert commit(alice, file("a"), file("a/b")).status_code == 422


def test_copies_need_no_content(alice: TestClient) -> None:
    first = commit(alice, file("a.txt", "old"), file("folder/b.txt", "b")).json()["commitOid"]
    commit(alice, file("a.txt", "new"))
    answer = commit(
        alice,
        step("copyFile", "now.txt", srcPath="a.txt"),
        step("copyFile", "then.txt", srcPath="a.txt", srcRevision=first),
        step("copyFile", "again", srcPath="folder"),
    )
    assert answer.status_code == 200
    assert [content(alice, path) for path in ("now.txt", "then.txt", "again/b.txt")] == [b"new", b"old", b"b"]
    assert commit(alice, step("copyFile", "x", srcPath="nothing")).status_code == 404


def test_what_changes_nothing_makes_no_commit(alice: TestClient) -> None:
    head = commit(alice, file("a.txt", "same")).json()["commitOid"]
    assert commit(alice, file("a.txt", "same")).json()["commitOid"] == head
    assert commit(alice).json()["commitOid"] == head


def test_a_commit_on_an_old_parent_is_refused(alice: TestClient) -> None:
    old = alice.get("/api/models/alice/bert").json()["sha"]
    assert commit(alice, file("a.txt"), parentCommit=old[:7]).status_code == 200
    answer = commit(alice, file("b.txt"), parentCommit=old)
    assert answer.status_code == 412
    assert "Please refresh and try again." in answer.json()["error"]
    assert commit(alice, file("b.txt"), parentCommit="main").status_code == 400


def test_commits_at_the_same_moment_are_all_made(client: Clients, alice: TestClient) -> None:
    clients = [client("alice") for _ in range(6)]
    with ThreadPoolExecutor(6) as threads:
        answers = list(threads.map(lambda number: commit(clients[number], file(f"{number}.txt")), range(6)))
    assert {answer.status_code for answer in answers} == {200}
    assert set(tree(alice)) == {".gitattributes", *(f"{number}.txt" for number in range(6))}


def test_of_commits_on_one_parent_one_is_made(client: Clients, alice: TestClient) -> None:
    head = alice.get("/api/models/alice/bert").json()["sha"]
    clients = [client("alice") for _ in range(4)]
    with ThreadPoolExecutor(4) as threads:
        answers = list(
            threads.map(lambda number: commit(clients[number], file(f"{number}.txt"), parentCommit=head), range(4))
        )
    assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]


@pytest.mark.parametrize(
    "revision", ["nothing", "refs%2Ftags%2Fv1", "refs%2Fheads%2Fnothing", "refs%2Fpr%2F9", "0" * 40, "refs%2F..%2Fx"]
)
def test_commits_are_made_on_branches_only(alice: TestClient, revision: str) -> None:
    answer = commit(alice, file("a.txt"), url=f"/api/models/alice/bert/commit/{revision}")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize("path", ["", "/a", "./a", "a/../b", ".git/config", "a/.GIT/b", "a//b", "..\\a", "a/", "a\0b"])
def test_illegal_paths_are_refused(alice: TestClient, path: str) -> None:
    assert commit(alice, file(path)).status_code == 422
    assert commit(alice, step("lfsFile", path, algo="sha256", oid="0" * 64, size=1)).status_code == 422


def test_a_backslash_is_an_ordinary_character(alice: TestClient) -> None:
    name = "folder/..\\..\\..\\file"
    assert commit(alice, file(name)).status_code == 200
    assert name in tree(alice)


def test_names_from_a_mac_are_found_by_everybody(alice: TestClient) -> None:
    import unicodedata

    apart = unicodedata.normalize("NFD", "한글.txt")
    commit(alice, file(apart, "text"))
    assert set(tree(alice)) == {".gitattributes", "한글.txt"}
    assert content(alice, "한글.txt") == content(alice, apart) == b"text"
    assert commit(alice, step("deletedFile", apart)).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\n\n",
        b"nonsense\n",
        b"[]\n",
        b'{"key":"header"}\n',
        b'{"key":"header","value":{"summary":" "}}\n',
        lines(file("a.txt")),
        lines(header(), header()),
        lines(header(), step("unknown", "a")),
        lines(header(), step("file", "a")),
        lines(header(), {"key": "file", "value": {"content": "!!!!", "path": "a"}}),
        lines(header(), {"key": "file", "value": {"content": "QQ==QQ==", "path": "a"}}),
        lines(header(), {"key": "file", "value": {"content": "QQ", "path": "a"}}),
        lines(header(), {"key": "file", "value": {"content": "QQ==", "path": 3}}),
        lines(header(), {"key": "file", "value": {"content": "QQ==", "path": "a", "encoding": "utf-8"}}),
        lines(header(), step("lfsFile", "a", algo="sha256", oid="xyz", size=1)),
        lines(header(), step("lfsFile", "a", algo="sha256", oid="0" * 64, size=-1)),
        lines(header(), step("lfsFile", "a", algo="sha256", oid="0" * 64, size=True)),
        lines(header()) + b'{"key":"file","value":{"content":"QQ==',
        lines(header()) + b"[" * 100_000,
    ],
)
def test_what_is_no_commit_is_refused_and_changes_nothing(alice: TestClient, body: bytes) -> None:
    before = tree(alice)
    assert alice.post(COMMIT, content=body).status_code == 400
    assert tree(alice) == before


def test_a_line_without_end_is_refused(alice: TestClient) -> None:
    assert alice.post(COMMIT, content=lines(header("x" * 300_000))).status_code == 413


def test_base64_may_come_with_escaped_slashes_and_in_any_pieces(alice: TestClient) -> None:
    data = bytes(range(256)) * 3
    body = lines(header(), file("a.bytes", data)).replace(b"/", b"\\/")
    for size in (1, 7, 64):
        answer = alice.post(COMMIT, content=(body[at : at + size] for at in range(0, len(body), size)))
        assert answer.status_code == 200, answer.text
    assert content(alice, "a.bytes") == data


def test_text_that_is_no_text_does_not_break_a_commit(alice: TestClient) -> None:
    body = b'{"key":"header","value":{"summary":"a\\ud800\\u0000b\\nc"}}\n' + lines(file("a.txt"))
    assert alice.post(COMMIT, content=body).status_code == 200
    path = b'{"key":"file","value":{"content":"QQ==","path":"\\ud800"}}\n'
    assert alice.post(COMMIT, content=lines(header()) + path).status_code == 422


# ---------------------------------------------------------------------------------------------------- large files
def test_an_uploaded_large_file_is_committed_by_its_hash(hub: HubForTests, alice: TestClient) -> None:
    sha256 = uploaded(hub, b"weights")
    assert commit(alice, large("a.safetensors", sha256, 7), large("b.safetensors", sha256)).status_code == 200
    listed = tree(alice)
    assert listed["a.safetensors"]["lfs"] == listed["b.safetensors"]["lfs"]
    assert listed["a.safetensors"]["lfs"]["oid"] == sha256
    assert content(alice, "a.safetensors") == b"weights"


def test_a_large_file_nobody_uploaded_is_refused(alice: TestClient) -> None:
    answer = commit(alice, large("a.bin", "0" * 64, 7))
    assert answer.status_code == 400
    assert "has not been uploaded" in answer.json()["error"]


def test_a_false_size_is_refused(hub: HubForTests, alice: TestClient) -> None:
    assert commit(alice, large("a.bin", uploaded(hub, b"weights"), 8)).status_code == 400


@pytest.mark.parametrize("as_text", [False, True])
def test_a_hash_opens_nobody_elses_file(hub: HubForTests, client: Clients, alice: TestClient, as_text: bool) -> None:
    sha256 = uploaded(hub, b"secret weights")
    bob = client("bob")
    bob.post("/api/repos/create", json={"name": "theft"})
    pointer = f"version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize 14\n"
    stolen = file("a.txt", pointer) if as_text else large("a.txt", sha256, 14)
    answer = commit(bob, stolen, url="/api/models/bob/theft/commit/main")
    assert answer.status_code == 400
    assert bob.get("/bob/theft/resolve/main/a.txt").status_code == 404


def test_who_uploaded_content_may_commit_it_elsewhere(hub: HubForTests, alice: TestClient) -> None:
    sha256 = uploaded(hub, b"weights")
    alice.post("/api/repos/create", json={"name": "copy"})
    answer = commit(alice, large("a.bin", sha256), url="/api/models/alice/copy/commit/main")
    assert answer.status_code == 200
    assert alice.get("/alice/copy/resolve/main/a.bin").content == b"weights"


def test_big_content_in_a_commit_becomes_a_large_file(hub: HubForTests, alice: TestClient) -> None:
    data = b"line of text\n" * 1_000_000  # 13 MB
    assert commit(alice, file("big.txt", data)).status_code == 200
    listed = tree(alice)["big.txt"]
    assert (listed["size"], listed["lfs"]["oid"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert content(alice, "big.txt") == data


def test_gitattributes_decides_for_small_content_too(alice: TestClient) -> None:
    commit(alice, file("tiny.bin", b"\1\2"), file("empty.bin", b""), file("tiny.txt", "text"))
    listed = tree(alice)
    assert "lfs" in listed["tiny.bin"]
    assert "lfs" not in listed["empty.bin"]
    assert "lfs" not in listed["tiny.txt"]
    assert content(alice, "tiny.bin") == b"\1\2"


def test_gitattributes_too_long_to_be_read_stay_as_they_are(hub: HubForTests, alice: TestClient) -> None:
    long = b"".join(b"file-%d.dat filter=lfs\n" % number for number in range(60_000))
    assert len(long) > 1024 * 1024
    assert commit(alice, file(".gitattributes", long)).status_code == 200
    large = step("lfsFile", "weights.dat", algo="sha256", oid=uploaded(hub, b"large"), size=5)
    assert commit(alice, large).status_code == 200
    assert content(alice, ".gitattributes") == long


def test_large_files_are_named_in_gitattributes(hub: HubForTests, alice: TestClient) -> None:
    before = content(alice, ".gitattributes").decode()
    sha256 = uploaded(hub, b"picture")
    commit(alice, large("covered.bin", sha256), large("my picture.png", sha256))
    assert (
        content(alice, ".gitattributes").decode() == before + '"/my picture.png" filter=lfs diff=lfs merge=lfs -text\n'
    )


def test_many_small_files_are_not_kept_in_memory_together(hub: HubForTests, alice: TestClient) -> None:
    steps = [file(f"{number}.txt", bytes([65 + number]) * 3_000_000) for number in range(8)]
    assert commit(alice, *steps).status_code == 200
    assert content(alice, "7.txt") == b"H" * 3_000_000


# --------------------------------------------------------------------------------------------------------- rights
def test_who_may_not_write_may_not_commit(client: Clients, alice: TestClient) -> None:
    assert commit(client("bob"), file("a.txt")).status_code == 403
    assert commit(client(), file("a.txt")).status_code == 401
    assert commit(client("alice", role="read"), file("a.txt")).status_code == 403
    assert commit(alice, file("a.txt"), url="/api/models/alice/nothing/commit/main").status_code == 404


def test_anybody_who_reads_may_open_a_pull_request(client: Clients, alice: TestClient) -> None:
    bob = client("bob")
    answer = commit(bob, file("a.txt", "proposal"), url=COMMIT + "?create_pr=1", summary="Better").json()
    assert answer["pullRequestUrl"] == "http://testserver/alice/bert/discussions/1"
    assert "a.txt" not in tree(alice)
    assert content(alice, "a.txt", "refs%2Fpr%2F1") == b"proposal"
    assert content(alice, "a.txt", "refs/pr/1") == b"proposal"
    # its author goes on, others do not
    more = "/api/models/alice/bert/commit/refs%2Fpr%2F1"
    assert commit(bob, file("b.txt"), url=more).status_code == 200
    assert commit(client("carol"), file("c.txt"), url=more).status_code == 403
    assert commit(alice, file("d.txt"), url=more).status_code == 200
    assert set(tree(alice, "refs%2Fpr%2F1")) == {".gitattributes", "a.txt", "b.txt", "d.txt"}


def test_tokens_that_only_read_open_no_pull_request(client: Clients, alice: TestClient) -> None:
    assert commit(client("bob", role="read"), file("a.txt"), url=COMMIT + "?create_pr=1").status_code == 403
    assert commit(client(), file("a.txt"), url=COMMIT + "?create_pr=1").status_code == 401


def test_a_pull_request_starts_at_the_branch_it_is_for(hub: HubForTests, alice: TestClient) -> None:
    head = alice.get("/api/models/alice/bert").json()["sha"]
    with hub.hub.database.write() as connection:
        repository = connection.scalar(sa.select(repositories.c.id))
        move_ref(connection, repository, "refs/heads/dev", None, head)
    commit(alice, file("only-here.txt"), url="/api/models/alice/bert/commit/dev")
    commit(alice, file("a.txt"), url="/api/models/alice/bert/commit/dev?create_pr=1")
    assert set(tree(alice, "refs%2Fpr%2F1")) == {".gitattributes", "a.txt", "only-here.txt"}
    answer = commit(alice, file("b.txt"), url=f"/api/models/alice/bert/commit/{head}?create_pr=1")
    assert answer.headers["x-error-code"] == "RevisionNotFound"


def test_a_refused_pull_request_leaves_nothing_behind(alice: TestClient) -> None:
    assert commit(alice, step("deletedFile", "nothing"), url=COMMIT + "?create_pr=1").status_code == 404
    listed = alice.get("/api/models/alice/bert/refs?include_prs=1").json()
    assert listed.get("pullRequests", []) == []


def test_large_content_is_not_known_before_its_commit(hub: HubForTests, alice: TestClient) -> None:
    before = tree(alice)
    assert commit(alice, file("x.bin", b"\0" * 100), step("deletedFile", "nothing")).status_code == 404
    assert tree(alice) == before
    with hub.hub.database.read() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(repository_blobs)) == 1
