"""The public clients, unmodified, each in an environment and a process of its own, with HF_ENDPOINT set."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from madang.server.repositories.records import repositories
from madang.testing.hub import HubForTests

CLIENTS = Path(os.environ.get("MADANG_CLIENTS") or Path(__file__).parents[2] / ".clients")
SCRIPTS = Path(__file__).parent / "clients"
# 2.4 is in our own environment; `make test` installs the others
VERSIONS = ["2.4", "1.6", "0.36", "0.30", "0.23"]
pytestmark = pytest.mark.loopback


def interpreter(version: str) -> str:
    """The Python that has this release of huggingface_hub; the test is skipped where it was not installed."""
    if version == "2.4":
        return sys.executable
    found = CLIENTS / f"huggingface_hub-{version}" / "bin" / "python"
    if not found.exists():
        pytest.skip(f"huggingface_hub {version} is not installed in {found.parents[1]}: make clients")
    return str(found)


def run(
    version: str, script: str, hub: HubForTests, home: Path, *arguments: str, **environment: str
) -> dict[str, object]:
    """What a script in clients/ prints when that release runs it as alice."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {"HF_ENDPOINT": hub.address, "HF_HOME": str(home), "HF_HUB_DISABLE_UPDATE_CHECK": "1", **environment}
    given.setdefault("HF_TOKEN", hub.user("alice"))
    command = [interpreter(version), str(SCRIPTS / script), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=kept | given, timeout=600)
    assert done.returncode == 0, done.stderr[-4000:]
    seen: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return seen


FOLDER = [".gitattributes", "README.md", "config.json", "model.safetensors", "한글 폴더/한글 파일 (1).txt"]
AFTER = [".gitattributes", "README.md", "added.txt", "config.json", "copies/model.safetensors", "model.safetensors"]


@pytest.mark.parametrize("kind", ["model", "dataset", "space"])
@pytest.mark.parametrize("version", VERSIONS)
def test_a_client_does_all_it_can_do(version: str, kind: str, served: HubForTests, tmp_path: Path) -> None:
    if kind != "model" and version not in ("2.4", "0.23"):
        pytest.skip("datasets and Spaces are tried with the newest and the oldest release")
    seen = run(version, "round_trip.py", served, tmp_path / "home", str(tmp_path), kind)
    name = f"alice/{kind}-by-{seen['version']}"
    address = f"{served.address}/{'' if kind == 'model' else kind + 's/'}{name}"
    assert seen == {
        "version": seen["version"],
        "who": "alice",
        "url": address,
        "again": address,
        "files": FOLDER,
        "commits after the same folder again": 0,
        "large file is the same": True,
        "korean file": "안녕하세요",
        "files of the branch": ["branch.txt"],
        "refs": ["refs/heads/feature/x", "refs/heads/main", "refs/tags/v1.0"],
        "after the commit": AFTER,
        "pull request": 1,
        "snapshot of the pull request": sorted([*AFTER, "proposed.txt"]),
        "merged": "merged",
        "proposal is in main": True,
        "discussion": ["a question", "closed", ["comment", "comment", "status-change"]],
        "size of the large file": 12 * 1024 * 1024,
        "found": [name],
        "by tag": True,
        "history after the squash": ["all at once"],
        "by the old name": name + "-moved",
        "downloaded by the old name": '{"model_type": "bert"}',
        "exists after deletion": False,
    }
    assert str(seen["version"]).startswith(version)


def test_every_refusal_is_the_exception_the_client_has_for_it(served: HubForTests, tmp_path: Path) -> None:
    import httpx2

    token = served.user("alice")
    with httpx2.Client(base_url=served.address, headers={"Authorization": f"Bearer {token}"}) as alice:
        for name in ("open", "secret", "gated", "disabled"):
            alice.post("/api/repos/create", json={"name": name, "private": name == "secret"}).raise_for_status()
        alice.put("/api/models/alice/gated/settings", json={"gated": "manual"}).raise_for_status()
    with served.hub.database.write() as connection:
        connection.execute(sa.update(repositories).where(repositories.c.key == "alice/disabled").values(disabled=True))
    seen = run("2.4", "refusals.py", served, tmp_path / "home", served.user("bob"), HF_TOKEN=token)
    missing, gated = "RepositoryNotFoundError", "GatedRepoError"
    assert seen == {
        "missing repository": [missing, 404],
        "missing repository, nobody": [missing, 401],
        "missing repository, download": [missing, 401],
        "private repository": [missing, 404],
        "private repository, nobody": [missing, 401],
        "missing revision": ["RevisionNotFoundError", 404],
        "missing revision, download": ["RevisionNotFoundError", 404],
        "missing file": ["RemoteEntryNotFoundError", 404],
        "missing folder": ["RemoteEntryNotFoundError", 404],
        "gated, nobody": [gated, 401],
        "gated, stranger": [gated, 403],
        "gated, auth check": [gated, 403],
        "disabled": ["DisabledRepoError", 403],
        "bad request": ["BadRequestError", 400],
        "bad tag name": ["BadRequestError", 400],
        "no right to write": ["HfHubHTTPError", 403],
        "stale parent": ["HfHubHTTPError", 412],
        "exists already": ["HfHubHTTPError", 409],
        "bad token": ["HfHubHTTPError", 401],
        "bad token, repository": ["HfHubHTTPError", 401],
        "missing bucket": ["BucketNotFoundError", 404],
        "missing job": ["JobNotFoundError", 404],
        "not safetensors": ["NotASafetensorsRepoError", None],
    }
