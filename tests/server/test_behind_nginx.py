"""A hub behind nginx, with the configuration that docs/hub-clients.md shows."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from madang.server.accounts import audit
from madang.testing.hub import HubForTests, hub_in
from tests.server.processes import HubProcess, free_port
from tests.server.test_public_clients import AFTER, FOLDER, run

NGINX = shutil.which("nginx", path=os.environ["PATH"] + os.pathsep + "/usr/sbin")
PAGE = Path(__file__).parents[2] / "docs" / "hub-clients.md"
pytestmark = [pytest.mark.loopback, pytest.mark.skipif(NGINX is None, reason="nginx is not installed")]

AROUND = """
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/bodies;
    proxy_temp_path {folder}/answers;
    fastcgi_temp_path {folder}/unused-1;
    uwsgi_temp_path {folder}/unused-2;
    scgi_temp_path {folder}/unused-3;
{documented}
}}
"""


def documented(port: int, hub: int) -> str:
    """The configuration of the page, at a port of this machine and without its certificate."""
    found = re.search(r"^```nginx\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert found is not None
    text = re.sub(r"^ *ssl_certificate.*\n", "", found.group(1), flags=re.MULTILINE)
    for shown, here in (("listen 443 ssl;", f"listen 127.0.0.1:{port};"), ("127.0.0.1:8000", f"127.0.0.1:{hub}")):
        assert shown in text
        text = text.replace(shown, here)
    return text


@pytest.fixture
def behind(tmp_path: Path) -> Iterator[HubForTests]:
    """A hub whose address is that of nginx; nginx works in the folder `nginx`."""
    assert NGINX is not None
    folder, port = tmp_path / "nginx", free_port()
    folder.mkdir(mode=0o777)
    address = f"http://127.0.0.1:{port}"
    prepared = hub_in(tmp_path / "hub", address)
    with HubProcess(tmp_path / "hub", MADANG_ADDRESS=address) as process:
        configuration = folder / "nginx.conf"
        configuration.write_text(
            AROUND.format(folder=folder, documented=documented(port, process.port)), encoding="utf-8"
        )
        command = [NGINX, "-c", str(configuration), "-e", str(folder / "error.log")]
        server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            wait_for(address, server, folder)
            yield prepared
        finally:
            server.terminate()
            server.wait()
            prepared.hub.close()


def wait_for(address: str, server: "subprocess.Popen[bytes]", folder: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        assert server.poll() is None, (folder / "error.log").read_text(encoding="utf-8")
        try:
            httpx2.get(address + "/api/agent-harnesses", timeout=5).raise_for_status()
        except httpx2.HTTPError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("nginx did not answer")


def kept_by_nginx(tmp_path: Path) -> list[Path]:
    """Bodies that it wrote to its disk."""
    return [path for path in (tmp_path / "nginx").rglob("*") if path.parent.name in ("bodies", "answers")]


def as_user(hub: HubForTests, name: str = "alice", transport: httpx2.HTTPTransport | None = None) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {hub.user(name)}"}
    return httpx2.Client(base_url=hub.address, headers=headers, transport=transport)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.4", "0.23"])
def test_a_client_does_all_it_can_do_through_nginx(version: str, behind: HubForTests, tmp_path: Path) -> None:
    seen = run(version, "round_trip.py", behind, tmp_path / "home", str(tmp_path), "model")
    assert seen["url"] == f"{behind.address}/alice/model-by-{seen['version']}"
    assert seen["files"] == FOLDER
    assert seen["large file is the same"] is True
    assert seen["korean file"] == "안녕하세요"
    assert seen["files of the branch"] == ["branch.txt"]
    assert seen["snapshot of the pull request"] == sorted([*AFTER, "proposed.txt"])
    assert kept_by_nginx(tmp_path) == []


def test_encoded_slashes_and_korean_arrive_as_they_were_sent(behind: HubForTests, tmp_path: Path) -> None:
    with as_user(behind) as alice:
        alice.post("/api/repos/create", json={"name": "m"}).raise_for_status()
        alice.post("/api/models/alice/m/branch/feature%2Fx", json={}).raise_for_status()
        lines = (
            '{"key":"header","value":{"summary":"one"}}\n'
            '{"key":"file","value":{"path":"한글 (1)%2F.txt","content":"YQ==","encoding":"base64"}}\n'
        )
        committed = alice.post("/api/models/alice/m/commit/feature%2Fx", content=lines.encode())
        committed.raise_for_status()
        name = "%ED%95%9C%EA%B8%80%20(1)%252F.txt"
        assert alice.get(f"/alice/m/resolve/feature%2Fx/{name}").text == "a"
        assert alice.head(f"/alice/m/resolve/main/{name}").headers["X-Error-Code"] == "EntryNotFound"
        assert alice.get("/api/models/alice/m/revision/feature/x").status_code == 404


def test_the_hub_learns_the_address_of_the_client_and_believes_nobody_else(behind: HubForTests) -> None:
    elsewhere = httpx2.HTTPTransport(local_address="127.0.0.2")
    with as_user(behind, "bob", transport=elsewhere) as bob:
        bob.post("/api/repos/create", json={"name": "m"}).raise_for_status()
        lie = {"X-Forwarded-For": "203.0.113.9"}
        bob.put("/api/models/bob/m/settings", json={"private": True}, headers=lie).raise_for_status()
    with behind.hub.database.read() as connection:
        changes = [event for event in audit.events(connection) if event.action == "repository.settings"]
    assert [event.address for event in changes] == ["127.0.0.2"]


@pytest.mark.skipif(shutil.which("git-lfs") is None, reason="git-lfs is not installed")
def test_git_pushes_and_clones_through_nginx(behind: HubForTests, tmp_path: Path) -> None:
    with as_user(behind) as alice:
        alice.post("/api/repos/create", json={"name": "m", "private": True}).raise_for_status()
    address = behind.address.replace("://", f"://alice:{behind.user('alice')}@") + "/alice/m"
    environment = {"HOME": str(tmp_path), "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}

    def git(*arguments: str, folder: Path = tmp_path) -> None:
        command = ["git", "-c", "user.name=alice", "-c", "user.email=alice@example.org", *arguments]
        given = {**environment, "PATH": os.environ["PATH"]}
        done = subprocess.run(command, cwd=folder, env=given, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr

    git("lfs", "install")
    git("clone", address, "first")
    content = {"small.txt": os.urandom(3_000_000), "large.safetensors": os.urandom(20_000_000)}
    for name, data in content.items():
        (tmp_path / "first" / name).write_bytes(data)
    git("add", ".", folder=tmp_path / "first")
    git("commit", "-qm", "two files", folder=tmp_path / "first")
    git("push", folder=tmp_path / "first")
    git("clone", address, "second")
    assert {name: (tmp_path / "second" / name).read_bytes() for name in content} == content
    assert kept_by_nginx(tmp_path) == []
