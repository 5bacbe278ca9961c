"""A repository as a file: out of one hub, into another."""

import io
import os
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from madang.cli.main import main
from madang.server.app import create_application
from madang.server.operations.checking import check_hub
from madang.testing.hub import HubForTests, hub_in
from tests.server.test_operations import LARGE, commit


@pytest.fixture
def exported(hub: HubForTests, client: Callable[..., TestClient], tmp_path: Path) -> Path:
    """A repository with a history, a branch, a tag, a large file and a discussion of two people."""
    alice = client("alice")
    alice.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
    commit(alice, {"README.md": "---\nlanguage: ko\n---\n번역".encode(), "weights.bin": LARGE}, hub)
    alice.post("/api/models/alice/bert/branch/feature%2Fx", json={}).raise_for_status()
    alice.post("/api/models/alice/bert/tag/main", json={"tag": "v1", "message": "first"}).raise_for_status()
    commit(alice, {"config.json": b"{}"}, hub)
    asked = {"title": "왜 그럴까?", "description": "<b>그냥</b>", "pullRequest": True}
    alice.post("/api/models/alice/bert/discussions", json=asked).raise_for_status()
    client("bob").post("/api/models/alice/bert/discussions/1/comment", json={"comment": "because"}).raise_for_status()
    file = tmp_path / "bert.madang"
    place = ["--data", str(tmp_path / "hub"), "--database-url", hub.hub.settings.database_url]
    assert main(["hub", "export", "alice/bert", str(file), *place]) == 0
    return file


@pytest.fixture
def other(tmp_path: Path) -> Iterator[HubForTests]:
    """A hub in another building, where alice is known and bob is not."""
    made = hub_in(tmp_path / "other")
    made.user("alice", administrator=True)
    yield made
    made.hub.close()


def bring(file: Path, tmp_path: Path, *more: str) -> int:
    return main(["hub", "import", str(file), "--data", str(tmp_path / "other"), *more])


def test_commits_branches_tags_files_and_discussions_are_the_same(
    exported: Path, hub: HubForTests, other: HubForTests, tmp_path: Path
) -> None:
    assert bring(exported, tmp_path) == 0
    here, there = (
        TestClient(create_application(one.hub), headers={"Authorization": f"Bearer {one.user('alice')}"})
        for one in (hub, other)
    )
    for address in ("refs?include_prs=1", "commits/main", "tree/main", "tree/v1", "revision/main?blobs=true"):
        before, after = (one.get(f"/api/models/alice/bert/{address}").json() for one in (here, there))
        if isinstance(before, dict):
            for answer in (before, after):
                answer.pop("_id", None)
                answer.pop("lastModified", None)
        assert after == before
    assert there.get("/alice/bert/resolve/main/weights.bin").content == LARGE
    thread = there.get("/api/models/alice/bert/discussions/1").json()
    assert [event["data"]["latest"]["raw"] for event in thread["events"]] == ["<b>그냥</b>", "because"]
    assert "<b>" not in thread["events"][0]["data"]["latest"]["html"]
    assert [item["id"] for item in there.get("/api/models?filter=ko").json()] == ["alice/bert"]
    assert [str(problem) for problem in check_hub(other.hub, deep=True)] == []


def test_another_owner_and_name_can_be_given(exported: Path, other: HubForTests, tmp_path: Path) -> None:
    other.user("carol")
    assert bring(exported, tmp_path, "--owner", "carol", "--name", "second") == 0
    found = TestClient(create_application(other.hub)).get("/api/models/carol/second")
    assert found.status_code == 200


def test_a_name_that_is_taken_is_refused(
    exported: Path, other: HubForTests, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert bring(exported, tmp_path) == 0
    assert bring(exported, tmp_path) == 1
    assert "alice/bert" in capsys.readouterr().err


def test_the_history_in_the_file_is_a_bundle_git_reads(exported: Path, tmp_path: Path) -> None:
    with tarfile.open(exported) as archive:
        archive.extract("repository.bundle", tmp_path, filter="data")
    home = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_LFS_SKIP_SMUDGE": "1"}
    clone = subprocess.run(
        ["git", "clone", "-q", "-b", "main", "repository.bundle", "clone"],
        cwd=tmp_path,
        env=home,
        capture_output=True,
        text=True,
    )
    assert clone.returncode == 0, clone.stderr
    assert (tmp_path / "clone" / "config.json").read_bytes() == b"{}"


def damaged(file: Path, name: str, change: Callable[[bytes], bytes]) -> Path:
    """The same file with one member changed."""
    target = file.with_suffix(".damaged")
    with tarfile.open(file) as source, tarfile.open(target, "w") as archive:
        for member in source:
            opened = source.extractfile(member)
            assert opened is not None
            content = opened.read()
            if member.name.startswith(name):
                content = change(content)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("repository.json", lambda content: content.replace(b'"private": false', b'"private": true ')),
        ("repository.json", lambda content: b"{}"),
        ("repository.bundle", lambda content: content[:-30] + b"x" * 30),
        ("repository.bundle", lambda content: content[:-1]),
        ("large/", lambda content: content[:-1] + b"!"),
        ("SHA256SUMS", lambda content: b""),
        ("SHA256SUMS", lambda content: b"\xff" + content),
        ("repository.json", lambda content: b'{"format": 1, "type": "model", "name": "alice/bert"}'),
        ("repository.json", lambda content: content.replace(b'"format": 1', b'"format": 2')),
    ],
)
def test_a_damaged_file_is_refused_and_leaves_nothing(
    exported: Path, other: HubForTests, tmp_path: Path, name: str, change: Callable[[bytes], bytes]
) -> None:
    assert bring(damaged(exported, name, change), tmp_path) == 1
    assert TestClient(create_application(other.hub)).get("/api/models").json() == []
    assert [str(problem) for problem in check_hub(other.hub, deep=True)] == []


def test_a_file_that_is_cut_off_is_refused(exported: Path, other: HubForTests, tmp_path: Path) -> None:
    content = exported.read_bytes()
    for length in (0, 100, 5000, len(content) // 2, len(content) - 12_000):
        exported.write_bytes(content[:length])
        assert bring(exported, tmp_path) == 1
    assert TestClient(create_application(other.hub)).get("/api/models").json() == []


def test_what_a_machine_has_in_its_cache_becomes_repositories(other: HubForTests, tmp_path: Path) -> None:
    folder = tmp_path / "cache" / "models--alice--tiny"
    first, second = "a" * 40, "b" * 40
    for commit_id, files in (
        (first, {"config.json": b"{}", "old.txt": b"old"}),
        (second, {"config.json": b"[]", "w.bin": LARGE}),
    ):
        for name, content in files.items():
            blob = folder / "blobs" / f"{commit_id[:3]}-{name}"
            blob.parent.mkdir(parents=True, exist_ok=True)
            blob.write_bytes(content)
            link = folder / "snapshots" / commit_id / name
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(blob)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text(second, encoding="utf-8")
    for _ in range(2):  # a second time it adds nothing
        assert bring(tmp_path / "cache", tmp_path) == 0
    there = TestClient(create_application(other.hub))
    assert {item["path"] for item in there.get("/api/models/alice/tiny/tree/main").json()} == {
        ".gitattributes",
        "config.json",
        "w.bin",
    }
    assert there.get("/alice/tiny/resolve/main/w.bin").content == LARGE
    # code that pins the original commit finds what it named
    assert there.get(f"/alice/tiny/resolve/{first}/old.txt").content == b"old"
    assert len(there.get("/api/models/alice/tiny/commits/main").json()) == 3
    assert [str(problem) for problem in check_hub(other.hub, deep=True)] == []
