"""How long one commit of many small files takes the hub, beside `git add` and `git commit` of the same files.

    python benchmarks/hub_commit.py [--files 1000] [--rounds 5]

The hub runs in a process of its own and gets the commit over HTTP, as clients send it. Both take turns, each round in a
new repository. The most memory the hub needed is printed, too.
"""

import argparse
import base64
import http.client
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from hub_download import SERVER, free_port, peak_memory, running


def contents(count: int, seed: int) -> dict[str, bytes]:
    """Small files in folders of a hundred; no two rounds have one in common."""
    draw = random.Random(seed)
    return {
        f"data/{number // 100:03d}/{number:05d}.json": json.dumps({"text": draw.randbytes(700).hex()}).encode()
        for number in range(count)
    }


def by_git(folder: Path, files: dict[str, bytes]) -> float:
    """Seconds of `git add` and `git commit`; the files are there before the clock runs."""
    subprocess.run(["git", "init", "-q", str(folder)], check=True)
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    start = time.perf_counter()
    subprocess.run([*git, "add", "-A"], check=True)
    subprocess.run([*git, "commit", "-q", "-m", "files"], check=True)
    return time.perf_counter() - start


def by_hub(port: int, token: str, name: str, files: dict[str, bytes]) -> float:
    """Seconds from the first byte of the commit to its answer."""
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("POST", "/api/repos/create", json.dumps({"name": name}), headers)
    assert connection.getresponse().read()
    lines = [{"key": "header", "value": {"summary": "files", "description": ""}}]
    for path, content in files.items():
        value = {"content": base64.b64encode(content).decode(), "path": path, "encoding": "base64"}
        lines.append({"key": "file", "value": value})
    body = "".join(json.dumps(line) + "\n" for line in lines).encode()
    start = time.perf_counter()
    connection.request("POST", f"/api/models/alice/{name}/commit/main", body, headers)
    answer = connection.getresponse()
    said = answer.read()
    took = time.perf_counter() - start
    assert answer.status == 200, said
    connection.close()
    return took


def main() -> None:
    from madang.testing.hub import hub_in

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="madang-commit-") as temporary:
        folder, port = Path(temporary), free_port()
        hub = hub_in(folder / "hub")
        token = hub.user("alice")
        hub.hub.close()
        serve = [sys.executable, "-c", SERVER, str(folder / "hub"), str(port)]
        with running(serve, f"http://127.0.0.1:{port}/api/agent-harnesses") as process:
            times: dict[str, list[float]] = {"git": [], "hub": []}
            for number in range(asked.rounds + 1):
                files = contents(asked.files, number)
                git, ours = by_git(folder / f"git-{number}", files), by_hub(port, token, f"files-{number}", files)
                if number:  # the first round warms up
                    times["git"].append(git)
                    times["hub"].append(ours)
            memory = peak_memory(process.pid)
    middle = {name: statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name:4} {middle[name]:7.3f} s  (rounds: {', '.join(f'{second:.3f}' for second in taken)})")
    print(
        f"{asked.files} files: the hub takes {middle['hub'] / middle['git']:.1f} times as long as git; "
        f"its peak memory: {memory:.0f} MB; {os.cpu_count()} cores"
    )


if __name__ == "__main__":
    main()
