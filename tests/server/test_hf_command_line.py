"""The `hf` command of the newest huggingface_hub, unmodified: what people type, against a hub that really answers."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from madang.testing.hub import HubForTests

COMMAND = Path(sys.executable).with_name("hf")
Hf = Callable[..., str]
pytestmark = [
    pytest.mark.loopback,
    pytest.mark.slow,
    pytest.mark.skipif(not COMMAND.exists(), reason="huggingface_hub came without its command `hf`"),
]


@pytest.fixture
def hf(served: HubForTests, tmp_path: Path) -> Hf:
    """`hf("upload", …)`: what it prints; with `status=1`, what it complains of. Nobody is logged in."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {
        "HF_ENDPOINT": served.address,
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }

    def run(*arguments: str, status: int = 0) -> str:
        command = [str(COMMAND), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=kept | given, cwd=tmp_path, timeout=120)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stdout if status == 0 else done.stderr

    return run


@pytest.fixture
def alice(hf: Hf, served: HubForTests) -> Hf:
    """The same, logged in as alice."""
    hf("auth", "login", "--token", served.user("alice"))
    return hf


def lines(text: str) -> list[str]:
    return sorted(text.split())


def test_login_names_the_account_and_logout_forgets_it(hf: Hf, served: HubForTests) -> None:
    token = served.user("alice")
    hf("auth", "login", "--token", token)
    assert json.loads(hf("auth", "whoami", "--json"))["user"] == "alice"
    assert hf("auth", "token").split() == [token]
    assert "test" in hf("auth", "list")
    hf("auth", "logout")
    assert "alice" not in hf("auth", "whoami", status=1)


def test_a_wrong_token_is_not_taken(hf: Hf) -> None:
    assert "nvalid" in hf("auth", "login", "--token", "hf_" + "x" * 34, status=1)


def test_a_repository_is_made_changed_and_removed(alice: Hf) -> None:
    alice("repos", "create", "first")
    alice("repos", "create", "table", "--type", "dataset", "--private")
    alice("repos", "create", "demo", "--type", "space", "--sdk", "static")
    assert "409 Conflict" in alice("repos", "create", "first", status=1)
    alice("repos", "create", "first", "--exist-ok")
    listed = alice("repos", "list", "-q")
    assert all(name in listed for name in ("alice/first", "alice/table", "alice/demo"))
    alice("repos", "settings", "alice/first", "--private", "--gated", "manual")
    shown = json.loads(alice("models", "info", "alice/first", "--json"))
    assert (shown["private"], shown["gated"]) == (True, "manual")
    alice("repos", "branch", "create", "alice/first", "feature/x")
    alice("repos", "branch", "delete", "alice/first", "feature/x")
    alice("repos", "tag", "create", "alice/first", "v1", "-m", "one")
    assert "v1" in alice("repos", "tag", "list", "alice/first")
    alice("repos", "tag", "delete", "alice/first", "v1", "-y")
    alice("repos", "duplicate", "alice/first", "alice/second")
    alice("repos", "move", "alice/first", "alice/third")
    assert lines(alice("models", "list", "--author", "alice", "-q")) == ["alice/second", "alice/third"]
    alice("repos", "delete", "alice/second", "-y")
    assert "ot found" in alice("models", "info", "alice/second", status=1)
    alice("repos", "delete", "alice/second", "-y", "--missing-ok")


def test_files_go_up_are_looked_at_and_come_down(alice: Hf, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    (folder / "한글 폴더").mkdir(parents=True)
    (folder / "README.md").write_text("---\nlanguage: ko\n---\n# 모델\n", encoding="utf-8")
    (folder / "한글 폴더" / "한글 파일.txt").write_text("안녕", encoding="utf-8")
    (folder / "model.safetensors").write_bytes(os.urandom(3_000_000))
    (folder / "secret.env").write_text("x", encoding="utf-8")
    alice("upload", "alice/model", "model", ".", "--exclude", "*.env", "--commit-message", "first")
    alice("upload", "alice/model", "model/README.md", "docs/README.md", "--revision", "main")
    names = alice("models", "list", "alice/model", "-R", "-q")
    assert all(name in names for name in ("README.md", "docs/README.md", "한글 파일.txt", "model.safetensors"))
    assert "secret.env" not in names
    assert "# 모델" in alice("models", "card", "alice/model")

    place = Path(alice("download", "alice/model", "-q").strip())
    assert (place / "한글 폴더" / "한글 파일.txt").read_text(encoding="utf-8") == "안녕"
    alice("download", "alice/model", "model.safetensors", "--local-dir", "down")
    assert (tmp_path / "down" / "model.safetensors").read_bytes() == (folder / "model.safetensors").read_bytes()
    assert "alice/model" in alice("cache", "list")
    alice("cache", "verify", "alice/model")
    alice("cache", "rm", "model/alice/model", "-y")
    assert "alice/model" not in alice("cache", "list")

    alice("repos", "delete-files", "alice/model", "docs/", "--commit-message", "less")
    assert "docs" not in alice("models", "list", "alice/model", "-R", "-q")
    assert "ot found" in alice("download", "alice/model", "docs/README.md", status=1)
    alice("upload", "alice/model", "model/secret.env", "a.env", "--create-pr", "--commit-message", "more")
    assert "more" in alice("discussions", "list", "alice/model")
    assert "a.env" in alice("discussions", "diff", "alice/model", "1")
    alice("discussions", "merge", "alice/model", "1", "-y")
    assert "a.env" in alice("models", "list", "alice/model", "-R", "-q")
    alice("cp", "hf://alice/model/a.env", "copied.env")
    assert (tmp_path / "copied.env").read_text(encoding="utf-8") == "x"


def test_datasets_and_models_are_found(alice: Hf, tmp_path: Path) -> None:
    (tmp_path / "README.md").write_text("---\nlanguage: ko\ntask_categories: [translation]\n---\n", encoding="utf-8")
    (tmp_path / "rows.csv").write_text("text\n안녕\n", encoding="utf-8")
    alice("upload", "alice/table", "README.md", "--type", "dataset")
    alice("upload", "alice/table", "rows.csv", "--type", "dataset")
    alice("repos", "create", "other", "--type", "dataset")
    assert lines(alice("datasets", "list", "-q")) == ["alice/other", "alice/table"]
    assert lines(alice("datasets", "list", "--filter", "language:ko", "-q")) == ["alice/table"]
    assert lines(alice("datasets", "list", "--search", "tab", "-q")) == ["alice/table"]
    assert "rows.csv" in alice("datasets", "list", "alice/table", "-q")
    assert json.loads(alice("datasets", "info", "alice/table", "--json"))["id"] == "alice/table"
    assert alice("models", "list", "--search", "tab", "-q").split() == []


def test_a_discussion_is_led_to_its_end(alice: Hf) -> None:
    alice("repos", "create", "talk")
    alice("discussions", "create", "alice/talk", "--title", "왜 그럴까?", "--body", "a question")
    alice("discussions", "comment", "alice/talk", "1", "--body", "because")
    alice("discussions", "rename", "alice/talk", "1", "어떻게?")
    alice("discussions", "close", "alice/talk", "1", "-y")
    shown = json.loads(alice("discussions", "info", "alice/talk", "1", "--json"))
    assert (shown["title"], shown["status"]) == ("어떻게?", "closed")
