"""Cloning, fetching and pushing with the real git."""

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from madang.testing.hub import HubForTests, running_hub
from tests.server.git_commands import Git

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed"),
]

VERSIONS = ("0", "1", "2")


@pytest.fixture
def git(tmp_path: Path) -> Git:
    home = tmp_path / "home"
    home.mkdir()
    return Git(home)


class Hosted:
    """A hub, a repository of alice on it, and how git and HTTP reach it."""

    def __init__(self, served: HubForTests) -> None:
        self.served = served
        self.token = served.user("alice")

    def http(self, user: str | None = "alice") -> httpx2.Client:
        token = self.token if user == "alice" else self.served.user(user) if user else None
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        return httpx2.Client(base_url=self.served.address, headers=headers, timeout=60)

    def make(self, name: str = "bert", **options: object) -> str:
        """A repository; returns the address its owner clones it from."""
        with self.http() as http:
            made = http.post("/api/repos/create", json={"name": name, **options})
            made.raise_for_status()
            return self.address(str(made.json()["url"]))

    def address(self, url: str, token: str | None = None) -> str:
        """The address with a token in it, as people do who script git."""
        return url.replace("://", f"://anybody:{token or self.token}@")

    def public(self, path: str = "alice/bert") -> str:
        return f"{self.served.address}/{path}"

    def sha(self, revision: str = "main", path: str = "api/models/alice/bert") -> str:
        with self.http() as http:
            answer = http.get(f"/{path}/revision/{revision.replace('/', '%2F')}")
            answer.raise_for_status()
            return str(answer.json()["sha"])


def push_succeeds(git: Git, at: str) -> bool:
    """Whether a push went through; anything but a rejection fails the test that counts them."""
    try:
        git("push", at=at)
    except AssertionError as error:
        return "rejected" not in str(error)
    return True


@pytest.fixture
def hosted(served: HubForTests) -> Hosted:
    return Hosted(served)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("suffix", ["", ".git"])
def test_a_public_repository_is_cloned_by_anybody(hosted: Hosted, git: Git, version: str, suffix: str) -> None:
    hosted.make()
    git("-c", f"protocol.version={version}", "clone", hosted.public() + suffix, "copy")
    git("fsck", "--full", "--strict", at="copy")
    assert git.head("copy") == hosted.sha()
    assert git("symbolic-ref", "refs/remotes/origin/HEAD", at="copy").strip() == "refs/remotes/origin/main"
    assert (git.home / "copy/.gitattributes").exists()


@pytest.mark.parametrize(("type", "prefix"), [("dataset", "datasets/"), ("space", "spaces/")])
def test_datasets_and_spaces_are_cloned_below_their_prefix(hosted: Hosted, git: Git, type: str, prefix: str) -> None:
    hosted.make("table", type=type, sdk="static")
    git("clone", hosted.public(f"{prefix}alice/table"), "copy")
    assert git.head("copy") == hosted.sha(path=f"api/{type}s/alice/table")


@pytest.mark.parametrize("version", VERSIONS)
def test_what_git_pushed_is_there_over_http_and_the_other_way_round(hosted: Hosted, git: Git, version: str) -> None:
    address = hosted.make()
    git("config", "--global", "protocol.version", version)
    git("clone", address, "copy")
    pushed = git.write("copy", {"config.json": "{}", "폴더/파일.txt": "한국어", "empty": ""})
    git("push", at="copy")
    assert hosted.sha() == pushed
    with hosted.http(None) as http:
        listed = {item["path"] for item in http.get("/api/models/alice/bert/tree/main?recursive=true").json()}
    assert listed == {".gitattributes", "config.json", "empty", "폴더", "폴더/파일.txt"}
    with hosted.http() as http:
        lines = (
            b'{"key":"header","value":{"summary":"By HTTP"}}\n'
            b'{"key":"file","value":{"path":"config.json","content":"e30K","encoding":"base64"}}\n'
        )
        made = http.post("/api/models/alice/bert/commit/main", content=lines).json()["commitOid"]
    git("pull", "--ff-only", at="copy")
    assert git.head("copy") == made == hosted.sha()
    assert (git.home / "copy/config.json").read_text() == "{}\n"
    git("fsck", "--full", "--strict", at="copy")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_shallow_clone_can_be_deepened_and_completed(hosted: Hosted, git: Git, version: str) -> None:
    address = hosted.make()
    git("config", "--global", "protocol.version", version)
    git("clone", address, "copy")
    for number in range(6):
        git.write("copy", {"a": str(number), f"folder/{number}": "same"})
    git("push", at="copy")

    def history(at: str) -> list[str]:
        return git("log", "--format=%H", at=at).split()

    git("clone", "--depth", "1", address, "shallow")
    assert history("shallow") == history("copy")[:1]
    git("fetch", "--depth", "3", at="shallow")
    assert history("shallow") == history("copy")[:3]
    git("fetch", "--deepen", "2", at="shallow")
    assert history("shallow") == history("copy")[:5]
    git("fsck", at="shallow")
    newest = git.write("copy", {"a": "more"})
    git("push", at="copy")
    git("pull", "--ff-only", at="shallow")
    assert history("shallow") == history("copy")[:6]
    git("fetch", "--unshallow", at="shallow")
    assert history("shallow") == history("copy")
    assert history("shallow")[0] == newest
    git("fsck", "--full", at="shallow")


@pytest.mark.parametrize("version", VERSIONS)
def test_a_shallow_clone_ends_at_a_date_or_before_a_ref(
    hosted: Hosted, git: Git, version: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = hosted.make()
    git("config", "--global", "protocol.version", version)
    git("clone", address, "copy")
    git.write("copy", {"a": "1"})
    git("-c", "core.editor=true", "commit", "--amend", "--date=2001-01-01T00:00:00Z", "--no-edit", at="copy")
    git("tag", "old", at="copy")
    first = git.write("copy", {"a": "2"})
    second = git.write("copy", {"a": "3"})
    git("push", "origin", "main", "old", at="copy")
    git("clone", "--shallow-exclude=old", address, "excluding")
    assert git("log", "--format=%H", at="excluding").split() == [second, first]
    git("clone", "--shallow-since=2002-01-01", address, "since")
    assert git("rev-list", "--count", "HEAD", at="since").strip() == "4"
    assert "shallow" in git("clone", "--shallow-exclude=main", address, "nothing", fails=True)


@pytest.mark.parametrize("version", ["0", "2"])
@pytest.mark.parametrize("kind", ["blob:none", "blob:limit=100", "tree:0"])
def test_a_partial_clone_leaves_out_and_fetches_when_needed(hosted: Hosted, git: Git, version: str, kind: str) -> None:
    address = hosted.make()
    git("config", "--global", "protocol.version", version)
    git("clone", address, "copy")
    git.write("copy", {"small": "1", "folder/large": "large" * 100, "old": "x" * 200})
    (git.home / "copy/old").unlink()
    git.write("copy", {"small": "2"})
    git("push", at="copy")
    git("clone", f"--filter={kind}", "--no-checkout", address, "partial")
    absent = [
        line for line in git("rev-list", "--objects", "--all", "--missing=print", at="partial").split() if "?" in line
    ]
    assert len(absent) == {"blob:none": 5, "blob:limit=100": 3, "tree:0": 3}[kind], absent
    git("checkout", "main", at="partial")
    assert (git.home / "partial/folder/large").read_text() == "large" * 100
    git("log", "-p", at="partial")
    git("fsck", at="partial")


def test_a_single_object_is_fetched_by_its_id(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    first = git.write("copy", {"a": "1"})
    git.write("copy", {"a": "2"})
    git("push", at="copy")
    git("init", "other")
    git("fetch", "--depth", "1", address, first, at="other")
    assert git("show", "FETCH_HEAD:a", at="other") == "1"
    assert "not our ref" in git("fetch", address, "1" * 40, at="other", fails=True)


@pytest.mark.parametrize("version", ["0", "2"])
def test_fetching_sends_only_what_is_new(hosted: Hosted, git: Git, version: str) -> None:
    address = hosted.make()
    git("config", "--global", "protocol.version", version)
    git("clone", address, "copy")
    git.write("copy", {f"folder/{number}": str(number) for number in range(50)})
    git("push", at="copy")
    git("clone", address, "other")
    git.write("other", {"mine": "not pushed"})
    git.write("copy", {"folder/0": "changed"})
    git("push", at="copy")
    before = set(git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", at="other").split())
    git("fetch", at="other")
    after = set(git("cat-file", "--batch-all-objects", "--batch-check=%(objectname)", at="other").split())
    # commit, two trees, one file
    assert len(after - before) == 4
    git("merge", "-m", "both", "origin/main", at="other")
    git("push", at="other")
    assert hosted.sha() == git.head("other")


def test_tags_come_with_the_commits_they_name(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    git("clone", address, "other")
    git.write("copy", {"a": "1"})
    git("tag", "--annotate", "v1", "--message", "First", at="copy")
    git("tag", "light", at="copy")
    git("tag", "--annotate", "of-a-tag", "--message", "Second", "v1", at="copy")
    git("push", "origin", "main", "--tags", at="copy")
    for version in VERSIONS:
        git("-c", f"protocol.version={version}", "clone", address, f"clone{version}")
        assert git("tag", at=f"clone{version}").split() == ["light", "of-a-tag", "v1"]
    git("fetch", at="other")
    assert git("tag", at="other").split() == ["light", "of-a-tag", "v1"]
    with hosted.http() as http:
        tags = {item["name"]: item["targetCommit"] for item in http.get("/api/models/alice/bert/refs").json()["tags"]}
    assert tags["light"] == git.head("copy")


def test_branches_are_pushed_forced_and_deleted(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    start = git.head("copy")
    git.write("copy", {"a": "1"})
    git("push", "origin", "HEAD:refs/heads/dev/one", at="copy")
    assert hosted.sha("dev/one") == git.head("copy")
    git("commit", "--amend", "--quiet", "--message", "other", at="copy")
    assert "non-fast-forward" in git("push", "origin", "HEAD:dev/one", at="copy", fails=True)
    git("push", "--force", "origin", "HEAD:dev/one", at="copy")
    assert hosted.sha("dev/one") == git.head("copy")
    assert "is in the way" in git("push", "origin", "HEAD:refs/heads/dev", at="copy", fails=True)
    assert "is in the way" in git("push", "origin", "HEAD:refs/heads/dev/one/two", at="copy", fails=True)
    git("push", "origin", "--delete", "dev/one", at="copy")
    assert "dev/one" not in git("ls-remote", address)
    assert "Cannot delete" in git("push", "origin", "--delete", "main", at="copy", fails=True)
    assert hosted.sha() == start


@pytest.mark.parametrize("ref", ["refs/convert/parquet", "refs/pr/1", "refs/notes/commits", "refs/heads/-x", "refs/x"])
def test_refs_that_are_not_for_pushing_are_refused(hosted: Hosted, git: Git, ref: str) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    git.write("copy", {"a": "1"})
    assert "remote rejected" in git("push", "origin", f"HEAD:{ref}", at="copy", fails=True)
    assert ref not in git("ls-remote", address)


def test_each_ref_of_a_push_has_its_own_fate(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    pushed = git.write("copy", {"a": "1"})
    said = git("push", "origin", "HEAD:dev", "HEAD:refs/convert/x", at="copy", fails=True)
    assert "[new branch]      HEAD -> dev" in said
    assert "[remote rejected] HEAD -> refs/convert/x" in said
    assert hosted.sha("dev") == pushed


def test_an_atomic_push_moves_all_refs_or_none(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    pushed = git.write("copy", {"a": "1"})
    said = git("push", "--atomic", "origin", "HEAD:dev", "HEAD:refs/convert/x", at="copy", fails=True)
    assert "atomic push failed" in said
    assert "refs/heads/dev" not in git("ls-remote", address)
    git("init", "other")
    # nothing of it was kept
    assert "not our ref" in git("fetch", address, pushed, at="other", fails=True)
    git("push", "--atomic", "origin", "HEAD:dev", "HEAD:main", at="copy")
    assert hosted.sha("dev") == hosted.sha() == pushed


@pytest.mark.slow
def test_a_push_of_many_files_in_deltas_arrives_whole(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    text = {number: "".join(f"line {number * line}\n" for line in range(60)) for number in range(2000)}
    for version in range(3):
        git.write("copy", {f"data/{number % 7}/{number}": text[number] + str(version) for number in text})
    git("gc", "--quiet", "--aggressive", at="copy")
    git("push", at="copy")
    git("clone", address, "again")
    git("fsck", "--full", "--strict", at="again")
    assert git.head("again") == git.head("copy") == hosted.sha()
    # a thin pack: its deltas are upon what the hub has
    git.write("copy", {"data/0/0": text[0] + "thin"})
    git("push", at="copy")
    git("pull", "--ff-only", at="again")
    assert (git.home / "again/data/0/0").read_text() == text[0] + "thin"


def test_links_are_kept_as_links(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    (git.home / "copy/link").symlink_to("target/file")
    git.write("copy", {"run.sh": "#!/bin/sh\n"})
    (git.home / "copy/run.sh").chmod(0o755)
    git("commit", "--all", "--quiet", "--message", "Executable", at="copy")
    git("push", at="copy")
    git("clone", address, "again")
    assert (git.home / "again/link").readlink() == Path("target/file")
    assert (git.home / "again/run.sh").stat().st_mode & 0o100


def test_submodules_are_refused_with_a_way_out(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module", at="copy")
    git("commit", "--quiet", "--message", "Module", at="copy")
    said = git("push", at="copy", fails=True)
    assert "'module' is a submodule" in said
    assert "git rm --cached" in said


def test_files_above_the_limit_are_refused_by_name(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("clone", address, "copy")
    before = git.head("copy")
    git.write("copy", {"models/huge.dat": b"x" * (11 * 1024 * 1024), "small": "1"})
    said = git("push", at="copy", fails=True)
    assert "models/huge.dat (11,534,336 bytes)" in said
    assert "git lfs migrate" in said
    assert hosted.sha() == before


def test_of_simultaneous_pushes_to_one_branch_one_wins(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    clones = []
    for number in range(4):
        git("clone", address, f"copy{number}")
        clones.append(git.write(f"copy{number}", {f"file{number}": "1"}))

    with ThreadPoolExecutor(4) as pool:
        won = list(pool.map(lambda number: push_succeeds(git, f"copy{number}"), range(4)))
    assert sum(won) == 1
    assert hosted.sha() == clones[won.index(True)]


def test_a_token_without_the_right_cannot_push(hosted: Hosted, git: Git) -> None:
    hosted.make()
    hosted.make("secret", private=True)
    git("clone", hosted.public(), "copy")
    git.write("copy", {"a": "1"})
    reader = hosted.served.user("alice", role="read")
    stranger = hosted.served.user("bob")
    before = hosted.sha()
    for token, reason in (
        (reader, "may only read"),
        (stranger, "don't have the rights"),
        ("hf_wrong", "Authentication"),
    ):
        assert reason in git("push", hosted.address(hosted.public(), token), "main", at="copy", fails=True)
    assert "could not read Username" in git("push", hosted.public(), "main", at="copy", fails=True)
    assert hosted.sha() == before
    assert "could not read Username" in git("clone", hosted.public("alice/secret"), "none", fails=True)
    for token, reason in ((stranger, "not found"), ("hf_wrong", "Authentication failed")):
        assert reason in git("clone", hosted.address(hosted.public("alice/secret"), token), "none", fails=True)
    git("clone", hosted.address(hosted.public("alice/secret"), reader), "secret")


def test_the_commits_of_a_pull_request_are_fetched_and_pushed(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    bob = hosted.served.user("bob")
    with hosted.http("bob") as http:
        opened = http.post("/api/models/alice/bert/discussions", json={"title": "Better", "pullRequest": True})
        assert opened.status_code == 200
    git("clone", hosted.address(hosted.public(), bob), "copy")
    git("fetch", "origin", "refs/pr/*:refs/remotes/origin/pr/*", at="copy")
    git("checkout", "-b", "mine", "origin/pr/1", at="copy")
    pushed = git.write("copy", {"better": "1"})
    git("push", "origin", "HEAD:refs/pr/1", at="copy")
    assert hosted.sha("refs/pr/1") == pushed
    assert "don't have the rights" in git("push", "origin", "HEAD:main", at="copy", fails=True)
    git("fetch", address, "refs/pr/1", at="copy")
    assert git.head("copy", "FETCH_HEAD") == pushed


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_large_files_go_by_git_lfs_and_come_back(hosted: Hosted, git: Git) -> None:
    address = hosted.make()
    git("lfs", "install")
    git("clone", address, "copy")
    content = bytes(range(256)) * 50_000
    pushed = git.write("copy", {"weights/model.bin": content, "README.md": "small"})
    git("push", at="copy")
    assert hosted.sha() == pushed
    with hosted.http(None) as http:
        assert http.get("/alice/bert/resolve/main/weights/model.bin", follow_redirects=True).content == content
    git("clone", hosted.public(), "again")
    assert (git.home / "again/weights/model.bin").read_bytes() == content
    # a pointer whose content stayed at home
    git("-c", "core.hooksPath=/dev/null", "commit", "--allow-empty", "--quiet", "--message", "x", at="copy")
    git.write("copy", {"weights/other.bin": b"never uploaded"})
    said = git("-c", "core.hooksPath=/dev/null", "push", at="copy", fails=True)
    assert "weights/other.bin" in said
    assert "git lfs push" in said


def test_the_same_on_postgresql(tmp_path: Path, git: Git, postgresql: str) -> None:
    with running_hub(tmp_path / "hub", database_url=postgresql) as served:
        hosted = Hosted(served)
        address = hosted.make()
        for number in range(3):
            git("clone", address, f"copy{number}")
            git.write(f"copy{number}", {f"{number}/{place}": f"{place}\n" * 20 for place in range(300)})
        with ThreadPoolExecutor(3) as pool:
            won = list(pool.map(lambda number: push_succeeds(git, f"copy{number}"), range(3)))
        assert sum(won) == 1
        winner = f"copy{won.index(True)}"
        for number in range(60):  # more commits than are read one by one
            git("commit", "--allow-empty", "--quiet", "--message", str(number), at=winner)
        git("tag", "--annotate", "v1", "--message", "x", at=winner)
        git("push", "--atomic", "origin", "main", "v1", at=winner)
        git("clone", "--depth", "1", address, "shallow")
        git("fetch", "--unshallow", "--tags", at="shallow")
        git("clone", "--filter=blob:none", address, "partial")
        for clone in ("shallow", "partial"):
            git("fsck", "--full", at=clone)
            assert git.head(clone) == git.head(winner) == hosted.sha()
            assert git.head(clone, "v1") == git.head(winner, "v1")
