"""`madang serve`."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx2
import pytest

pytest.importorskip("uvicorn", reason="the server's packages are not installed: pip install 'madang[server]'")

from madang.cli.main import main

PASSWORD = "correct horse battery"


class Served:
    """A hub in a process of its own, and the lines it has said."""

    def __init__(self, *options: str, **environment: str) -> None:
        self.began = time.monotonic()
        command = [sys.executable, "-c", "import sys; from madang.cli.main import main; sys.exit(main())", "serve"]
        self.process = subprocess.Popen(
            [*command, *options],
            env={**os.environ, **environment},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        self.said: list[str] = []
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip("\n"))
            if line.startswith("Stop it"):
                break

    @property
    def address(self) -> str:
        return self.said[0].removeprefix("Madang hub: ").split()[0]

    @property
    def link(self) -> str | None:
        return next((line.split()[-1] for line in self.said if "administrator" in line), None)

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        self.process.communicate(timeout=30)
        return self.process.returncode


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    started = []

    def start(*options: str, **environment: str) -> Served:
        started.append(Served("--data", str(tmp_path / "hub"), "--port", "0", *options, **environment))
        return started[-1]

    yield start
    for served in started:
        served.process.kill()
        served.process.communicate()


@pytest.mark.loopback
def test_the_first_administrator_comes_in_by_the_printed_link(serve: Callable[..., Served]) -> None:
    served = serve()
    assert served.address.startswith("http://127.0.0.1:")
    assert served.link is not None
    assert served.link.startswith(f"{served.address}/join/")
    headers = {"Origin": served.address}
    with httpx2.Client(base_url=served.address, headers=headers, follow_redirects=True) as browser:
        assert browser.get(served.link).status_code == 200
        form = {"name": "root", "password": PASSWORD}
        assert browser.post(served.link, data=form).status_code == 200
        assert browser.get("/api/audit").status_code == 200
    assert httpx2.post(served.link, data={**form, "name": "eve"}, headers=headers).status_code == 404
    assert served.stop() == 0
    assert serve().link is None


@pytest.mark.loopback
def test_a_hub_is_ready_within_seconds(serve: Callable[..., Served]) -> None:
    served = serve()
    assert httpx2.get(f"{served.address}/api/agent-harnesses").status_code == 200
    # a second or two on an idle machine; others may be busy on this one
    assert time.monotonic() - served.began < 30


@pytest.mark.loopback
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_hub_stops_when_it_is_told_to(how: signal.Signals, serve: Callable[..., Served]) -> None:
    served = serve()
    assert httpx2.get(f"{served.address}/api/agent-harnesses").status_code == 200
    assert served.stop(how) == 0
    with pytest.raises(httpx2.ConnectError):
        httpx2.get(served.address)


@pytest.mark.loopback
def test_the_environment_says_what_options_do_not(serve: Callable[..., Served]) -> None:
    served = serve(MADANG_ADDRESS="https://hub.example.org/", MADANG_SIGN_UP="open", MADANG_RATE_LIMIT="50")
    assert served.address == "https://hub.example.org"
    here = re.search(r"listening at (\S+)\)", served.said[0])
    assert here
    answer = httpx2.get(f"{here[1]}/api/users/nobody/overview")
    assert "q=50;" in answer.headers["ratelimit-policy"]
    assert httpx2.get(f"{here[1]}/join").status_code == 200


@pytest.mark.loopback
def test_later_commands_know_the_address(serve: Callable[..., Served], tmp_path: Path, capsys) -> None:
    served = serve()
    assert main(["hub", "user", "add", "alice", "--data", str(tmp_path / "hub")]) == 0
    link = capsys.readouterr().out.split()[-1]
    assert link.startswith(f"{served.address}/login/once/")
    answer = httpx2.post(link, data={}, headers={"Origin": served.address})
    assert (answer.status_code, answer.headers["location"]) == (303, "/settings/password")


@pytest.mark.loopback
def test_listening_everywhere_says_what_is_missing(serve: Callable[..., Served]) -> None:
    served = serve("--host", "0.0.0.0")
    assert served.address.startswith("http://127.0.0.1:")
    assert any("--address http://NAME:PORT" in line for line in served.said)


@pytest.mark.loopback
def test_a_taken_port_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        assert main(["serve", "--data", str(tmp_path / "hub"), "--port", port]) == 1
    said = capsys.readouterr().err
    assert f"cannot listen at port {port} of 127.0.0.1: Address already in use" in said
    assert said.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.loopback
def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert main(["serve", "--data", str(tmp_path / "file" / "hub"), "--port", "0"]) == 1
    said = capsys.readouterr().err
    assert "the hub cannot live in" in said
    assert said.count("\n") == 1


@pytest.mark.loopback
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--port", "99999"], "the highest is 65535"),
        (["--port", "x"], "the port must be a whole number"),
        (["--host", "no such host"], "no place to listen"),
        (["--port", "0", "--rate-limit", "-1"], "the rate limit must be"),
        (["--port", "0", "--address", "hub.example.org"], "no address of a hub"),
        (["--port", "0", "--address", "https://hub.example.org/path"], "without a path"),
        (["--port", "0", "--database-url", "nonsense"], "database of the hub cannot be opened"),
    ],
)
def test_what_cannot_be_is_one_line(options: list[str], said: str, tmp_path: Path, capsys, monkeypatch) -> None:
    if "host" in said or "listen" in said:
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: (_ for _ in ()).throw(socket.gaierror()))
    assert main(["serve", "--data", str(tmp_path / "hub"), *options]) == 1
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1


def test_an_unknown_way_to_sign_up_is_told(tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("MADANG_SIGN_UP", "maybe")
    monkeypatch.setattr("madang.cli.serve.listener", lambda host, port: socket.socket())
    monkeypatch.setattr(socket.socket, "getsockname", lambda self: ("127.0.0.1", 1))
    assert main(["serve", "--data", str(tmp_path / "hub")]) == 1
    assert "open, invite, closed" in capsys.readouterr().err
