"""What an upload by Xet costs a hub: speed and memory of the server, and what is sent again after a change or a kill.

    python benchmarks/hub_xet_upload.py --megabytes 1024 --folder /var/tmp

The hub runs in a process of its own, on SQLite and a folder; the public client uploads a file of float32 numbers to it,
each time from a home of its own. Seconds of a processor are those the hub's threads spent, not the client's.
"""

import argparse
import json
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

MEGABYTE = 1024 * 1024
UPLOAD = """
import sys
from huggingface_hub import HfApi
HfApi().create_repo(sys.argv[1], exist_ok=True)
HfApi().upload_file(repo_id=sys.argv[1], path_or_fileobj=sys.argv[2], path_in_repo="model.safetensors")
"""


class Measured:
    """Wall time, processor time and bytes of the parts of an upload, added up."""

    def __init__(self) -> None:
        self.totals = {name: [0.0, 0.0] for name in ("receiving", "rebuilding")}
        self.received = 0
        self._lock = threading.Lock()

    def timed(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*given: Any) -> Any:
            wall, processor = time.perf_counter(), time.thread_time()
            try:
                return function(*given)
            finally:
                with self._lock:
                    self.totals[name][0] += time.perf_counter() - wall
                    self.totals[name][1] += time.thread_time() - processor

        return call

    def report(self) -> dict[str, Any]:
        used = resource.getrusage(resource.RUSAGE_SELF)
        with open("/proc/self/status", encoding="ascii") as status:
            peak = int(status.read().split("VmHWM:")[1].split()[0]) // 1024
        return {**self.totals, "received": self.received, "peak": peak, "processor": used.ru_utime + used.ru_stime}


def serve(folder: Path) -> None:
    """A hub that says its address and a token, and its figures for every line it reads."""
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.tokens import create_token
    from madang.server.accounts.users import create_user
    from madang.server.api import xet
    from madang.server.app import create_application
    from madang.server.hub import Hub as TheHub
    from madang.server.serving import server_for
    from madang.server.settings import ServerSettings

    measured = Measured()
    arriving, register, pieces = xet.ArrivingXorb, xet.register, xet.pieces

    async def counted(request: Any) -> Any:
        async for piece in pieces(request):
            measured.received += len(piece)
            yield piece

    def registered(*given: Any) -> Iterator[Any]:
        progress = register(*given)
        yield from iter(measured.timed("rebuilding", lambda: next(progress, None)), None)

    arriving.feed = measured.timed("receiving", arriving.feed)  # type: ignore[method-assign]
    arriving.keep = measured.timed("receiving", arriving.keep)  # type: ignore[method-assign]
    xet.pieces, xet.register = counted, registered
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listener.getsockname()[1]}"
        hub = TheHub(ServerSettings.for_folder(folder, address))
        server = server_for(create_application(hub))
        threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True).start()
        while not server.started:
            time.sleep(0.01)
        with hub.database.write() as connection:
            token = create_token(connection, create_user(connection, OPERATOR, "alice").id, "benchmark")
        print(json.dumps({"address": address, "token": token}), flush=True)
        for _ in sys.stdin:
            print(json.dumps(measured.report()), flush=True)


class Hub:
    """The process of the hub."""

    def __init__(self, folder: Path) -> None:
        command = [sys.executable, __file__, "--serve", str(folder)]
        self._process = subprocess.Popen(command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.where = self._line()

    def figures(self) -> dict[str, Any]:
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._line()

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        found: dict[str, Any] = json.loads(self._process.stdout.readline())
        return found


def upload(hub: Hub, home: Path, name: str, file: Path) -> "subprocess.Popen[bytes]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    where = {"HF_HOME": str(home), "HF_ENDPOINT": hub.where["address"], "HF_TOKEN": hub.where["token"]}
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-c", UPLOAD, name, str(file)]
    return subprocess.Popen(command, env={**environment, **where, **quiet})


def finished(process: "subprocess.Popen[bytes]") -> None:
    if process.wait() != 0:
        raise SystemExit("the client failed")


def measure(folder: Path, megabytes: int) -> None:
    """All uploads, one after the other; prints a line for each."""
    content = np.random.default_rng(0).normal(scale=0.02, size=megabytes * MEGABYTE // 4).astype(np.float32).view("u1")
    first, changed = folder / "first.safetensors", folder / "changed.safetensors"
    first.write_bytes(content.data)
    size = len(content)
    place = size // 3
    content[place : place + size // 100] = np.frombuffer(os.urandom(size // 100), "u1")
    changed.write_bytes(content.data)
    del content
    hub = Hub(folder / "hub")
    idle = hub.figures()
    begin = time.perf_counter()
    finished(upload(hub, folder / "home", "alice/whole", first))
    seconds = time.perf_counter() - begin
    whole = hub.figures()
    print(f"idle hub                      {idle['peak']} MB")
    print(f"whole file                    {seconds:.1f} s, {size / 1e6 / seconds:.0f} MB/s, both on this machine")
    for name in ("receiving", "rebuilding"):
        wall, processor = whole[name]
        print(f"{name:<29} {size / 1e6 / processor:.0f} MB/s of a core, {size / 1e6 / wall:.0f} MB/s of a thread")
    print(f"all of the hub                {size / 1e6 / (whole['processor'] - idle['processor']):.0f} MB/s of a core")
    print(f"peak memory of the hub        {whole['peak']} MB")
    before = whole["received"]
    for label, home in (("unchanged, same home", "home"), ("1% changed, empty home", "other")):
        finished(upload(hub, folder / home, "alice/whole", changed if home == "other" else first))
        received = hub.figures()["received"]
        print(f"sent, {label:<23} {(received - before) / size:.2%}")
        before = received
    interrupted = upload(hub, folder / "third", "alice/interrupted", changed_again(folder, size))
    while hub.figures()["received"] - before < size / 2 and interrupted.poll() is None:
        time.sleep(0.01)
    interrupted.send_signal(signal.SIGKILL)
    interrupted.wait()
    time.sleep(1)
    sent = hub.figures()["received"]
    print(f"sent before the kill          {(sent - before) / size:.2%}")
    finished(upload(hub, folder / "fourth", "alice/interrupted", changed_again(folder, size)))
    end = hub.figures()
    print(f"sent after it, empty home     {(end['received'] - sent) / size:.2%}")
    print(f"peak memory of the hub        {end['peak']} MB")
    hub.stop()


def changed_again(folder: Path, size: int) -> Path:
    """Another file of the same size, none of which the hub has."""
    path = folder / "another.safetensors"
    if not path.exists():
        path.write_bytes(np.random.default_rng(1).normal(scale=0.02, size=size // 4).astype(np.float32).data)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--folder", type=Path, help="where about four times the size fits; a temporary folder")
    parser.add_argument("--serve", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve:
        serve(asked.serve)
        return
    folder = Path(tempfile.mkdtemp(prefix="madang-xet-", dir=asked.folder))
    try:
        measure(folder, asked.megabytes)
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
