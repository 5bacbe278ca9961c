"""A file of more than two gigabytes, on each of the roads by which files of any size arrive."""

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from madang.testing.hub import hub_in
from tests.server.processes import HubProcess

pytestmark = [pytest.mark.loopback, pytest.mark.slow]
SIZE = 2**31 + 17  # one that does not fit into 32 bits
PIECE = 64 * 1024 * 1024
MEMORY = 250 * 1024 * 1024

UPLOAD = """
import sys
from huggingface_hub import HfApi
api = HfApi()
api.create_repo("alice/large", exist_ok=True)
api.upload_file(path_or_fileobj=sys.argv[1], path_in_repo=sys.argv[2], repo_id="alice/large")
"""
DOWNLOAD = """
import hashlib, sys
from huggingface_hub import hf_hub_download
path = hf_hub_download("alice/large", sys.argv[1])
print(hashlib.file_digest(open(path, "rb"), "sha256").hexdigest())
"""


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[HubProcess, str]]:
    """A hub in a process of its own, and alice's token."""
    if shutil.disk_usage(tmp_path).free < 4 * SIZE:
        pytest.skip(f"{tmp_path} has no room for four files of 2 GB")
    prepared = hub_in(tmp_path / "hub")
    token = prepared.user("alice")
    prepared.hub.close()
    with HubProcess(tmp_path / "hub") as process:
        yield process, token
    shutil.rmtree(tmp_path, ignore_errors=True)


def write_file(path: Path, seed: int) -> str:
    """2 GB of numbers, the first quarter of which compresses; returns the SHA-256."""
    digest, random = hashlib.sha256(), np.random.default_rng(seed)
    left = SIZE
    with open(path, "wb") as file:
        while left:
            size = min(PIECE, left)
            piece = random.bytes(size)
            if left > SIZE * 3 // 4:
                piece = np.frombuffer(piece[: size // 4 * 4], np.uint8).astype(np.float32)[: size // 4].tobytes()
                piece = piece[:size].ljust(size, b"\0")
            file.write(piece)
            digest.update(piece)
            left -= size
    return digest.hexdigest()


def python(code: str, hub: HubProcess, token: str, home: Path, *arguments: str, **environment: str) -> str:
    """What a program prints that sees the hub as every user's does."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HOME": str(home), **environment}
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=kept | given, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


@pytest.mark.parametrize("road", ["xet", "lfs"])
def test_two_gigabytes_arrive_by_the_public_client(road: str, hub: tuple[HubProcess, str], tmp_path: Path) -> None:
    process, token = hub
    file = tmp_path / "model.safetensors"
    sha256 = write_file(file, seed=1)
    disabled = {"HF_HUB_DISABLE_XET": "1"} if road == "lfs" else {}
    python(UPLOAD, process, token, tmp_path / "up", str(file), "model.safetensors", **disabled)
    file.unlink()
    assert python(DOWNLOAD, process, token, tmp_path / "down", "model.safetensors") == sha256
    assert process.peak_memory() < MEMORY


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_two_gigabytes_arrive_by_git_lfs(hub: tuple[HubProcess, str], tmp_path: Path) -> None:
    process, token = hub
    clone = tmp_path / "clone"
    python("from huggingface_hub import HfApi; HfApi().create_repo('alice/large')", process, token, tmp_path / "up")
    home = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "PATH": os.environ["PATH"]}
    address = process.address.replace("://", f"://alice:{token}@") + "/alice/large"

    def git(*arguments: str, folder: Path = clone) -> None:
        done = subprocess.run(["git", *arguments], cwd=folder, env=home, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr[-3000:]

    git("lfs", "install", folder=tmp_path)
    git("clone", "-q", address, str(clone), folder=tmp_path)
    sha256 = write_file(clone / "model.safetensors", seed=2)
    git("add", ".")
    git("-c", "user.name=alice", "-c", "user.email=alice@example.org", "commit", "-qm", "large")
    git("push", "-q", "origin", "HEAD:main")
    shutil.rmtree(clone)
    assert python(DOWNLOAD, process, token, tmp_path / "down", "model.safetensors") == sha256
    assert process.peak_memory() < MEMORY
