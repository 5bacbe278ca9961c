"""Several processes serve one hub, over one PostgreSQL and one S3: pushed through one, read through another."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.server.processes import SOURCE, HubProcess
from tests.server.services import postgres_database, s3_bucket

pytestmark = pytest.mark.loopback
PUSH = """
import sys
from huggingface_hub import HfApi
api, name = HfApi(), sys.argv[1]
api.create_repo("alice/shared", exist_ok=True)
content = (name * 40).encode() * 100_000
api.upload_file(path_or_fileobj=content, path_in_repo=f"{name}.bin", repo_id="alice/shared")
api.upload_file(path_or_fileobj=name.encode(), path_in_repo=f"{name}.txt", repo_id="alice/shared")
file = sys.argv[2]
open(file, "wb").write(content[::-1])
api.upload_file(path_or_fileobj=file, path_in_repo=f"{name}.xet.bin", repo_id="alice/shared")
"""
READ = """
import sys
from huggingface_hub import HfApi, hf_hub_download
api = HfApi()
for name in sys.argv[1:]:
    content = (name * 40).encode() * 100_000
    assert open(hf_hub_download("alice/shared", f"{name}.bin"), "rb").read() == content
    assert open(hf_hub_download("alice/shared", f"{name}.xet.bin"), "rb").read() == content[::-1]
    assert open(hf_hub_download("alice/shared", f"{name}.txt")).read() == name
print([commit.title for commit in api.list_repo_commits("alice/shared")])
print([model.id for model in api.list_models(search="share")])
"""


@pytest.fixture
def replicas(tmp_path: Path) -> Iterator[tuple[HubProcess, HubProcess, str]]:
    """Two processes, and alice's token."""
    with postgres_database() as database, s3_bucket() as bucket:
        environment = {"MADANG_DATABASE_URL": database, **bucket}
        command = [sys.executable, "-m", "madang", "hub"]
        given = {**os.environ, "PYTHONPATH": str(SOURCE), **environment}

        def administrate(*arguments: str) -> str:
            done = subprocess.run(
                [*command, *arguments, "--data", str(tmp_path / "first")],
                env=given,
                capture_output=True,
                text=True,
                timeout=120,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        administrate("migrate")
        administrate("user", "add", "alice")
        token = administrate("token", "create", "alice", "--role", "write").split()[-1]
        with (
            HubProcess(tmp_path / "first", **environment) as first,
            HubProcess(tmp_path / "second", **environment) as second,
        ):
            yield first, second, token


def client(hub: HubProcess, token: str, home: Path, code: str, *arguments: str) -> str:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {"HF_ENDPOINT": hub.address, "HF_TOKEN": token, "HF_HOME": str(home)}
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments], env=kept | given, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_what_one_replica_took_another_serves_also_after_the_first_is_killed(
    replicas: tuple[HubProcess, HubProcess, str], tmp_path: Path
) -> None:
    first, second, token = replicas
    client(first, token, tmp_path / "home-1", PUSH, "one", str(tmp_path / "file"))
    client(second, token, tmp_path / "home-2", READ, "one")
    first.kill()
    client(second, token, tmp_path / "home-2", PUSH, "two", str(tmp_path / "file"))
    first.start()
    seen = client(first, token, tmp_path / "home-3", READ, "one", "two")
    assert seen.splitlines()[1] == "['alice/shared']"
    assert seen.splitlines()[0].count("Upload") == 6
