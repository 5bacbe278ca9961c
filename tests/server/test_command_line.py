"""`madang login`, `upload`, `download` and `repo`, against a hub that really answers."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from madang.testing.hub import HubForTests

Run = Callable[..., subprocess.CompletedProcess[str]]
pytestmark = pytest.mark.loopback


@pytest.fixture
def madang(served: HubForTests, tmp_path: Path) -> Run:
    """`madang("upload", …)` in a process of its own, with a home of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "MADANG_"))}
    environment = {**kept, "HF_ENDPOINT": served.address, "HF_HOME": str(tmp_path / "home"), "PYTHONPATH": "src"}

    def run(*arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "madang", *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, input=said, timeout=120)

    return run


@pytest.fixture
def alice(madang: Run, served: HubForTests) -> Run:
    """The same, logged in."""
    done = madang("login", "--token", served.user("alice"))
    assert done.returncode == 0, done.stderr
    assert f"{served.address} as alice" in done.stdout
    return madang


def test_whoami_names_the_account_and_the_hub(alice: Run, served: HubForTests) -> None:
    shown = alice("whoami").stdout
    assert shown.startswith("alice\n")
    assert served.address in shown


def test_nobody_is_logged_in_after_logout(alice: Run) -> None:
    assert alice("logout").returncode == 0
    done = alice("whoami")
    assert done.returncode == 1
    assert "nobody is logged in" in done.stderr


def test_a_folder_goes_up_and_comes_down_again(alice: Run, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "한글 폴더").mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    (folder / "한글 폴더" / "notes.txt").write_text("안녕", encoding="utf-8")
    (folder / "secret.env").write_text("x", encoding="utf-8")
    done = alice("upload", "alice/model", str(folder), "--exclude", "*.env", "--message", "first")
    assert done.returncode == 0, done.stderr
    assert "/alice/model/commit/" in done.stdout
    down = alice("download", "alice/model", "--local-dir", str(tmp_path / "down"))
    assert down.returncode == 0, down.stderr
    assert (tmp_path / "down" / "한글 폴더" / "notes.txt").read_text(encoding="utf-8") == "안녕"
    assert not (tmp_path / "down" / "secret.env").exists()


def test_one_file_can_be_named(alice: Run, tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("안녕", encoding="utf-8")
    assert alice("upload", "alice/notes", str(file), "docs/notes.txt", "--type", "dataset").returncode == 0
    place = alice("download", "alice/notes", "docs/notes.txt", "--type", "dataset").stdout.strip()
    assert Path(place).read_text(encoding="utf-8") == "안녕"
    missing = alice("download", "alice/notes", "absent.txt", "--type", "dataset")
    assert missing.returncode == 1
    assert "no file 'absent.txt'" in missing.stderr


def test_a_name_alone_is_that_of_ones_own_repository(alice: Run) -> None:
    assert "/alice/first" in alice("repo", "create", "first").stdout
    assert "refs/heads/main" in alice("repo", "refs", "first").stdout
    assert alice("repo", "move", "first", "second").returncode == 0
    assert alice("repo", "delete", "second", "--yes").returncode == 0


def test_a_repository_is_made_renamed_and_removed(alice: Run) -> None:
    assert "/alice/first" in alice("repo", "create", "first").stdout
    assert alice("repo", "create-branch", "alice/first", "feature/x").returncode == 0
    assert alice("repo", "create-tag", "alice/first", "v1", "--message", "one").returncode == 0
    refs = alice("repo", "refs", "alice/first").stdout
    assert [line.split()[1] for line in refs.splitlines()] == [
        "refs/heads/main",
        "refs/heads/feature/x",
        "refs/tags/v1",
    ]
    assert alice("repo", "move", "alice/first", "alice/second").returncode == 0
    assert alice("repo", "settings", "alice/second", "--visibility", "private").returncode == 0
    refused = alice("repo", "delete", "alice/second", said="no\n")
    assert refused.returncode == 1
    assert alice("repo", "refs", "alice/second").returncode == 0
    assert alice("repo", "delete", "alice/second", "--yes").returncode == 0
    assert alice("repo", "refs", "alice/second").returncode == 1
