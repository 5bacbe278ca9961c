"""On a machine without any network a hub starts, takes files and gives them back, and asks nobody for anything."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.server.processes import SOURCE
from tests.server.test_public_clients import AFTER, FOLDER

SCRIPT = Path(__file__).parent / "clients" / "in_isolation.py"
# a network of its own in which there is loopback only; --map-root-user lets users other than root make one too
ISOLATED = ["unshare", "--map-root-user", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]


def isolation_works() -> bool:
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*ISOLATED, "true"], capture_output=True).returncode == 0


@pytest.mark.loopback
@pytest.mark.slow
@pytest.mark.skipif(
    not isolation_works(), reason="needs `unshare` and `ip`, and a kernel that gives network namespaces"
)
def test_a_hub_without_a_network_works_and_asks_nobody(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {**kept, "PYTHONPATH": str(SOURCE), "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    command = [*ISOLATED, sys.executable, str(SCRIPT), str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, env=given, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    seen = json.loads(done.stdout.splitlines()[-1])
    assert seen["seconds"] < 60
    assert seen["round trip"]["files"] == FOLDER
    assert seen["round trip"]["snapshot of the pull request"] == sorted([*AFTER, "proposed.txt"])
    # the address it listens at is "looked up"; nothing else is, and it connects to nobody
    assert [line for line in seen["watched"] if line != "socket.getaddrinfo 127.0.0.1"] == []
    assert len(seen["watched"]) == 1
