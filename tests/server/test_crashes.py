"""A hub that is killed at any moment has lost nothing it answered for."""

import base64
import hashlib
import json
import random
import threading
import time
from pathlib import Path

import httpx2
import pytest

from madang.server.hub import Hub
from madang.server.operations.checking import check_hub
from madang.server.settings import ServerSettings
from madang.testing.hub import hub_in
from tests.server.processes import HubProcess

pytestmark = [pytest.mark.loopback, pytest.mark.slow]
UPLOADS = 200


def content_of(number: int) -> bytes:
    """Some tens of kilobytes that differ from upload to upload."""
    return random.Random(number).randbytes(20_000 + 731 * number)


def upload(client: httpx2.Client, number: int) -> None:
    """One file, by a commit that holds it or as a large file; raises unless the hub answered that it has it."""
    content = content_of(number)
    lines: list[dict[str, object]] = [{"key": "header", "value": {"summary": f"upload {number}"}}]
    if number % 2:
        text = base64.b64encode(content).decode()
        lines.append({"key": "file", "value": {"path": f"{number}.txt", "content": text, "encoding": "base64"}})
    else:
        sha256 = hashlib.sha256(content).hexdigest()
        item = {"oid": sha256, "size": len(content)}
        batch = client.post(
            "/alice/many.git/info/lfs/objects/batch",
            json={"operation": "upload", "transfers": ["basic"], "objects": [item], "hash_algo": "sha256"},
        )
        batch.raise_for_status()
        actions = batch.json()["objects"][0].get("actions", {})
        if actions:
            httpx2.put(actions["upload"]["href"], content=content, timeout=30).raise_for_status()
        lines.append({"key": "lfsFile", "value": {"path": f"{number}.txt", "algo": "sha256", **item}})
    body = "\n".join(json.dumps(line) for line in lines)
    headers = {"Content-Type": "application/x-ndjson"}
    client.post("/api/models/alice/many/commit/main", content=body, headers=headers).raise_for_status()


def test_what_was_answered_survives_being_killed_and_nothing_is_there_in_part(tmp_path: Path) -> None:
    folder = tmp_path / "hub"
    prepared = hub_in(folder)
    token = prepared.user("alice")
    prepared.hub.close()
    hub = HubProcess(folder)
    answered: set[int] = set()
    waiting = list(range(UPLOADS))
    lock = threading.Lock()
    killed = random.Random(7)
    up = threading.Event()
    up.set()

    def work() -> None:
        while True:
            with lock:
                if not waiting:
                    return
                number = waiting.pop()
            with httpx2.Client(base_url=hub.address, headers=headers, timeout=30) as client:
                try:
                    upload(client, number)
                except httpx2.HTTPError:
                    time.sleep(0.05)  # killed, or somebody else committed: this one stays unanswered
                    up.wait(60)
                    continue
            with lock:
                answered.add(number)

    headers = {"Authorization": f"Bearer {token}"}
    httpx2.post(hub.address + "/api/repos/create", json={"name": "many"}, headers=headers).raise_for_status()
    workers = [threading.Thread(target=work) for _ in range(4)]
    for worker in workers:
        worker.start()
    for _ in range(6):
        time.sleep(killed.uniform(0.1, 0.8))
        hub.kill()
        up.clear()
        hub.start()
        up.set()
    for worker in workers:
        worker.join()
    with httpx2.Client(base_url=hub.address, headers=headers, timeout=30) as client:
        there = {item["path"] for item in client.get("/api/models/alice/many/tree/main").json()}
        for number in range(UPLOADS):
            name = f"{number}.txt"
            if number in answered:
                assert name in there
            if name in there:
                assert client.get(f"/alice/many/resolve/main/{name}").content == content_of(number)
    hub.kill()
    assert len(answered) > UPLOADS // 4
    opened = Hub(ServerSettings.for_folder(folder, hub.address))
    assert list(map(str, check_hub(opened, deep=True))) == []
    opened.close()
