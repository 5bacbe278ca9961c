"""Git LFS: the batch request, sending, verifying and getting files, and what is refused."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from madang.server.app import create_application
from madang.server.errors import StorageFull
from madang.server.large_files import uploads
from madang.server.storage.blobs import BlobWriter
from madang.testing.hub import HubForTests, hub_in
from tests.server.lfs_requests import actions, ask, bring, name_of

CONTENT = os.urandom(3_000_000)
KIBIBYTE = 1024


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.loopback)])
def hub(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[HubForTests]:
    """The same hub over both kinds of store."""
    more = {} if request.param == "folder" else {"storage_url": request.getfixturevalue("bucket")}
    made = hub_in(tmp_path / "hub", **more)
    yield made
    made.hub.close()


@pytest.fixture
def alice(client: Callable[..., TestClient]) -> TestClient:
    """Alice, who has the repository `alice/big`."""
    made = client("alice")
    assert made.post("/api/repos/create", json={"name": "big"}).status_code == 200
    return made


def kept(hub: HubForTests) -> list[str]:
    return [key for key, _, _ in hub.hub.storage.keys("")]


def test_a_file_goes_in_and_comes_out(alice: TestClient, hub: HubForTests) -> None:
    answer = ask(alice, CONTENT, ref={"name": "refs/heads/main"})
    assert answer.headers["content-type"] == "application/vnd.git-lfs+json"
    (item,) = answer.json()["objects"]
    assert (answer.json()["transfer"], item["oid"], item["size"]) == ("basic", name_of(CONTENT), len(CONTENT))
    nobody = TestClient(create_application(hub.hub))
    verify = {"oid": name_of(CONTENT), "size": len(CONTENT)}
    assert nobody.post(item["actions"]["verify"]["href"], json=verify).status_code == 404
    assert nobody.put(item["actions"]["upload"]["href"], content=CONTENT).status_code == 200
    assert nobody.post(item["actions"]["verify"]["href"], json=verify).status_code == 200
    assert nobody.post(item["actions"]["verify"]["href"], json={**verify, "size": 1}).status_code == 400
    if hub.hub.storage.path("") is not None:
        href = actions(nobody, CONTENT, operation="download")["download"]["href"]
        part = nobody.get(href, headers={"Range": "bytes=5-9"})
        assert (part.status_code, part.content) == (206, CONTENT[5:10])
        assert nobody.get(href).content == CONTENT


@pytest.mark.loopback
def test_a_bucket_sends_its_files_itself(bucket: str, tmp_path: Path) -> None:
    import urllib.request

    made = hub_in(tmp_path / "hub", storage_url=bucket)
    caller = TestClient(create_application(made.hub), headers={"Authorization": f"Bearer {made.user('alice')}"})
    caller.post("/api/repos/create", json={"name": "big"})
    bring(caller, CONTENT)
    href = actions(caller, CONTENT, operation="download")["download"]["href"]
    assert "X-Amz-Signature" in href
    with urllib.request.urlopen(href) as answer:
        assert answer.read() == CONTENT
        assert name_of(CONTENT) in answer.headers["Content-Disposition"]
    made.hub.close()


def test_what_the_repository_has_is_not_sent_again(alice: TestClient) -> None:
    bring(alice, CONTENT)
    (item,) = ask(alice, CONTENT).json()["objects"]
    assert item == {"oid": name_of(CONTENT), "size": len(CONTENT)}


def test_what_the_caller_brought_elsewhere_is_not_sent_again(alice: TestClient) -> None:
    bring(alice, CONTENT)
    alice.post("/api/repos/create", json={"name": "second", "type": "dataset"})
    (item,) = ask(alice, CONTENT, repository="datasets/alice/second").json()["objects"]
    assert "actions" not in item
    assert (
        "actions" in ask(alice, CONTENT, repository="datasets/alice/second", operation="download").json()["objects"][0]
    )


@pytest.mark.parametrize(
    "sent",
    [CONTENT[:-1], CONTENT + b"x", CONTENT[:-1] + bytes([CONTENT[-1] ^ 1]), b""],
    ids=["truncated", "too long", "another", "empty"],
)
@pytest.mark.parametrize("announced", [True, False], ids=["with its length", "without length"])
def test_what_is_not_the_announced_file_leaves_nothing(
    alice: TestClient, hub: HubForTests, sent: bytes, announced: bool, tmp_path: Path
) -> None:
    href = actions(alice, CONTENT)["upload"]["href"]
    refused = alice.put(href, content=sent if announced else iter([sent[:1000], sent[1000:]]))
    assert (refused.status_code, "Nothing was kept" in refused.json()["error"]) == (400, True)
    assert kept(hub) == []
    assert not any((tmp_path / "hub" / "files").rglob("tmp*"))
    assert "actions" in ask(alice, CONTENT).json()["objects"][0]


def test_a_full_disk_is_507_and_leaves_nothing(
    alice: TestClient, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: BlobWriter, data: bytes) -> None:
        raise StorageFull("the disk of this hub is full.")

    with hub.hub.storage.writer("probe") as writer:
        monkeypatch.setattr(type(writer), "write", full)
    assert alice.put(actions(alice, CONTENT)["upload"]["href"], content=CONTENT).status_code == 507
    assert kept(hub) == []


def test_files_for_which_there_is_no_room_are_refused_before_they_are_sent(
    hub: HubForTests, alice: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub.hub.storage, "room", lambda: 2_500_000)
    first, second = ask(alice, os.urandom(2_000_000), os.urandom(2_000_000)).json()["objects"]
    assert "actions" in first
    assert (second["error"]["code"], "actions" in second) == (507, False)


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files above 1 MiB come in parts of 700 KiB."""
    monkeypatch.setattr(uploads, "MULTIPART_FROM", KIBIBYTE**2)
    monkeypatch.setattr(uploads, "SMALLEST_PART", 700 * KIBIBYTE)


def parts_of(header: dict[str, str], content: bytes) -> list[tuple[int, str, bytes]]:
    size = int(header["chunk_size"])
    return [
        (number, header[str(number)], content[(number - 1) * size : number * size]) for number in range(1, len(header))
    ]


@pytest.mark.usefixtures("in_parts")
def test_a_large_file_comes_in_parts_in_any_order(alice: TestClient, hub: HubForTests) -> None:
    assert ask(alice, CONTENT).json()["transfer"] == "basic"  # nobody asked for parts
    answer = ask(alice, CONTENT, transfers=["basic", "multipart"]).json()
    found = answer["objects"][0]["actions"]
    header = found["upload"]["header"]
    assert (answer["transfer"], header["chunk_size"], len(header)) == ("multipart", str(700 * KIBIBYTE), 1 + 5)
    named = []
    for number, address, part in reversed(parts_of(header, CONTENT)):
        sent = alice.put(address, content=part)
        assert sent.status_code == 200
        named.append({"partNumber": number, "etag": sent.headers["etag"]})
    done = {"oid": name_of(CONTENT), "parts": named}
    assert alice.post(found["upload"]["href"], json=done).status_code == 200
    assert alice.post(found["upload"]["href"], json=done).status_code == 200  # the answer was lost
    assert alice.post(found["verify"]["href"], json={"oid": done["oid"], "size": len(CONTENT)}).status_code == 200
    assert len(kept(hub)) == 1


@pytest.mark.usefixtures("in_parts")
def test_missing_parts_are_named_and_sent_later(alice: TestClient) -> None:
    found = actions(alice, CONTENT, transfers=["basic", "multipart"])["upload"]
    sent = parts_of(found["header"], CONTENT)
    done = {"oid": name_of(CONTENT), "parts": [{"partNumber": number, "etag": "x"} for number, _, _ in sent]}
    for _, address, part in sent[:3]:
        assert alice.put(address, content=part).status_code == 200
    refused = alice.post(found["href"], json=done)
    assert (refused.status_code, "4, 5" in refused.json()["error"]) == (409, True)
    # asked anew, the addresses lead to the same place
    again = actions(alice, CONTENT, transfers=["basic", "multipart"])["upload"]
    for _, address, part in parts_of(again["header"], CONTENT)[3:]:
        assert alice.put(address, content=part).status_code == 200
    assert alice.post(again["href"], json=done).status_code == 200


@pytest.mark.usefixtures("in_parts")
def test_wrong_parts_leave_nothing(alice: TestClient, hub: HubForTests) -> None:
    found = actions(alice, CONTENT, transfers=["basic", "multipart"])["upload"]
    sent = parts_of(found["header"], CONTENT)
    for _, address, part in sent:
        assert alice.put(address, content=part[:-1]).status_code == 400
        assert alice.put(address, content=part + b"x").status_code == 400
        assert alice.put(address, content=b"\0" * len(part)).status_code == 200
    for number in ("0", "6", "x", "9" * 5000):
        assert alice.put(sent[0][1].rpartition("/")[0] + "/" + number, content=b"x").status_code == 404
    numbers = [{"partNumber": number, "etag": "x"} for number, _, _ in sent]
    for wrong in (numbers[:-1], [*numbers, numbers[0]], [{"partNumber": 0}], "all"):
        refused = alice.post(found["href"], json={"oid": name_of(CONTENT), "parts": wrong})
        assert refused.status_code == 400
    refused = alice.post(found["href"], json={"oid": name_of(CONTENT), "parts": numbers})
    assert (refused.status_code, "SHA-256" in refused.json()["error"]) == (400, True)
    assert kept(hub) == []


def test_answers_stay_small_however_large_the_files_are() -> None:
    for files in (1, 100, 1000):
        size = uploads.part_size_for(uploads.LARGEST_FILE, files)
        assert -(-uploads.LARGEST_FILE // size) * files <= uploads.MOST_PARTS
