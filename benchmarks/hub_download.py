"""How fast one large file leaves the hub, beside nginx with the same file on the same disk.

    python benchmarks/hub_download.py [--megabytes 1024] [--rounds 5]

Both are asked by curl, which throws the bytes away, in turns. The median of each is printed, and the most memory the
hub needed. The file is read once before, so that what is measured is sending, not the disk.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SERVER = """
import sys
from pathlib import Path
from madang.server.app import create_application
from madang.server.hub import Hub
from madang.server.serving import server_for
from madang.server.settings import ServerSettings
port = int(sys.argv[2])
hub = Hub(ServerSettings.for_folder(Path(sys.argv[1]), f"http://127.0.0.1:{port}"))
server_for(create_application(hub), port=port).run()
"""
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ worker_connections 64; }}
http {{
  access_log off; sendfile on; tcp_nopush on; client_body_temp_path {folder}; proxy_temp_path {folder};
  fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};
  server {{ listen 127.0.0.1:{port}; root {root}; }}
}}
"""


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@contextmanager
def running(command: list[str], url: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command)
    try:
        for _ in range(300):
            try:
                urllib.request.urlopen(urllib.request.Request(url, method="HEAD"))
                break
            except urllib.error.HTTPError:
                break  # an answer, if only that HEAD is not for this address
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit(f"nothing answers at {url}")
        yield process
    finally:
        process.terminate()
        process.wait()


def prepare(data: Path, megabytes: int) -> tuple[str, Path]:
    """A hub with one large file in a repository: the file's address and where it is on disk."""
    from fastapi.testclient import TestClient

    from madang.server.app import create_application
    from madang.server.large_files import service as large_files
    from madang.server.storage.blobs import blob_key
    from madang.testing.hub import hub_in

    hub = hub_in(data)
    block = os.urandom(1024 * 1024)
    digest = hashlib.sha256()
    for _ in range(megabytes):
        digest.update(block)
    sha256, size = digest.hexdigest(), megabytes * len(block)
    client = TestClient(create_application(hub.hub), headers={"Authorization": f"Bearer {hub.user('alice')}"})
    client.post("/api/repos/create", json={"name": "big"}).raise_for_status()
    large_files.keep(hub.hub, 1, (block for _ in range(megabytes)), sha256, size, 1)
    header = {"key": "header", "value": {"summary": "a large file"}}
    file = {"key": "lfsFile", "value": {"path": "model.safetensors", "algo": "sha256", "oid": sha256, "size": size}}
    body = json.dumps(header) + "\n" + json.dumps(file) + "\n"
    client.post("/api/models/alice/big/commit/main", content=body).raise_for_status()
    hub.hub.close()
    path = hub.hub.storage.path(blob_key(sha256))
    assert path is not None
    return "/alice/big/resolve/main/model.safetensors", path


def seconds(url: str, size: int) -> float:
    said = subprocess.run(
        ["curl", "-sf", "-o", os.devnull, "-w", "%{time_total} %{size_download}", url],
        check=True, capture_output=True, text=True,
    ).stdout.split()  # fmt: skip
    assert int(float(said[1])) == size
    return float(said[0])


def peak_memory(process: int) -> float:
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    assert found is not None
    return int(found.group(1)) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megabytes", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    nginx = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
    if nginx is None:
        raise SystemExit("nginx is not installed: apt-get install nginx-light")
    size = asked.megabytes * 1024 * 1024
    with tempfile.TemporaryDirectory(prefix="madang-download-") as temporary:
        folder = Path(temporary)
        folder.chmod(0o755)  # nginx may run as another user
        path, file = prepare(folder / "hub", asked.megabytes)
        hub_port, nginx_port = free_port(), free_port()
        configuration = folder / "nginx.conf"
        configuration.write_text(NGINX.format(folder=folder, port=nginx_port, root=file.parent), encoding="utf-8")
        os.chmod(file, 0o644)
        hub_url = f"http://127.0.0.1:{hub_port}{path}"
        nginx_url = f"http://127.0.0.1:{nginx_port}/{file.name}"
        serve = [sys.executable, "-c", SERVER, str(folder / "hub"), str(hub_port)]
        with running(serve, hub_url) as hub, running([nginx, "-c", str(configuration)], nginx_url):
            times: dict[str, list[float]] = {"hub": [], "nginx": []}
            for url in (hub_url, nginx_url):
                seconds(url, size)
            for _ in range(asked.rounds):
                times["hub"].append(seconds(hub_url, size))
                times["nginx"].append(seconds(nginx_url, size))
            memory = peak_memory(hub.pid)
    speeds = {name: size / 1e6 / statistics.median(taken) for name, taken in times.items()}
    for name, taken in times.items():
        print(f"{name:6} {speeds[name]:8.0f} MB/s  (rounds: {', '.join(f'{second:.3f} s' for second in taken)})")
    print(f"the hub reaches {speeds['hub'] / speeds['nginx']:.2f} of nginx; its peak memory: {memory:.0f} MB")


if __name__ == "__main__":
    main()
