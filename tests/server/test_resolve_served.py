"""Large files through a real port: the kernel sends them, ranges and further requests fit, nobody's leaving leaks."""

import hashlib
import http.client
import os
import socket
import time
from pathlib import Path

import pytest
import sqlalchemy as sa

from madang.server.accounts.records import accounts
from madang.server.large_files import service as large_files
from madang.server.repositories.records import repositories
from madang.server.storage.blobs import blob_key
from madang.testing.hub import HubForTests

pytestmark = [
    pytest.mark.loopback,
    pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="open files are counted as Linux shows them"),
]
SIZE = 24 * 1024 * 1024 + 17  # three pieces and a bit
PATH = "/alice/big/resolve/main/model.safetensors"


@pytest.fixture
def data(served: HubForTests) -> bytes:
    """A large file, committed to alice/big."""
    import json

    content = os.urandom(1024) * (SIZE // 1024) + b"x" * (SIZE % 1024)
    token, sha256 = served.user("alice"), hashlib.sha256(content).hexdigest()
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    connection.request("POST", "/api/repos/create", json.dumps({"name": "big"}), headers)
    assert connection.getresponse().read()
    with served.hub.database.read() as reading:
        account = reading.scalar(sa.select(accounts.c.id).where(accounts.c.name == "alice"))
        repository = reading.scalar(sa.select(repositories.c.id))
    large_files.keep(served.hub, repository, [content], sha256, len(content), account)
    body = json.dumps({"key": "header", "value": {"summary": "large"}}) + "\n"
    body += json.dumps({"key": "lfsFile", "value": {"path": "model.safetensors", "algo": "sha256", "oid": sha256}})
    connection.request("POST", "/api/models/alice/big/commit/main", body, headers)
    answer = connection.getresponse()
    assert answer.status == 200, answer.read()
    answer.read()
    connection.close()
    return content


def open_handles(served: HubForTests, data: bytes) -> int:
    """How many handles this process, in which the hub runs, has on the large file."""
    path = served.hub.storage.path(blob_key(hashlib.sha256(data).hexdigest()))
    found = 0
    for handle in Path("/proc/self/fd").iterdir():
        try:
            found += os.readlink(handle) == str(path)
        except OSError:
            continue
    return found


def wait_until_closed(served: HubForTests, data: bytes) -> None:
    deadline = time.monotonic() + 10
    while open_handles(served, data):
        assert time.monotonic() < deadline, "the file is still open"
        time.sleep(0.02)


def test_files_ranges_and_further_requests_share_a_connection(served: HubForTests, data: bytes) -> None:
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
    ranges = {
        None: data,
        "bytes=0-0": data[:1],
        f"bytes={SIZE - 5}-": data[-5:],
        "bytes=8388600-16777300": data[8388600:16777301],
    }
    for asked, expected in ranges.items():
        connection.request("GET", PATH, headers={"Range": asked} if asked else {})
        answer = connection.getresponse()
        assert answer.status == (206 if asked else 200)
        assert answer.read() == expected
        connection.request("HEAD", PATH)
        assert connection.getresponse().read() == b""
        connection.request("GET", "/alice/big/resolve/main/.gitattributes")
        assert b"safetensors" in connection.getresponse().read()
    connection.close()
    wait_until_closed(served, data)


def test_the_kernel_sends_large_files(served: HubForTests, data: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[int] = []
    sendfile = os.sendfile

    def counting(out: int, file: int, offset: int, count: int) -> int:
        done = sendfile(out, file, offset, count)
        sent.append(done)
        return done

    monkeypatch.setattr(os, "sendfile", counting)
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
    connection.request("GET", PATH)
    assert connection.getresponse().read() == data
    connection.close()
    assert sum(sent) == SIZE


def test_content_that_is_lost_is_told_so(served: HubForTests, data: bytes) -> None:
    served.hub.storage.delete(blob_key(hashlib.sha256(data).hexdigest()))
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
    connection.request("GET", PATH)
    answer = connection.getresponse()
    assert answer.status == 404
    assert b"missing in the store" in answer.read()
    connection.close()


def test_who_leaves_in_the_middle_leaves_nothing_open(served: HubForTests, data: bytes) -> None:
    port = int(served.address.rpartition(":")[2])
    for _ in range(5):
        with socket.create_connection(("127.0.0.1", port)) as client:
            client.sendall(f"GET {PATH} HTTP/1.1\r\nHost: hub\r\n\r\n".encode())
            assert client.recv(1000).startswith(b"HTTP/1.1 200")
            # closing with unread bytes resets the connection, as a killed client does
    wait_until_closed(served, data)
    connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
    connection.request("HEAD", PATH)
    assert connection.getresponse().status == 200
    connection.close()


def test_who_takes_nothing_keeps_nobody_waiting(served: HubForTests, data: bytes) -> None:
    port = int(served.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)) as idle:
        idle.sendall(f"GET {PATH} HTTP/1.1\r\nHost: hub\r\n\r\n".encode())
        idle.recv(100)
        time.sleep(0.2)
        connection = http.client.HTTPConnection(served.address.removeprefix("http://"))
        connection.request("GET", PATH)
        assert connection.getresponse().read() == data
        connection.close()
        assert open_handles(served, data) == 1
    wait_until_closed(served, data)
