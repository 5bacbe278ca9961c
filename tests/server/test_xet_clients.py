"""Uploads by Xet with the public client, in processes of its own with an empty home each."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("hf_xet", reason="the public client's package hf_xet is not installed")

from madang.server.api import xet
from madang.server.large_files.xet.collecting import collect_xorbs
from madang.testing.hub import HubForTests

pytestmark = [pytest.mark.loopback, pytest.mark.slow]
MEGABYTE = 1024 * 1024
UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo(sys.argv[1], exist_ok=True)
HfApi().upload_folder(repo_id=sys.argv[1], folder_path=sys.argv[2])
"""
DOWNLOAD = """
import sys
from huggingface_hub import snapshot_download
print(snapshot_download(sys.argv[1]))
"""


class Client:
    """The public client, with a home of its own."""

    def __init__(self, hub: HubForTests, home: Path, user: str) -> None:
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("HF_")},
            **{"HF_HOME": str(home), "HF_ENDPOINT": hub.address, "HF_TOKEN": hub.user(user)},
            **{"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
        }

    def start(self, code: str, *arguments: object) -> "subprocess.Popen[str]":
        command = [sys.executable, "-c", code, *map(str, arguments)]
        return subprocess.Popen(
            command, env=self.environment, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def run(self, code: str, *arguments: object) -> str:
        process = self.start(code, *arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == 0, err[-3000:]
        return out.strip()

    def download(self, name: str) -> dict[str, bytes]:
        folder = Path(self.run(DOWNLOAD, name))
        return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def received(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many bytes came to the chunk store: one number for each piece."""
    counted: list[int] = []
    pieces = xet.pieces

    async def counting(request: object) -> object:
        async for piece in pieces(request):  # type: ignore[arg-type]
            counted.append(len(piece))
            yield piece

    monkeypatch.setattr(xet, "pieces", counting)
    return counted


def floats(megabytes: int, seed: int = 0) -> bytes:
    numbers = np.random.default_rng(seed).normal(size=megabytes * MEGABYTE // 4).astype(np.float32)
    return numbers.tobytes()


def folder_with(path: Path, **files: bytes) -> Path:
    path.mkdir()
    for name, content in files.items():
        (path / f"{name}.bin").write_bytes(content)
    return path


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_files_of_every_kind_come_back_as_they_went_in(served: HubForTests, tmp_path: Path) -> None:
    text = "".join(f"{number}: 가나다 line of a text\n" for number in range(500_000)).encode()
    sent = folder_with(
        tmp_path / "sent",
        floats=floats(40),
        random=np.random.default_rng(1).bytes(30 * MEGABYTE + 7),
        text=text,
        zeros=bytes(20 * MEGABYTE),
        twice=floats(40)[: 15 * MEGABYTE],
        small=b"small and binary \0\1\2",
        halves=floats(12, seed=2)[::2],
    )
    Client(served, tmp_path / "home", "alice").run(UPLOAD, "alice/m", sent)
    found = Client(served, tmp_path / "other", "bob").download("alice/m")
    assert {name: found[name] for name in contents(sent)} == contents(sent)
    # everything is kept as files only
    assert [key for key, _, _ in served.hub.storage.keys("xet/")] == []
    assert collect_xorbs(served.hub) == 0


def test_a_small_change_sends_little_also_from_an_empty_home(
    served: HubForTests, tmp_path: Path, received: list[int]
) -> None:
    content = bytearray(floats(100))
    Client(served, tmp_path / "home", "alice").run(UPLOAD, "alice/m", folder_with(tmp_path / "1", model=bytes(content)))
    for number, home in ((2, "home"), (3, "empty")):
        content[20 * MEGABYTE * number : 20 * MEGABYTE * number + MEGABYTE] = os.urandom(MEGABYTE)
        received.clear()
        sent = folder_with(tmp_path / str(number), model=bytes(content))
        Client(served, tmp_path / home, "alice").run(UPLOAD, "alice/m", sent)
        assert MEGABYTE <= sum(received) < 0.05 * len(content)


def test_a_colleague_is_told_of_what_is_in_the_repository(
    served: HubForTests, tmp_path: Path, received: list[int]
) -> None:
    content = bytearray(floats(64))
    alice, bob = (Client(served, tmp_path / name, name) for name in ("alice", "bob"))
    served.organisation("lab", alice="admin", bob="write")
    alice.run(UPLOAD, "lab/m", folder_with(tmp_path / "1", model=bytes(content)))
    content[40 * MEGABYTE : 41 * MEGABYTE] = os.urandom(MEGABYTE)
    received.clear()
    bob.run(UPLOAD, "lab/m", folder_with(tmp_path / "2", model=bytes(content)))
    assert MEGABYTE <= sum(received) < 0.05 * len(content)
    assert alice.download("lab/m")["model.bin"] == bytes(content)


def kept(hub: HubForTests) -> int:
    """The bytes of an upload under way that have arrived as a whole; what is half sent is lost with the client."""
    with contextlib.suppress(FileNotFoundError):  # moved while it was looked at
        return sum(size for _, size, _ in hub.hub.storage.keys("xet/"))
    return 0


@pytest.mark.parametrize("home_after", ["home", "empty"])
def test_an_interrupted_upload_sends_the_rest_only(
    served: HubForTests, tmp_path: Path, received: list[int], home_after: str
) -> None:
    sent = folder_with(tmp_path / "sent", model=floats(256))
    interrupted = Client(served, tmp_path / "home", "alice").start(UPLOAD, "alice/m", sent)
    deadline = time.monotonic() + 120
    while kept(served) < 128 * MEGABYTE and interrupted.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    interrupted.send_signal(signal.SIGKILL)
    interrupted.communicate()
    assert interrupted.returncode == -signal.SIGKILL, "the upload was over before it could be interrupted"
    received.clear()
    Client(served, tmp_path / home_after, "alice").run(UPLOAD, "alice/m", sent)
    assert sum(received) < 0.65 * 256 * MEGABYTE
    assert Client(served, tmp_path / "check", "alice").download("alice/m")["model.bin"] == floats(256)


def test_the_same_files_sent_by_two_at_once_are_kept_once(served: HubForTests, tmp_path: Path) -> None:
    sent = folder_with(tmp_path / "sent", one=floats(40), two=floats(12, seed=1))
    alice, bob = (Client(served, tmp_path / name, name) for name in ("alice", "bob"))
    running = [alice.start(UPLOAD, "alice/m", sent), bob.start(UPLOAD, "bob/m", sent)]
    for process in running:
        _, errors = process.communicate(timeout=240)
        assert process.returncode == 0, errors[-3000:]
    assert len(list(served.hub.storage.keys(""))) == 2
    assert bob.download("alice/m")["one.bin"] == alice.download("bob/m")["one.bin"] == floats(40)


def test_after_the_hub_forgot_what_the_client_remembers_the_next_attempt_succeeds(
    served: HubForTests, tmp_path: Path
) -> None:
    sent = folder_with(tmp_path / "sent", model=floats(20))
    client = Client(served, tmp_path / "home", "alice")
    client.run(UPLOAD, "alice/m", sent)
    for key, _, _ in list(served.hub.storage.keys()):
        served.hub.storage.delete(key)
    (sent / "other.bin").write_bytes(floats(20)[: 15 * MEGABYTE])
    first = client.start(UPLOAD, "alice/other", sent)
    first.communicate(timeout=240)
    assert first.returncode != 0
    client.run(UPLOAD, "alice/other", sent)
    assert json.dumps(sorted(client.download("alice/other"))) == '[".gitattributes", "model.bin", "other.bin"]'
