"""Backing a hub up, restoring it elsewhere, checking it, freeing what nothing names."""

import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.cli.main import main
from madang.errors import InputError
from madang.server.app import create_application
from madang.server.git.records import objects, refs
from madang.server.hub import Hub
from madang.server.operations.checking import check_hub
from madang.server.operations.collecting import collect_all
from madang.server.operations.copying import copy_hub
from madang.server.settings import ServerSettings
from madang.server.storage.blobs import blob_key
from madang.testing.hub import HubForTests, hub_in
from tests.server.services import postgres_database

LARGE = b"large" * 500_000


@pytest.fixture
def filled(hub: HubForTests, client: Callable[..., TestClient]) -> TestClient:
    """A hub with a repository that has small files, a large one and a discussion; requests of alice."""
    alice = client("alice")
    alice.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
    commit(alice, {"README.md": "---\nlanguage: ko\n---\n기계번역을 위한 모델".encode(), "weights.bin": LARGE}, hub)
    made = alice.post(
        "/api/models/alice/bert/discussions",
        json={"title": "왜 그럴까?", "description": "그냥 궁금해서", "pullRequest": False},
    )
    made.raise_for_status()
    return alice


def commit(alice: TestClient, files: dict[str, bytes], hub: HubForTests) -> None:
    """Commit files; those above a megabyte as large files."""
    import base64
    import json

    lines: list[dict[str, object]] = [{"key": "header", "value": {"summary": "files"}}]
    for path, content in files.items():
        if len(content) > 1_000_000:
            item = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            asked = {"operation": "upload", "transfers": ["basic"], "objects": [item], "hash_algo": "sha256"}
            batch = alice.post("/alice/bert.git/info/lfs/objects/batch", json=asked).json()
            action = batch["objects"][0].get("actions", {}).get("upload")
            if action is not None:
                alice.put(action["href"].removeprefix(hub.address), content=content).raise_for_status()
            lines.append({"key": "lfsFile", "value": {"path": path, "algo": "sha256", **item}})
        else:
            text = base64.b64encode(content).decode()
            lines.append({"key": "file", "value": {"path": path, "content": text, "encoding": "base64"}})
    body = "\n".join(map(json.dumps, lines))
    alice.post(
        "/api/models/alice/bert/commit/main", content=body, headers={"Content-Type": "application/x-ndjson"}
    ).raise_for_status()


def problems(hub: Hub, *, deep: bool = False) -> list[str]:
    return [str(problem) for problem in check_hub(hub, deep=deep)]


def test_a_copy_answers_as_the_hub_did(hub: HubForTests, filled: TestClient, tmp_path: Path) -> None:
    copy = Hub(ServerSettings.for_folder(tmp_path / "copy", hub.address))
    assert copy_hub(hub.hub, copy).files == 1
    again = TestClient(create_application(copy), headers=filled.headers)
    for address in (
        "/api/models/alice/bert",
        "/api/models/alice/bert/tree/main",
        "/api/models/alice/bert/commits/main",
        "/api/models/alice/bert/discussions/1",
        "/api/models?filter=ko",
        "/api/models?q=번역",
    ):
        assert again.get(address).json() == filled.get(address).json()
    assert again.get("/alice/bert/resolve/main/weights.bin").content == LARGE
    assert problems(copy, deep=True) == []
    copy.close()


@pytest.mark.loopback
def test_a_hub_moves_to_postgresql_and_back(
    hub: HubForTests, filled: TestClient, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with postgres_database() as database:
        settings = ServerSettings.for_folder(tmp_path / "there", hub.address, database_url=database)
        there = Hub(settings)
        request.addfinalizer(there.close)
        copy_hub(hub.hub, there)
        moved = TestClient(create_application(there), headers=filled.headers)
        # rows that are added go on counting after those that were copied
        moved.post("/api/repos/create", json={"name": "second"}).raise_for_status()
        back = Hub(ServerSettings.for_folder(tmp_path / "back", hub.address))
        copy_hub(there, back)
        again = TestClient(create_application(back), headers=filled.headers)
        assert again.get("/api/models/alice/bert").json() == filled.get("/api/models/alice/bert").json()
        assert [item["id"] for item in again.get("/api/models?sort=createdAt").json()] == ["alice/second", "alice/bert"]
        assert problems(back, deep=True) == problems(there, deep=True) == []
        there.close()
        back.close()


def test_a_copy_goes_only_where_nothing_is(hub: HubForTests, filled: TestClient, tmp_path: Path) -> None:
    other = hub_in(tmp_path / "other")
    other.user("bob")
    with pytest.raises(InputError, match="holds accounts already"):
        copy_hub(hub.hub, other.hub)
    assert problems(other.hub) == []
    other.hub.close()


def test_what_is_damaged_is_named(hub: HubForTests, filled: TestClient) -> None:
    assert problems(hub.hub, deep=True) == []
    sha256 = hashlib.sha256(LARGE).hexdigest()
    file = hub.hub.storage.path(blob_key(sha256))
    assert file is not None
    file.chmod(0o600)
    file.write_bytes(LARGE[:-1] + b"!")
    assert problems(hub.hub) == []
    assert problems(hub.hub, deep=True) == [f"large file {sha256}: its content has changed: its SHA-256 is another."]
    file.write_bytes(LARGE[:-1])
    assert "instead of" in problems(hub.hub)[0]
    file.unlink()
    assert problems(hub.hub) == [f"large file {sha256}: it is missing in the blob store."]
    with hub.hub.database.write() as connection:
        head = connection.scalar(sa.select(refs.c.target).where(refs.c.name == "refs/heads/main"))
        connection.execute(objects.delete().where(objects.c.oid == head))
    assert f"model alice/bert: object {head} is missing." in problems(hub.hub)


def test_a_large_file_is_freed_when_nothing_names_it_and_its_grace_is_over(tmp_path: Path) -> None:
    hub = hub_in(tmp_path / "hub", grace_seconds=0)
    alice = TestClient(create_application(hub.hub), headers={"Authorization": f"Bearer {hub.user('alice')}"})
    alice.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
    commit(alice, {"weights.bin": LARGE}, hub)
    time.sleep(0.01)
    assert collect_all(hub.hub).files == 0
    alice.request("DELETE", "/api/repos/delete", json={"name": "bert"}).raise_for_status()
    assert collect_all(hub.hub).files == 1
    assert hub.hub.storage.size(blob_key(hashlib.sha256(LARGE).hexdigest())) is None
    assert problems(hub.hub) == []
    hub.hub.close()


def test_the_commands_back_up_restore_and_check(
    hub: HubForTests, filled: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy, back = (str(tmp_path / name) for name in ("copy", "back"))
    source = ["--data", str(tmp_path / "hub"), "--database-url", hub.hub.settings.database_url]
    assert main(["hub", "backup", copy, *source]) == 0
    assert "large files: 1 (2,500,000 bytes)" in capsys.readouterr().out
    assert main(["hub", "backup", copy, *source]) == 0
    assert "large files: 0" in capsys.readouterr().out
    assert main(["hub", "restore", copy, "--data", back]) == 0
    assert main(["hub", "check", "--deep", "--data", back]) == 0
    assert "everything is there" in capsys.readouterr().out
    os.unlink(next(path for path in Path(back, "files", "sha256").rglob("*") if path.is_file()))
    assert main(["hub", "check", "--data", back]) == 1
    assert "missing in the blob store" in capsys.readouterr().out
    assert main(["hub", "gc", "--data", back]) == 0
    assert main(["hub", "migrate", "--data", back]) == 0
    assert "nothing to do" in capsys.readouterr().out


def test_a_backup_never_goes_into_the_folder_of_the_hub_itself(
    filled: TestClient, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["hub", "backup", str(tmp_path / "hub"), "--data", str(tmp_path / "hub")]) == 1
    assert "name another folder" in capsys.readouterr().err


def test_a_process_that_used_no_table_yet_copies_all_of_them(tmp_path: Path) -> None:
    for name in ("one", "two"):
        made = hub_in(tmp_path / name)
        if name == "one":
            made.user("alice")
        made.hub.close()
    code = "import sys; from madang.cli.main import main; sys.exit(main())"
    words = ["hub", "restore", str(tmp_path / "one"), "--data", str(tmp_path / "two")]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "rows" in done.stdout
