"""Downloading files: headers, ranges, names of revisions, who may, and what browsers are told."""

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.accounts.caller import Account
from madang.server.accounts.records import accounts
from madang.server.app import create_application
from madang.server.database import insert
from madang.server.git.commits import NewFile
from madang.server.git.objects import BLOB, Entry, GitObject
from madang.server.git.pointers import Pointer
from madang.server.git.refs import MAIN, move_ref
from madang.server.git.store import Objects
from madang.server.large_files import service as large_files
from madang.server.repositories import service
from madang.server.repositories.records import access_requests, downloads, redirects, repositories
from madang.server.repositories.repository import COLUMNS, Repository, from_row
from madang.server.sending import disposition
from madang.server.storage.blobs import blob_key
from madang.testing.hub import HubForTests, hub_in

Clients = Callable[..., TestClient]
LARGE = bytes(range(256)) * 8000  # 2 MB
SHA256 = hashlib.sha256(LARGE).hexdigest()
TEXT = "안녕하세요\n".encode()


def repository_of(hub: HubForTests, name: str = "alice/bert") -> Repository:
    with hub.hub.database.read() as connection:
        return from_row(connection.execute(sa.select(*COLUMNS).where(repositories.c.name == name)).one())


def author(hub: HubForTests) -> Account:
    with hub.hub.database.read() as connection:
        row = connection.execute(sa.select(accounts).where(accounts.c.name == "alice")).mappings().one()
    return Account(**{key: row[key] for key in Account.__dataclass_fields__})


def put(hub: HubForTests, path: str, content: bytes, ref: str = MAIN) -> str:
    """A commit without HTTP; contents over a kilobyte are large files."""
    repository, who = repository_of(hub), author(hub)
    if len(content) > 1024:
        sha256 = hashlib.sha256(content).hexdigest()
        large_files.keep(hub.hub, repository.id, [content], sha256, len(content), who.id)
        content = Pointer(sha256, len(content)).encode()
    with hub.hub.database.write() as connection:
        return service.change_files(connection, repository, ref, {path: NewFile(content)}, author=who, message="put")


@pytest.fixture
def alice(client: Clients, hub: HubForTests) -> TestClient:
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    put(hub, "data/안녕 (1).txt", TEXT)
    put(hub, "model.safetensors", LARGE)
    return made


SMALL_URL, LARGE_URL = "/alice/bert/resolve/main/data/안녕 (1).txt", "/alice/bert/resolve/main/model.safetensors"


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_regular_file_has_the_headers_clients_need(alice: TestClient, method: str) -> None:
    answer = alice.request(method, SMALL_URL, headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert answer.headers["x-repo-commit"] == alice.get("/api/models/alice/bert").json()["sha"]
    assert answer.headers["etag"] == f'"{GitObject.of(BLOB, TEXT).oid}"'
    assert answer.headers["content-length"] == str(len(TEXT))
    assert answer.headers["accept-ranges"] == "bytes"
    assert "content-encoding" not in answer.headers
    assert "x-linked-etag" not in answer.headers
    assert answer.content == (TEXT if method == "GET" else b"")


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_large_file_is_known_by_its_sha256_and_size(alice: TestClient, method: str) -> None:
    answer = alice.request(method, LARGE_URL)
    assert answer.status_code == 200
    assert answer.headers["etag"] == answer.headers["x-linked-etag"] == f'"{SHA256}"'
    assert answer.headers["x-linked-size"] == answer.headers["content-length"] == str(len(LARGE))
    assert answer.content == (LARGE if method == "GET" else b"")


def test_raw_is_what_git_has(alice: TestClient) -> None:
    answer = alice.get("/alice/bert/raw/main/model.safetensors")
    assert answer.content == Pointer(SHA256, len(LARGE)).encode()
    assert answer.headers["content-type"].startswith("text/plain")
    assert alice.get("/alice/bert/raw/main/data/안녕 (1).txt").content == TEXT


@pytest.mark.parametrize("url", [SMALL_URL, LARGE_URL])
@pytest.mark.parametrize(
    ("asked", "part"),
    [
        ("bytes=0-0", slice(0, 1)),
        ("bytes=3-9", slice(3, 10)),
        ("bytes=5-", slice(5, None)),
        ("bytes=-4", slice(-4, None)),
        ("bytes=-99999999", slice(0, None)),
        ("bytes=3-99999999", slice(3, None)),
    ],
)
def test_a_range_gives_that_part(alice: TestClient, url: str, asked: str, part: slice) -> None:
    whole = LARGE if url == LARGE_URL else TEXT
    answer = alice.get(url, headers={"Range": asked})
    start, end, _ = part.indices(len(whole))
    assert (answer.status_code, answer.content) == (206, whole[part])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{len(whole)}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-99999999999", "bytes=-0"])
def test_a_range_past_the_end_is_refused(alice: TestClient, asked: str) -> None:
    answer = alice.get(LARGE_URL, headers={"Range": asked})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{len(LARGE)}"


@pytest.mark.parametrize("asked", ["bytes=9-3", "bytes=-", "lines=1-2", "bytes=0-1,5-6", "bytes=a-b", "bytes=²-"])
def test_what_is_no_single_range_gives_everything(alice: TestClient, asked: str) -> None:
    answer = alice.get(SMALL_URL, headers={"Range": asked.encode()})
    assert (answer.status_code, answer.content) == (200, TEXT)


def test_a_range_of_another_content_gives_everything(alice: TestClient) -> None:
    same = {"Range": "bytes=0-1", "If-Range": f'"{SHA256}"'}
    assert alice.get(LARGE_URL, headers=same).status_code == 206
    assert alice.get(LARGE_URL, headers={**same, "If-Range": '"other"'}).status_code == 200


@pytest.mark.parametrize(
    ("listed", "status"), [('"{}"', 304), ('W/"{}"', 304), ('"a", "{}"', 304), ("*", 304), ('"a"', 200)]
)
def test_what_has_not_changed_is_not_sent_again(alice: TestClient, listed: str, status: int) -> None:
    answer = alice.get(LARGE_URL, headers={"If-None-Match": listed.format(SHA256)})
    assert answer.status_code == status
    assert (answer.content == b"") == (status == 304)
    assert answer.headers["x-repo-commit"]


def test_an_empty_file_is_sent_and_has_no_range(hub: HubForTests, alice: TestClient) -> None:
    put(hub, "empty", b"")
    assert alice.get("/alice/bert/resolve/main/empty").headers["content-length"] == "0"
    assert alice.get("/alice/bert/resolve/main/empty", headers={"Range": "bytes=0-"}).status_code == 416


@pytest.mark.parametrize("path", ["nothing.txt", "data", "data/nothing", "../../etc/passwd", "", "data/안녕 (1).txt/x"])
@pytest.mark.parametrize("verb", ["resolve", "raw"])
def test_a_missing_file_is_told_with_its_commit(alice: TestClient, verb: str, path: str) -> None:
    answer = alice.head(f"/alice/bert/{verb}/main/" + path.replace("..", "%2E%2E"))
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "EntryNotFound")
    assert answer.headers["x-repo-commit"] == alice.get("/api/models/alice/bert").json()["sha"]


@pytest.mark.parametrize("revision", ["nothing", "refs%2Fpr%2F7", "refs/pr/7", "refs", "refs/pr", "0" * 40])
def test_an_unknown_revision_is_told(alice: TestClient, revision: str) -> None:
    answer = alice.head(f"/alice/bert/resolve/{revision}/data")
    assert (answer.status_code, answer.headers["x-error-code"]) == (404, "RevisionNotFound")


@pytest.mark.parametrize("ref", ["refs/pr/1", "refs/convert/parquet", "refs/heads/feature/x"])
def test_revisions_with_slashes_are_found(hub: HubForTests, alice: TestClient, ref: str) -> None:
    head = alice.get("/api/models/alice/bert").json()["sha"]
    with hub.hub.database.write() as connection:
        move_ref(connection, repository_of(hub).id, ref, None, head)
    encoded = ref.replace("/", "%2F")
    assert alice.get(f"/alice/bert/resolve/{encoded}/data/안녕 (1).txt").content == TEXT
    if ref.startswith("refs/heads/"):
        assert alice.get("/alice/bert/resolve/feature%2Fx/data/안녕 (1).txt").content == TEXT
    else:
        assert alice.get(f"/alice/bert/resolve/{ref}/data/안녕 (1).txt").content == TEXT


def test_a_commit_id_goes_on_naming_the_old_content(hub: HubForTests, alice: TestClient) -> None:
    old = put(hub, "a.txt", b"old")
    put(hub, "a.txt", b"new")
    assert alice.get(f"/alice/bert/resolve/{old}/a.txt").content == b"old"
    assert alice.get(f"/alice/bert/resolve/{old[:8]}/a.txt").content == b"old"


def test_a_renamed_repository_sends_on_within_the_hub(hub: HubForTests, alice: TestClient) -> None:
    with hub.hub.database.write() as connection:
        insert_row = redirects.insert().values(type="model", key="alice/before", repository_id=repository_of(hub).id)
        connection.execute(insert_row)
    answer = alice.head(
        "/alice/before/resolve/refs%2Fheads%2Fmain/data/안녕 (1).txt?download=true", follow_redirects=False
    )
    assert answer.status_code == 307
    there = answer.headers["location"]
    assert there.startswith("/alice/bert/resolve/refs%2Fheads%2Fmain/data/")
    assert there.endswith("?download=true")
    assert alice.get(there).content == TEXT


# ------------------------------------------------------------------------------------------------- who, and how
def test_private_files_look_absent_to_strangers(hub: HubForTests, client: Clients, alice: TestClient) -> None:
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().values(private=True))
    for stranger, status in ((client("bob"), 404), (client(), 401)):
        hidden = stranger.get(LARGE_URL)
        missing = stranger.get(LARGE_URL.replace("bert", "nothing"))
        assert hidden.status_code == missing.status_code == status
        assert hidden.headers["x-error-code"] == missing.headers["x-error-code"] == "RepoNotFound"
        assert hidden.json() == missing.json()
    assert alice.get(LARGE_URL).headers["cache-control"].startswith("private")


def test_gated_files_are_for_those_let_in(hub: HubForTests, client: Clients, alice: TestClient) -> None:
    bob = client("bob")
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().values(gated="auto"))
    for verb in ("resolve", "raw"):
        for stranger, status in ((bob, 403), (client(), 401)):
            answer = stranger.head(f"/alice/bert/{verb}/main/model.safetensors")
            assert (answer.status_code, answer.headers["x-error-code"]) == (status, "GatedRepo")
    with hub.hub.database.write() as connection:
        identity = connection.scalar(sa.select(accounts.c.id).where(accounts.c.name == "bob"))
        row = {"repository_id": repository_of(hub).id, "account_id": identity, "status": "accepted", "created_at": 0}
        insert(connection, access_requests, **row)
    answer = bob.get(LARGE_URL)
    assert answer.content == LARGE
    assert answer.headers["cache-control"].startswith("private")


def test_a_pointer_alone_opens_no_content(hub: HubForTests, client: Clients, alice: TestClient) -> None:
    """However the text of a pointer came into a repository."""
    bob = client("bob")
    bob.post("/api/repos/create", json={"name": "theft"})
    theft = repository_of(hub, "bob/theft")
    blob = GitObject.of(BLOB, Pointer(SHA256, len(LARGE)).encode())
    with hub.hub.database.write() as connection:
        Objects(connection, theft.id).put([blob])
        entry = Entry("a.bin", 0o100644, blob.oid)
        service.change_files(connection, theft, MAIN, {"a.bin": entry}, author=author(hub), message="theft")
    assert bob.get("/bob/theft/resolve/main/a.bin").status_code == 404


@pytest.mark.parametrize(
    "name", ["page.html", "page.svg", "page.xhtml", "page.js", "page.pdf", "page", "page.HTML", "a.swf"]
)
def test_no_browser_runs_a_file(hub: HubForTests, alice: TestClient, name: str) -> None:
    put(hub, name, b"<script>alert(1)</script>")
    for verb in ("resolve", "raw"):
        answer = alice.get(f"/alice/bert/{verb}/main/{name}")
        headers = answer.headers
        shown = headers["content-disposition"].startswith("inline")
        assert not shown or headers["content-type"].startswith("text/plain")
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"


@pytest.mark.parametrize(
    "name",
    ['a"; filename="evil.exe.txt', "a\\b.txt", "한글.txt", "a;b.txt", "a%22b.txt", "a\u2028b.txt", "\U0001f600.txt"],
)
def test_a_name_writes_no_header_of_its_own(hub: HubForTests, alice: TestClient, name: str) -> None:
    from urllib.parse import quote, unquote

    put(hub, name, b"text")
    answer = alice.get("/alice/bert/resolve/main/" + quote(name))
    said = answer.headers["content-disposition"]
    assert unquote(said.split("filename*=UTF-8''")[1].split(";")[0]) == name
    plain = said.split('filename="', 1)[1]
    assert plain.count('"') == 1
    assert plain.endswith('";')


def test_line_breaks_in_a_name_reach_no_header() -> None:
    said = disposition("inline", "a\r\nSet-Cookie: x=y\x00\udcff")
    assert said.isascii()
    assert said.isprintable()


# ---------------------------------------------------------------------------------------- counting downloads
def counted(hub: HubForTests) -> int:
    hub.hub.downloads.write()
    with hub.hub.database.read() as connection:
        row = connection.execute(sa.select(repositories.c.downloads, repositories.c.downloads_all_time)).one()
        days = connection.scalar(sa.select(sa.func.coalesce(sa.func.sum(downloads.c.count), 0)))
    assert row.downloads == row.downloads_all_time == days
    return int(row.downloads)


def test_downloads_are_counted_once_for_each_caller(hub: HubForTests, client: Clients, alice: TestClient) -> None:
    said = {"X-HF-Download-Counter": "1"}
    assert counted(hub) == 0
    alice.head(SMALL_URL)  # somebody looks whether it is there
    alice.get(SMALL_URL, headers={"Sec-Fetch-Dest": "image"})  # a picture on a page
    alice.head("/alice/bert/resolve/main/nothing", headers=said)
    assert counted(hub) == 0
    for _ in range(3):
        alice.head(LARGE_URL, headers=said)
        alice.get(LARGE_URL, headers=said)
    assert counted(hub) == 1
    client("bob").get(SMALL_URL)
    client().get(SMALL_URL)
    assert counted(hub) == 3


def test_what_was_counted_survives_the_end_of_the_hub(tmp_path: Path) -> None:
    hub = hub_in(tmp_path / "hub")
    client = TestClient(create_application(hub.hub), headers={"Authorization": f"Bearer {hub.user('alice')}"})
    client.post("/api/repos/create", json={"name": "bert"})
    client.get("/alice/bert/resolve/main/.gitattributes")
    hub.hub.close()
    again = hub_in(tmp_path / "hub")
    assert counted(again) == 1
    again.hub.close()


def test_a_repository_that_is_gone_does_not_stop_the_counting(hub: HubForTests, alice: TestClient) -> None:
    alice.post("/api/repos/create", json={"name": "other"})
    alice.get("/alice/other/resolve/main/.gitattributes")
    alice.get(SMALL_URL)
    alice.request("DELETE", "/api/repos/delete", json={"name": "other"})
    assert counted(hub) == 1


# ------------------------------------------------------------------------------------------ stores without a disk
class Bucket:
    """What the hub's store is when its files are in a bucket, with and without addresses of its own."""

    def __init__(self, store: Any, address: str | None) -> None:
        self._store, self._address = store, address

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def path(self, key: str) -> None:
        return None

    def signed_address(self, key: str, seconds: int, *, file_name: str) -> str | None:
        return self._address and f"{self._address}/{key}?sign=a%2Fb"

    def read(self, key: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        return self._store.read(key, start, end)


def test_a_store_without_addresses_is_read_through_the_hub(hub: HubForTests, alice: TestClient) -> None:
    hub.hub.storage = Bucket(hub.hub.storage, None)  # type: ignore[assignment]
    assert alice.get(LARGE_URL).content == LARGE
    assert alice.get(LARGE_URL, headers={"Range": "bytes=1000000-1500000"}).content == LARGE[1000000:1500001]


def test_content_that_is_lost_is_told_so(hub: HubForTests, alice: TestClient) -> None:
    hub.hub.storage.delete(blob_key(SHA256))
    hub.hub.storage = Bucket(hub.hub.storage, None)  # type: ignore[assignment]
    assert alice.get(LARGE_URL).status_code == 404


def test_a_store_with_addresses_is_named_instead_of_the_content(hub: HubForTests, alice: TestClient) -> None:
    hub.hub.storage = Bucket(hub.hub.storage, "http://bucket.example")  # type: ignore[assignment]
    for answer in (alice.head(LARGE_URL, follow_redirects=False), alice.get(LARGE_URL, follow_redirects=False)):
        assert answer.status_code == 302
        assert answer.headers["location"].startswith(f"http://bucket.example/sha256/{SHA256[:2]}/")
        assert answer.headers["location"].endswith("?sign=a%2Fb")
        assert answer.headers["x-linked-size"] == str(len(LARGE))
        assert answer.headers["x-linked-etag"] == answer.headers["etag"] == f'"{SHA256}"'
        assert answer.headers["x-repo-commit"]
        assert answer.content == b""
