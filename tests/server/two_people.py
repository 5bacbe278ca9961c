"""Running a script of the public client for two people, alice and bob."""

import os
import subprocess
import sys
from pathlib import Path

from madang.testing.hub import HubForTests

SCRIPTS = Path(__file__).parent / "clients"


def run_client(script: str, hub: HubForTests, folder: Path) -> None:
    """Run a script in clients/, which asserts what it sees, in a process of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "PYTHON", "MADANG_"))}
    given = {
        "HF_ENDPOINT": hub.address,
        "HF_HOME": str(folder / "home"),
        "HF_HUB_DISABLE_UPDATE_CHECK": "1",
        "ALICE": hub.user("alice"),
        "BOB": hub.user("bob"),
    }
    command = [sys.executable, str(SCRIPTS / script)]
    done = subprocess.run(command, env=kept | given, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "all done"), done.stderr[-3000:]
