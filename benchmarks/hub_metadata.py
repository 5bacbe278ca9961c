"""How quickly the hub answers what clients ask most, with 50 of them asking at once.

    python benchmarks/hub_metadata.py [--clients 50] [--requests 4000]

Each call's 99th percentile is compared with the median of an empty route of the same framework (FastAPI behind the same
server), asked in the same way in the same run. The clients are one process that writes requests to open connections.
"""

import argparse
import asyncio
import multiprocessing
import socket
import statistics
import tempfile
import time
from pathlib import Path

from fastapi import FastAPI

from madang.server.app import create_application
from madang.server.serving import server_for
from madang.testing.hub import hub_in


def serve_empty(listener: socket.socket) -> None:
    """One route that does nothing."""
    app = FastAPI()

    @app.get("/empty")
    def empty() -> dict[str, str]:
        return {}

    server_for(app).run(sockets=[listener])


def serve_hub(listener: socket.socket, folder: Path) -> None:
    """The hub, with a repository of 200 files."""
    hub = hub_in(folder, f"http://127.0.0.1:{listener.getsockname()[1]}")
    server_for(create_application(hub.hub)).run(sockets=[listener])


async def ask(port: int, request: bytes, clients: int, requests: int) -> list[float]:
    """Seconds that each of `requests` requests took, sent by `clients` connections at once."""
    taken: list[float] = []
    left = requests

    async def client() -> None:
        nonlocal left
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while left > 0:
            left -= 1
            begun = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(head.decode())
            if not request.startswith(b"HEAD"):
                length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
                await reader.readexactly(int(length.partition(b":")[2]))
            taken.append(time.perf_counter() - begun)
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)))
    return taken


def listening() -> socket.socket:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(256)
    return listener


def fill(folder: Path) -> str:
    """A hub with one repository of 200 files; returns a token."""
    from fastapi.testclient import TestClient

    hub = hub_in(folder)
    token = hub.user("alice")
    with TestClient(create_application(hub.hub), headers={"Authorization": f"Bearer {token}"}) as client:
        client.post("/api/repos/create", json={"name": "bert"}).raise_for_status()
        lines = ['{"key":"header","value":{"summary":"files"}}'] + [
            f'{{"key":"file","value":{{"path":"folder/{number}.json","content":"e30=","encoding":"base64"}}}}'
            for number in range(200)
        ]
        headers = {"Content-Type": "application/x-ndjson"}
        client.post("/api/models/alice/bert/commit/main", content="\n".join(lines), headers=headers).raise_for_status()
    hub.hub.close()
    return token


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        token = fill(Path(folder))
        sockets = [listening(), listening()]
        fork = multiprocessing.get_context("fork")
        servers = [
            fork.Process(target=serve_empty, args=(sockets[0],), daemon=True),
            fork.Process(target=serve_hub, args=(sockets[1], Path(folder)), daemon=True),
        ]
        for server in servers:
            server.start()
        empty, hub = (listener.getsockname()[1] for listener in sockets)
        calls = {
            "an empty route": (empty, "GET /empty"),
            "model info": (hub, "GET /api/models/alice/bert"),
            "tree (200 files)": (hub, "GET /api/models/alice/bert/tree/main/folder"),
            "HEAD resolve": (hub, "HEAD /alice/bert/resolve/main/folder/7.json"),
        }
        seen: dict[str, list[list[float]]] = {name: [] for name in calls}
        for number in range(arguments.rounds + 1):
            for name, (port, line) in calls.items():
                head = f"{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 0\r\n\r\n"
                taken = asyncio.run(ask(port, head.encode(), arguments.clients, arguments.requests))
                if number:  # the first round warms everything up
                    seen[name].append(sorted(taken))
        for server in servers:
            server.terminate()
    base = statistics.median(statistics.median(taken) for taken in seen["an empty route"])
    print(f"{arguments.clients} clients at once, {arguments.requests} requests, median of {arguments.rounds} rounds")
    for name, rounds in seen.items():
        middle = statistics.median(statistics.median(taken) for taken in rounds)
        slow = statistics.median(taken[int(len(taken) * 0.99)] for taken in rounds)
        print(f"{name:18} p50 {middle * 1e3:6.1f} ms   p99 {slow * 1e3:6.1f} ms = {slow / base:5.1f} x the empty p50")


if __name__ == "__main__":
    main()
