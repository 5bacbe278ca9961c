"""transformers and datasets, unmodified, with nothing but HF_ENDPOINT and a token; and Madang's own library."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx2
import pytest

from madang.server.accounts.caller import Caller
from madang.server.accounts.finding import user_named
from madang.server.repositories.access import find
from madang.server.repositories.moving import add_alias
from madang.testing.hub import HubForTests
from tests.server.processes import SOURCE
from tests.server.test_public_clients import VERSIONS

SCRIPTS = Path(__file__).parent / "clients"
PAGES = [Path(__file__).parents[2] / "docs" / name for name in ("hub-clients.md", "hub-clients.ko.md")]
REFERENCES = {"5.23.0": "MADANG_REFERENCE_5", "4.40.1": "MADANG_REFERENCE_4"}
pytestmark = pytest.mark.loopback


def reference(version: str) -> str:
    """The Python that has this release of transformers; the test is skipped where there is none."""
    found = os.environ.get(REFERENCES[version], "")
    if not Path(found).is_file():
        pytest.skip(f"needs {REFERENCES[version]}, a Python with transformers {version}: `make test` installs one")
    return found


def start(
    python: str, script: str, hub: HubForTests, home: Path, *arguments: str, **environment: str
) -> "subprocess.Popen[str]":
    """A script in clients/ as alice, in an environment of which the hub knows nothing else."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {
        "HF_ENDPOINT": hub.address,
        "HF_TOKEN": hub.user("alice"),
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        **environment,
    }
    command = [python, str(SCRIPTS / script), *arguments]
    pipe = subprocess.PIPE
    return subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True, env=kept | given, cwd=home.parent)


def printed(process: "subprocess.Popen[str]") -> dict[str, Any]:
    """What a script printed."""
    out, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors[-4000:]
    seen: dict[str, Any] = json.loads(out.splitlines()[-1])
    return seen


@pytest.mark.slow
@pytest.mark.parametrize("version", ["5.23.0", "4.40.1"])
def test_transformers_pushes_and_loads_models(version: str, served: HubForTests, tmp_path: Path) -> None:
    python = reference(version)
    with httpx2.Client(base_url=served.address, headers={"Authorization": f"Bearer {served.user('alice')}"}) as alice:
        for name in ("gated", "gpt2"):
            alice.post("/api/repos/create", json={"name": name}).raise_for_status()
        alice.put("/api/models/alice/gated/settings", json={"gated": "auto"}).raise_for_status()
    with served.hub.database.write() as connection:
        owner = Caller(user_named(connection, "alice"))
        add_alias(connection, owner, find(connection, owner, "model", "alice/gpt2").repository, "gpt2")
    seen = printed(start(python, "with_transformers.py", served, tmp_path / "home", served.user("bob")))
    missing, refused = "RepositoryNotFoundError", "GatedRepoError"
    requests = [seen.pop("requests of the first load"), seen.pop("requests of the second load")]
    assert seen == {
        "version": version,
        "the same model": True,
        "the same ids": True,
        "pipeline": True,
        "private": True,
        "private, by bob": ["OSError", missing, False],
        "branch": [True, True],
        "pull request": True,
        "no such branch": ["OSError", "RevisionNotFoundError", False],
        "no such model": ["OSError", missing, False],
        "gated": True,
        "gated, by bob": ["OSError", refused, True],
        "gated, by nobody": ["OSError", refused, True],
        "without an owner": [True, 9, True],
        "trained": True,
    }
    assert requests[1] <= min(requests[0], 6)


@pytest.mark.slow
def test_datasets_pushes_loads_and_streams(served: HubForTests, tmp_path: Path) -> None:
    python = reference("5.23.0")
    seen = printed(start(python, "with_datasets.py", served, tmp_path / "home", served.user("bob"), str(tmp_path)))
    greetings = ["안녕", "잘 가"]
    assert seen == {
        "version": "5.2.0",
        "configs": ["first", "second"],
        "splits": [["train", "validation"], ["test", "train"]],
        "rows": True,
        "shards": True,
        "all splits": {"train": 7, "test": 3},
        "a part": ["문장 5", "문장 6"],
        "stream": True,
        "skipped": ["문장 55", "문장 56"],
        "shuffled": True,
        "branch": [4, 20],
        "pull request": ["first", "second", "third"],
        "private": 3,
        "private, by bob": "DatasetNotFoundError",
        "private, by nobody": "DatasetNotFoundError",
        "csv": {"train": greetings, "test": greetings},
        "json": {"train": greetings, "test": greetings},
        "txt": {"train": greetings, "test": greetings},
        "parquet": ["문장 0", "문장 1"],
        "one file": greetings,
        "by address": [1, 0],
        "after a deletion": ["train"],
    }


@pytest.mark.slow
def test_two_processes_that_push_into_one_dataset_lose_nothing(served: HubForTests, tmp_path: Path) -> None:
    python, count = reference("5.23.0"), 4
    with httpx2.Client(base_url=served.address, headers={"Authorization": f"Bearer {served.user('alice')}"}) as alice:
        alice.post("/api/repos/create", json={"name": "shared", "type": "dataset"}).raise_for_status()
        started = [
            start(python, "with_datasets_at_once.py", served, tmp_path / name, name, str(count))
            for name in ("left", "right")
        ]
        assert [printed(process)["pushed"] for process in started] == [count, count]
        card = alice.get("/api/datasets/alice/shared").json()["cardData"]
        names = sorted(item["rfilename"] for item in alice.get("/api/datasets/alice/shared").json()["siblings"])
    wanted = sorted(f"{name}-{number}" for name in ("left", "right") for number in range(count))
    assert sorted(item["config_name"] for item in card["configs"]) == wanted
    assert [name.partition("/")[0] for name in names if name.endswith(".parquet")] == wanted


@pytest.mark.slow
def test_madang_itself_pushes_loads_and_trains(served: HubForTests, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed")
    environment = {"PYTHONPATH": str(SOURCE), "MADANG_PROGRESS": "0"}
    process = start(sys.executable, "with_madang.py", served, tmp_path / "home", str(tmp_path), **environment)
    assert printed(process) == {
        "the same model": True,
        "the same ids": True,
        "pipeline": ["label", "score"],
        "rows": True,
        "stream": True,
        "trained": True,
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
def test_the_page_about_clients_names_the_releases_that_are_tried(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert [version for version in (*VERSIONS, *REFERENCES, "5.2.0") if version not in text] == []
