"""Who you are on a hub."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from madang.client import login, whoami
from madang.errors import HubError, InputError
from tests.stand_in_hub import StandInHub

loopback = pytest.mark.loopback
SOURCE = Path(__file__).parents[3] / "src"

SESSION = """
from madang import login
from madang.client import logout, whoami
from madang.errors import HubError, InputError
try:
    login(token="hf_wrong")
except HubError as error:
    print(error)
try:
    login(token="api_org_x")
except InputError as error:
    print(error)
login(token="hf_alice")
print(whoami()["name"], whoami("hf_bob")["name"])
logout()
try:
    whoami()
except HubError as error:
    print(error)
"""


@loopback
def test_log_in_ask_and_log_out(hub: StandInHub, tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", SESSION],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wrong, organisation, names, nobody = done.stdout.splitlines()
    assert wrong.startswith(f"{hub.address} does not know who you are")
    assert organisation.startswith("nobody can log in with this token: ")
    assert names == "alice bob"
    assert "nobody is logged in" in nobody
    assert not (tmp_path / "token").exists()


@loopback
def test_whoami_refuses_an_unknown_token(hub: StandInHub) -> None:
    assert whoami("hf_alice")["name"] == "alice"
    with pytest.raises(HubError, match=f"{hub.address} does not know who you are"):
        whoami("hf_wrong")


def test_a_hub_named_too_late_for_logging_in_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub  # noqa: F401  - it has read HF_ENDPOINT now

    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match="Set it before starting Python"):
        login(token="hf_alice")


def test_importing_the_client_leaves_the_hub_package_alone() -> None:
    code = "import sys, madang.client; print('huggingface_hub' in sys.modules)"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, check=True)
    assert done.stdout.strip() == "False"
