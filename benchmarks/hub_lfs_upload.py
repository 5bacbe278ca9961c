"""Sending a large file to a hub by Git LFS, beside `sha256sum` and `cp` of the same file on the same disk.

    python benchmarks/hub_lfs_upload.py --gigabytes 1 --rounds 5

The hub is a process of its own, on SQLite and a folder. `curl` sends the file to the address that the batch request
gives; `huggingface_hub` is `upload_file` of that package without Xet, hashing and commit included. Every round begins
with an empty hub.
"""

import argparse
import json
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

# not by madang.testing, which loads torch for its models: the memory of this process is measured
HUB = """
import sys
from pathlib import Path
from madang.server.accounts.records import accounts
from madang.server.accounts.tokens import create_token
from madang.server.app import create_application
from madang.server.clock import now
from madang.server.database import insert
from madang.server.hub import Hub
from madang.server.serving import server_for
from madang.server.settings import ServerSettings
folder, port = Path(sys.argv[1]), int(sys.argv[2])
hub = Hub(ServerSettings.for_folder(folder, f"http://127.0.0.1:{port}"))
with hub.database.write() as connection:
    alice = insert(connection, accounts, kind="user", name="alice", key="alice", created_at=now())
    print(create_token(connection, alice, "benchmark"), flush=True)
server_for(create_application(hub), port=port).run()
"""
CLIENT = """
import sys
from huggingface_hub import HfApi
HfApi().upload_file(path_or_fileobj=sys.argv[1], path_in_repo="model.bin", repo_id="alice/big")
"""


@contextmanager
def hub(folder: Path) -> Iterator[tuple[str, str, int]]:
    """Address, token and process id of a hub with the repository alice/big."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen([sys.executable, "-c", HUB, str(folder), str(port)], stdout=subprocess.PIPE, text=True)
    try:
        address, token = f"http://127.0.0.1:{port}", process.stdout.readline().strip()
        while True:
            try:
                post(f"{address}/api/repos/create", token, {"name": "big"})
                break
            except OSError:
                if process.poll() is not None:
                    sys.exit("the hub did not start")
                time.sleep(0.1)
        yield address, token, process.pid
    finally:
        process.terminate()
        process.wait()


def post(address: str, token: str, body: object) -> dict:
    request = urllib.request.Request(address, json.dumps(body).encode(), {"Authorization": f"Bearer {token}"})
    request.add_header("Content-Type", "application/json")
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def by_hand(file: Path, folder: Path) -> float:
    """`sha256sum` and `cp`."""
    copy = folder / "copy"
    took = seconds(lambda: subprocess.run(["sha256sum", file], check=True, stdout=subprocess.DEVNULL))
    took += seconds(lambda: subprocess.run(["cp", file, copy], check=True))
    copy.unlink()
    return took


def by_curl(file: Path, sha256: str, address: str, token: str) -> float:
    def work() -> None:
        item = {"oid": sha256, "size": file.stat().st_size}
        asked = {"operation": "upload", "transfers": ["basic"], "objects": [item]}
        answer = post(f"{address}/alice/big.git/info/lfs/objects/batch", token, asked)
        href = answer["objects"][0]["actions"]["upload"]["href"]
        subprocess.run(["curl", "-sSf", "-T", file, "-o", os.devnull, href], check=True)

    return seconds(work)


def by_client(file: Path, address: str, token: str, home: Path) -> float:
    environment = {
        **os.environ,
        **{"HF_ENDPOINT": address, "HF_TOKEN": token, "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home)},
        **{"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1"},
    }
    return seconds(lambda: subprocess.run([sys.executable, "-c", CLIENT, file], env=environment, check=True))


def peak_memory(process: int) -> float:
    """MiB that a process had at most."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return int(re.search(r"VmHWM:\s+(\d+)", status).group(1)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", type=Path, help="on the disk to be measured; a temporary one otherwise")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as temporary:
        folder = Path(temporary)
        file = folder / "file"
        with open(file, "wb") as out:
            for _ in range(int(asked.gigabytes * 1000)):
                out.write(os.urandom(1_000_000))
        sha256 = subprocess.check_output(["sha256sum", file], text=True).split()[0]
        times: dict[str, list[float]] = {"sha256sum + cp": [], "curl": [], "huggingface_hub": []}
        memory = []
        for number in range(asked.rounds):
            os.sync()
            times["sha256sum + cp"].append(by_hand(file, folder))
            for name in ("curl", "huggingface_hub"):
                os.sync()
                with tempfile.TemporaryDirectory(dir=folder) as data, hub(Path(data)) as (address, token, process):
                    if name == "curl":
                        times[name].append(by_curl(file, sha256, address, token))
                    else:
                        times[name].append(by_client(file, address, token, Path(data) / "home"))
                    memory.append(peak_memory(process))
            print(f"round {number + 1}:", "  ".join(f"{name} {some[-1]:.2f} s" for name, some in times.items()))
        standard = statistics.median(times["sha256sum + cp"])
        for name, some in times.items():
            median = statistics.median(some)
            print(f"{name:16} median {median:6.2f} s ({min(some):.2f} to {max(some):.2f})  {median / standard:5.2f} x")
        print(f"the hub had at most {max(memory):.0f} MiB")


if __name__ == "__main__":
    main()
