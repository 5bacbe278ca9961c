"""Large files by Git LFS with the programs people use: huggingface_hub without Xet, git-lfs, and its custom agent."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import httpx2
import pytest

from madang.server.large_files import uploads
from madang.testing.hub import HubForTests
from tests.server.lfs_requests import actions

pytestmark = pytest.mark.loopback
ROUND_TRIP = """
import os, sys
from huggingface_hub import HfApi, hf_hub_download
api = HfApi()
api.create_repo("alice/big")
for size in map(int, sys.argv[1:]):
    content = os.urandom(size)
    api.upload_file(path_or_fileobj=content, path_in_repo=f"{size}.bin", repo_id="alice/big")
    assert open(hf_hub_download("alice/big", f"{size}.bin"), "rb").read() == content
"""
needs_git_lfs = pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")


@pytest.fixture(params=["whole", "parts"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Files go as a whole; or those above 5 MB in parts of 3 MB."""
    if request.param == "parts":
        monkeypatch.setattr(uploads, "MULTIPART_FROM", 5_000_000)
        monkeypatch.setattr(uploads, "SMALLEST_PART", 3_000_000)
    return str(request.param)


@pytest.fixture
def run(served: HubForTests, tmp_path: Path) -> Callable[..., str]:
    """Runs a command as alice, in an environment that names the hub and has nothing of this machine's user."""
    home = tmp_path / "home"
    home.mkdir()
    token, host = served.user("alice"), served.address.removeprefix("http://")
    (home / ".git-credentials").write_text(f"http://alice:{token}@{host}\n", encoding="utf-8")
    environment = {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOME": str(home),
        "HF_HOME": str(home / "hf"),
        "HF_ENDPOINT": served.address,
        "HF_TOKEN": token,
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
    }

    def run(*command: str | Path, within: Path = tmp_path) -> str:
        done = subprocess.run(command, cwd=within, env=environment, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def test_huggingface_hub_without_xet_brings_files_and_gets_them(
    run: Callable[..., str], way: str, served: HubForTests
) -> None:
    run(sys.executable, "-c", ROUND_TRIP, "0", "1", "9000000", "12000000", "30000001")
    sizes = sorted(size for _, size, _ in served.hub.storage.keys("sha256/"))
    assert sizes[-3:] == [9_000_000, 12_000_000, 30_000_001]
    assert list(served.hub.storage.keys("parts/")) == []


@needs_git_lfs
def test_git_lfs_pushes_and_clones_a_private_repository(
    run: Callable[..., str], way: str, served: HubForTests, tmp_path: Path
) -> None:
    run(sys.executable, "-c", "from huggingface_hub import HfApi; HfApi().create_repo('alice/big', private=True)")
    for setting in ("user.name alice", "user.email alice@example.org", "credential.helper store"):
        run("git", "config", "--global", *setting.split(" "))
    run("git", "lfs", "install")
    run("git", "clone", f"{served.address}/alice/big", "work")
    work = tmp_path / "work"
    if way == "parts":
        run("hf", "lfs-enable-largefiles", str(work))
    (work / "large.bin").write_bytes(os.urandom(15_000_000))
    (work / "small.bin").write_bytes(os.urandom(100))
    run("git", "add", ".", within=work)
    run("git", "commit", "--quiet", "--message", "two files", within=work)
    run("git", "push", within=work)
    assert {size for _, size, _ in served.hub.storage.keys("")} == {100, 15_000_000}
    run("git", "clone", f"{served.address}/alice/big", "again")
    for name in ("large.bin", "small.bin"):
        assert (tmp_path / "again" / name).read_bytes() == (work / name).read_bytes()


def test_a_connection_that_ends_in_the_middle_leaves_nothing(served: HubForTests) -> None:
    content = os.urandom(9_000_000)
    with httpx2.Client(base_url=served.address, headers={"Authorization": f"Bearer {served.user('alice')}"}) as alice:
        assert alice.post("/api/repos/create", json={"name": "big"}).status_code == 200
        path = actions(alice, content)["upload"]["href"].removeprefix(served.address)
    host, _, port = served.address.removeprefix("http://").partition(":")
    incoming = served.hub.settings.data / "files" / "incoming"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"PUT {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[:-1])
        wait_until(lambda: any(incoming.iterdir()))
    wait_until(lambda: not any(incoming.iterdir()))
    assert list(served.hub.storage.keys("")) == []


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)
