"""Uploads by Xet, sent by hand: what comes in becomes a file, and what is wrong or somebody else's is refused."""

import hashlib
import json
import random
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.app import create_application
from madang.server.clock import DAY, now
from madang.server.errors import StorageFull
from madang.server.large_files import service as large_files
from madang.server.large_files.xet import tickets
from madang.server.large_files.xet.collecting import collect_xorbs
from madang.server.large_files.xet.hashing import chunk_hash, text_of
from madang.server.large_files.xet.records import places, senders, xorbs
from madang.server.large_files.xet.xorbs import LARGEST_BODY
from madang.server.repositories.records import repositories
from madang.server.storage.blobs import blob_key
from madang.server.storage.filesystem import FolderBlobWriter
from madang.testing.hub import HubForTests, hub_in
from tests.server.xet_bodies import Listed, Uploader, file_id, hash_of, packed, shard

Clients = Callable[..., TestClient]


@pytest.fixture
def alice(client: Clients) -> Uploader:
    """Alice, who uploads to her repository `alice/m`."""
    signed_in = client("alice")
    signed_in.post("/api/repos/create", json={"name": "m"})
    return Uploader(signed_in, "alice/m")


def chunks_of(*sizes: int) -> list[bytes]:
    return [random.randbytes(size) for size in sizes]


def sha256_of(*chunks: bytes) -> str:
    return hashlib.sha256(b"".join(chunks)).hexdigest()


def stored(hub: HubForTests, *chunks: bytes) -> bytes | None:
    """What the store has of the file that consists of these chunks."""
    key = blob_key(sha256_of(*chunks))
    return None if hub.hub.storage.size(key) is None else b"".join(hub.hub.storage.read(key))


def make_private(hub: HubForTests) -> None:
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().values(private=True))


def kept(hub: HubForTests) -> list[str]:
    return [item[0] for item in hub.hub.storage.keys("")]


@pytest.mark.parametrize("scheme", [0, 1, 2])
@pytest.mark.parametrize("path", ["/v1/shards", "/v2/shards"])
def test_a_file_is_put_together_and_belongs_to_the_repository(
    alice: Uploader, hub: HubForTests, scheme: int, path: str
) -> None:
    chunks = chunks_of(1000, 2001, 33)
    answer = alice.shard(alice.whole(chunks, scheme), path=path)
    assert (answer.status_code, answer.json()["result"]) == (200, 1)
    assert stored(hub, *chunks) == b"".join(chunks)
    with hub.hub.database.read() as connection:
        assert large_files.known(connection, 1, sha256_of(*chunks), None) == 3034


def test_content_is_kept_once_when_its_file_is_there(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(500, 600)
    listed = alice.whole(chunks)
    assert len(kept(hub)) == 1
    alice.shard(listed)
    assert kept(hub) == [blob_key(sha256_of(*chunks))]


def test_a_later_file_is_made_of_chunks_that_lie_in_older_files(alice: Uploader, hub: HubForTests) -> None:
    old, new = chunks_of(100, 200, 300, 400), chunks_of(50)
    listed = alice.whole(old)
    alice.shard(listed)
    xorb, added = listed.terms[0][0], alice.xorb(new)
    chunks = [*old[1:3], *new, old[3], old[0]]
    terms = [(xorb, 500, 1, 3), (added, 50, 0, 1), (xorb, 400, 3, 4), (xorb, 100, 0, 1)]
    assert alice.shard(Listed(chunks, terms, flags=1 << 30)).status_code == 200
    assert stored(hub, *chunks) == b"".join(chunks)


def test_a_xorb_of_several_files_stays_until_all_of_it_lies_in_one(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(10, 20, 30, 40)
    xorb = alice.xorb(chunks)
    alice.shard(Listed(chunks[1:3], [(xorb, 50, 1, 3)]))
    assert any(key.startswith("xet/") for key in kept(hub))
    alice.shard(Listed(chunks[:2], [(xorb, 30, 0, 2)]), Listed(chunks[2:], [(xorb, 70, 2, 4)]))
    assert not any(key.startswith("xet/") for key in kept(hub))
    everything = Listed(chunks, [(xorb, 100, 0, 4)])
    assert alice.shard(everything).status_code == 200
    assert stored(hub, *chunks) == b"".join(chunks)


def test_the_same_upload_again_says_so_and_changes_nothing(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(1000)
    listed = alice.whole(chunks)
    path, body = f"/v1/xorbs/default/{text_of(hash_of(chunks))}", packed(chunks[0])
    assert alice.send("POST", path, body).json() == {"was_inserted": False}
    for _ in range(2):
        assert alice.shard(listed).status_code == 200
        assert alice.send("POST", path, body).json() == {"was_inserted": False}
    assert kept(hub) == [blob_key(sha256_of(*chunks))]


def test_an_empty_file_can_be_listed(alice: Uploader, hub: HubForTests) -> None:
    assert alice.shard(Listed([], [])).status_code == 200
    assert stored(hub) == b""


def test_a_xorb_under_another_hash_is_refused_and_not_kept(alice: Uploader, hub: HubForTests) -> None:
    answer = alice.send("POST", f"/v1/xorbs/default/{text_of(hash_of([b'a']))}", packed(b"b"))
    assert answer.status_code == 400
    assert "are not those of the xorb" in answer.json()["error"]
    assert kept(hub) == []


def test_a_xorb_that_ends_early_is_refused_and_not_kept(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(5000)
    answer = alice.send("POST", f"/v1/xorbs/default/{text_of(hash_of(chunks))}", packed(chunks[0])[:-1])
    assert (answer.status_code, kept(hub)) == (400, [])
    assert list((hub.hub.settings.data / "files" / "incoming").iterdir()) == []


@pytest.mark.parametrize("length", [str(LARGEST_BODY + 1), "9" * 40])
def test_a_xorb_that_says_it_is_too_large_is_refused_before_it_is_read(alice: Uploader, length: str) -> None:
    answer = alice.send("POST", f"/v1/xorbs/default/{'0' * 64}", b"", **{"Content-Length": length})
    assert answer.status_code == 400
    assert "the most this hub takes" in answer.json()["error"]


@pytest.mark.parametrize("hash", ["..%2F..%2Fhub.sqlite3", "A" * 64, "0" * 63, "%00" * 64])
def test_what_is_no_hash_in_an_address_is_refused(alice: Uploader, hash: str) -> None:
    assert alice.send("POST", f"/v1/xorbs/default/{hash}", packed(b"a")).status_code == 400
    assert alice.send("GET", f"/v1/chunks/default/{hash}").status_code == 400


@pytest.mark.parametrize("path", ["/v1/shards", "/v2/shards"])
@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sha256": "12" * 32}, "has another one"),
        ({"hash": b"x" * 32}, "make another file"),
        ({"checks": [b"x" * 32]}, "verification"),
        ({"flags": 0}, "without its SHA-256"),
    ],
)
def test_a_file_that_is_not_what_the_shard_says_is_not_kept(
    alice: Uploader, hub: HubForTests, path: str, change: dict[str, object], message: str
) -> None:
    listed = alice.whole(chunks_of(100, 200))
    for name, value in change.items():
        setattr(listed, name, value)
    answer = alice.shard(listed, path=path)
    assert answer.status_code == 400
    assert message in answer.json()["error"]
    assert [key for key in kept(hub) if not key.startswith("xet/")] == []
    with hub.hub.database.read() as connection:
        assert large_files.known(connection, 1, "12" * 32, None) is None


@pytest.mark.parametrize(
    ("first", "end", "size"),
    [(0, 3, 300), (1, 1, 0), (2, 1, 100), (5, 6, 10), (0, 0xFFFFFFFF, 300), (0, 2, 299), (0, 2, 0xFFFFFFFF)],
)
def test_chunks_a_xorb_does_not_have_are_refused(alice: Uploader, first: int, end: int, size: int) -> None:
    chunks = chunks_of(100, 200)
    xorb = alice.xorb(chunks)
    answer = alice.shard(Listed(chunks, [(xorb, size, first, end)], flags=1 << 30))
    assert answer.status_code == 400, answer.text


def test_a_shard_of_more_than_a_hub_can_hold_is_refused_before_it_is_put_together(alice: Uploader) -> None:
    xorb = alice.xorb(chunks_of(100))
    listed = Listed([b""], [(xorb, 0xFFFFFFFF, 0, 1)] * 2000, hash=b"x" * 32, flags=1 << 30)
    answer = alice.shard(listed)
    assert answer.status_code == 400
    assert "the most this hub takes" in answer.json()["error"]


def test_somebody_elses_xorbs_look_as_if_they_were_not_there(alice: Uploader, client: Clients) -> None:
    chunks = chunks_of(100, 200)
    sent, missing = alice.whole(chunks), Listed([b"x"], [(hash_of([b"x"]), 1, 0, 1)])
    bobs_client = client("bob")
    bobs_client.post("/api/repos/create", json={"name": "m"})
    for name in ("bob/m", "alice/m"):
        bob = Uploader(bobs_client, name)
        refused = bob.shard(sent)
        assert refused.status_code == 400
        assert refused.json()["error"].replace(text_of(hash_of(chunks)), "-") == bob.shard(missing).json()[
            "error"
        ].replace(text_of(hash_of([b"x"])), "-")
        assert bob.send("HEAD", f"/v1/xorbs/default/{text_of(hash_of(chunks))}").status_code == 404
        assert bob.send("GET", f"/v1/chunks/default/{text_of(chunk_hash(chunks[0]))}").status_code == 404


def test_who_may_read_the_files_may_use_their_chunks(alice: Uploader, client: Clients, hub: HubForTests) -> None:
    chunks = chunks_of(100, 200)
    listed = alice.whole(chunks)
    alice.shard(listed)
    bobs_client = client("bob")
    bobs_client.post("/api/repos/create", json={"name": "m"})
    bob = Uploader(bobs_client, "bob/m")
    chunk = f"/v1/chunks/default/{text_of(chunk_hash(chunks[0]))}"
    assert bob.send("GET", chunk).status_code == 200
    assert bob.send("HEAD", f"/v1/xorbs/default/{text_of(hash_of(chunks))}").headers["content-length"] == "316"
    make_private(hub)
    assert bob.send("GET", chunk).status_code == 404
    assert bob.shard(listed).status_code == 400
    assert alice.shard(listed).status_code == 200


def test_part_of_a_private_xorb_in_a_public_file_opens_only_that_file(
    alice: Uploader, client: Clients, hub: HubForTests
) -> None:
    chunks = chunks_of(100, 200)
    alice.client.post("/api/repos/create", json={"name": "secret", "private": True})
    private = Uploader(alice.client, "alice/secret")
    listed = private.whole(chunks)
    private.shard(listed)
    alice.shard(Listed(chunks[:1], [(listed.terms[0][0], 100, 0, 1)]))
    bob = Uploader(client("bob"), "alice/m")
    assert bob.send("GET", f"/v1/chunks/default/{text_of(chunk_hash(chunks[0]))}").status_code == 404
    assert bob.shard(Listed(chunks[1:], [(listed.terms[0][0], 200, 1, 2)])).status_code == 400


def test_a_question_for_the_first_chunk_is_answered_with_all_xorbs_of_the_newest_file(alice: Uploader) -> None:
    parts = [chunks_of(100, 200) for _ in range(3)]
    terms = [(alice.xorb(part), 300, 0, 2) for part in parts]
    alice.shard(Listed([c for part in parts for c in part], terms, flags=1 << 30))
    changed = [parts[0], chunks_of(150, 150), parts[2]]
    terms[1] = (alice.xorb(changed[1]), 300, 0, 2)
    alice.shard(Listed([c for part in changed for c in part], terms, flags=1 << 30))
    answer = alice.send("GET", f"/v1/chunks/default-merkledb/{text_of(chunk_hash(parts[0][0]))}")
    assert answer.status_code == 200
    for part in [*parts, changed[1]]:
        assert hash_of(part) in answer.content
    # of a chunk in the middle nobody asks: it is not kept for questions
    assert alice.send("GET", f"/v1/chunks/default/{text_of(chunk_hash(parts[0][1]))}").status_code == 404


def test_a_question_after_an_interrupted_upload_is_answered_with_what_arrived(alice: Uploader) -> None:
    parts = [chunks_of(100, 200) for _ in range(3)]
    for part in parts:
        alice.xorb(part)
    question = f"/v1/chunks/default/{text_of(chunk_hash(parts[0][0]))}"
    assert all(hash_of(part) in alice.send("GET", question).content for part in parts)
    alice.client.post("/api/repos/create", json={"name": "other"})
    elsewhere = Uploader(alice.client, "alice/other").send("GET", question).content
    assert [hash_of(part) in elsewhere for part in parts] == [True, False, False]


def test_the_ticket_is_in_the_body_and_in_the_headers(alice: Uploader, hub: HubForTests) -> None:
    answer = alice.client.get("/api/models/alice/m/xet-write-token/main?create_pr=1")
    given = answer.json()
    assert answer.headers["x-xet-access-token"] == given["accessToken"]
    assert answer.headers["x-xet-token-expiration"] == str(given["exp"])
    assert answer.headers["x-xet-cas-url"] == given["casUrl"]
    assert given["casUrl"].startswith(hub.address + "/xet/")
    assert 3500_000 < given["exp"] * 1000 - now() <= 3600_000


def test_who_gets_a_ticket(client: Clients, alice: Uploader) -> None:
    alice.client.post("/api/repos/create", json={"name": "secret", "private": True})
    address = "/api/models/alice/{}/xet-write-token/{}"
    assert client("bob").get(address.format("m", "main")).status_code == 200
    assert client("bob").get(address.format("secret", "main")).status_code == 404
    assert client().get(address.format("m", "main")).status_code == 401
    assert client("alice", role="read").get(address.format("m", "main")).status_code == 403
    missing = client("alice").get(address.format("m", "nothing"))
    assert (missing.status_code, missing.headers["x-error-code"]) == (404, "RevisionNotFound")
    # what huggingface_hub 2.4 asks for when a pull request is to be opened
    assert client("bob").get(address.format("m", "None?create_pr=1")).status_code == 200


def test_a_ticket_that_is_over_or_forged_is_told_from_one_for_another_store(
    alice: Uploader, client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    bob = Uploader(client("bob"), "alice/m")
    question = f"/v1/chunks/default/{'0' * 64}"
    assert bob.client.get(alice.cas + question, headers=bob.headers).status_code == 403
    body, _, signature = alice.token.partition(".")
    for header in ("", "Bearer x", f"Bearer {body}.{signature[:-1]}", f"Bearer x{body}.{signature}", "Bearer é"):
        answer = alice.client.get(alice.cas + question, headers={"Authorization": header.encode()})  # type: ignore[dict-item]
        assert answer.status_code == 401
    monkeypatch.setattr(tickets, "LASTS_SECONDS", -1)
    over = Uploader(alice.client, "alice/m")
    assert over.send("GET", question).status_code == 401
    assert alice.send("GET", question).status_code == 404


def test_a_ticket_for_something_else_opens_nothing(alice: Uploader, hub: HubForTests) -> None:
    ticket = hub.hub.signer.sign("download", 60, repository=1, account=1, token=None)
    answer = alice.client.get(
        alice.cas + f"/v1/chunks/default/{'0' * 64}", headers={"Authorization": f"Bearer {ticket}"}
    )
    assert answer.status_code == 401


def test_a_ticket_ends_with_the_token_and_with_the_right_to_read(
    alice: Uploader, client: Clients, hub: HubForTests
) -> None:
    bob = Uploader(client("bob"), "alice/m")
    make_private(hub)
    chunks = chunks_of(10)
    assert bob.send("POST", f"/v1/xorbs/default/{text_of(hash_of(chunks))}", packed(chunks[0])).status_code == 404
    with hub.hub.database.write() as connection:
        connection.execute(sa.text("delete from tokens"))
    assert alice.shard().status_code == 401


def test_a_full_disk_is_said_and_nothing_stays(
    alice: Uploader, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    chunks = chunks_of(1000)
    listed = alice.whole(chunks)

    def full(self: FolderBlobWriter, data: bytes) -> None:
        raise StorageFull("the disk of this hub is full.")

    before = kept(hub)
    monkeypatch.setattr(FolderBlobWriter, "write", full)
    other = chunks_of(500)
    sent = alice.send("POST", f"/v1/xorbs/default/{text_of(hash_of(other))}", packed(other[0]))
    assert sent.status_code == 507
    assert [alice.shard(listed, path=path).status_code for path in ("/v1/shards", "/v2/shards")] == [507, 507]
    assert kept(hub) == before
    assert list((hub.hub.settings.data / "files" / "incoming").iterdir()) == []


def test_when_bytes_are_lost_the_client_begins_anew(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(100, 200)
    listed = alice.whole(chunks)
    alice.shard(listed)
    hub.hub.storage.delete(blob_key(sha256_of(*chunks)))
    assert alice.shard(listed).status_code == 400
    again = Uploader(alice.client, "alice/m")
    assert again.cas != alice.cas
    assert again.send("GET", f"/v1/chunks/default/{text_of(chunk_hash(chunks[0]))}").status_code == 404
    assert again.shard(again.whole(chunks)).status_code == 200
    assert stored(hub, *chunks) == b"".join(chunks)


def test_xorbs_of_a_freed_file_are_forgotten(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(100, 200)
    listed = alice.whole(chunks)
    alice.shard(listed)
    with hub.hub.database.write() as connection:
        large_files.forget(connection, 1, [sha256_of(*chunks)])
        connection.execute(sa.text("delete from blobs"))
    assert alice.send("HEAD", f"/v1/xorbs/default/{text_of(hash_of(chunks))}").status_code == 404
    assert alice.shard(listed).status_code == 400
    assert collect_xorbs(hub.hub) == 1
    assert count(hub, xorbs) == count(hub, places) == 0


def test_a_file_that_goes_while_an_upload_reads_it_fails_that_upload_only(
    alice: Uploader, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    from madang.server.large_files.xet import rebuilding

    chunks = chunks_of(100, 200)
    listed = alice.whole(chunks)
    alice.shard(listed)
    write = rebuilding._write

    def without(*given: object) -> object:
        with hub.hub.database.write() as connection:
            connection.execute(places.delete())
        given[1].forget()  # type: ignore[attr-defined]
        return write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(rebuilding, "_write", without)
    refused = alice.shard(Listed(chunks[1:], [(listed.terms[0][0], 200, 1, 2)], flags=1 << 30))
    assert (refused.status_code, count(hub, xorbs)) == (400, 0)
    monkeypatch.undo()
    assert alice.shard(alice.whole(chunks)).status_code == 200


def count(hub: HubForTests, table: sa.Table) -> int:
    with hub.hub.database.read() as connection:
        return int(connection.scalar(sa.select(sa.func.count()).select_from(table)) or 0)


def aged(hub: HubForTests, days: int) -> None:
    """As if everything had been sent so many days earlier."""
    with hub.hub.database.write() as connection:
        connection.execute(xorbs.update().values(created_at=xorbs.c.created_at - days * DAY))
        connection.execute(senders.update().values(sent_at=senders.c.sent_at - days * DAY))


def test_xorbs_of_no_file_are_freed_after_the_grace_period_and_not_before(alice: Uploader, hub: HubForTests) -> None:
    alice.xorb(chunks_of(100))
    aged(hub, 6)
    assert collect_xorbs(hub.hub) == 0
    assert len(kept(hub)) == 1
    aged(hub, 2)
    assert collect_xorbs(hub.hub) == 1
    assert kept(hub) == []
    # what the client remembers is not true any more
    assert Uploader(alice.client, "alice/m").cas != alice.cas


def test_xorbs_that_were_sent_again_are_kept(alice: Uploader, hub: HubForTests) -> None:
    chunks = chunks_of(100)
    alice.xorb(chunks)
    aged(hub, 8)
    alice.xorb(chunks)
    assert collect_xorbs(hub.hub) == 0
    assert alice.shard(Listed(chunks, [(hash_of(chunks), 100, 0, 1)])).status_code == 200
    aged(hub, 100)
    assert collect_xorbs(hub.hub) == 0


def test_bytes_that_a_crash_left_are_freed(alice: Uploader, hub: HubForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"xet/00/{'0' * 64}"
    with hub.hub.storage.writer(key) as writer:
        writer.write(b"abc")
        writer.commit()
    collect_xorbs(hub.hub)
    assert kept(hub) == [key]
    moment = now()
    monkeypatch.setattr("madang.server.large_files.xet.collecting.now", lambda: moment + 2 * DAY)
    collect_xorbs(hub.hub)
    assert kept(hub) == []


def test_a_xorb_dropped_while_another_upload_reads_it_is_read_from_the_file(
    alice: Uploader, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    from madang.server.large_files.xet import rebuilding

    chunks = chunks_of(100, 200)
    listed = alice.whole(chunks)
    write, races = rebuilding._write, iter([True])

    def slow(*given: object) -> object:
        if next(races, False):
            # meanwhile the other upload finishes
            assert alice.shard(listed).status_code == 200
        return write(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(rebuilding, "_write", slow)
    reverse = Listed(
        [chunks[1], chunks[0]], [(listed.terms[0][0], 200, 1, 2), (listed.terms[0][0], 100, 0, 1)], flags=1 << 30
    )
    assert alice.shard(reverse).status_code == 200
    assert stored(hub, chunks[1], chunks[0]) == chunks[1] + chunks[0]


def test_what_this_hub_does_not_offer_is_not_found(alice: Uploader) -> None:
    zeros = "0" * 64
    assert alice.send("POST", f"/v1/xorb-grants/default/{zeros}", b"{}").status_code == 404
    assert alice.send("GET", f"/v2/reconstructions/{zeros}").status_code == 404
    assert alice.send("GET", f"/v1/reconstructions/{zeros}").status_code == 404
    assert alice.client.post("/v1/telemetry", json={}).status_code == 204


def test_every_answer_to_nobody_is_a_refusal(alice: Uploader, client: Clients) -> None:
    zeros = "0" * 64
    nobody = client()
    for method, path in [
        ("GET", f"/v1/chunks/default/{zeros}"),
        ("HEAD", f"/v1/xorbs/default/{zeros}"),
        ("POST", f"/v1/xorbs/default/{zeros}"),
        ("POST", "/v1/shards"),
        ("POST", "/v2/shards"),
    ]:
        assert nobody.request(method, alice.cas + path, content=b"").status_code == 401


def test_one_wrong_file_in_a_shard_fails_it_and_is_not_kept(alice: Uploader, hub: HubForTests) -> None:
    good, bad = chunks_of(100), chunks_of(200)
    right, wrong = alice.whole(good), alice.whole(bad)
    wrong.sha256 = sha256_of(b"secret")
    assert alice.shard(right, wrong).status_code == 400
    assert stored(hub, *bad) is stored(hub, b"secret") is None
    wrong.sha256 = None
    assert alice.shard(right, wrong).status_code == 200
    assert (stored(hub, *good), stored(hub, *bad)) == (good[0], bad[0])


def test_while_it_takes_long_the_client_is_told_how_far_it_is(alice: Uploader, monkeypatch: pytest.MonkeyPatch) -> None:
    from madang.server.large_files.xet import rebuilding

    monkeypatch.setattr(rebuilding, "PROGRESS_SECONDS", -1.0)
    right, wrong = alice.whole(chunks_of(100, 200)), alice.whole(chunks_of(50))
    events = [json.loads(line) for line in alice.shard(right).text.splitlines()]
    assert events == [{"type": "validating", "verified": 300, "total": 300}, {"type": "result", "result": 1}]
    wrong.sha256 = "12" * 32
    last = json.loads(alice.shard(right, wrong).text.splitlines()[-1])
    assert (last["type"], last["retryable"]) == ("error", False)
    assert "has another one" in last["message"]


def test_chunks_that_no_client_cuts_so_small_are_refused_before_they_are_counted(alice: Uploader) -> None:
    chunks = [b"a"] * 100
    xorb = alice.xorb(chunks)
    listed = Listed([b"a"], [(xorb, 100, 0, 100)] * 200, hash=b"x" * 32, flags=1 << 30)
    answer = alice.shard(listed)
    assert answer.status_code == 400
    assert "too small" in answer.json()["error"]


def test_a_file_larger_than_the_disk_is_refused_at_once(
    alice: Uploader, hub: HubForTests, monkeypatch: pytest.MonkeyPatch
) -> None:
    listed = alice.whole(chunks_of(1000))
    monkeypatch.setattr(type(hub.hub.storage), "room", lambda self: 999)
    assert alice.shard(listed).status_code == 507


def test_a_file_may_take_the_chunks_of_a_xorb_in_any_order(alice: Uploader, hub: HubForTests) -> None:
    chunks = [bytes([number % 256, number // 256]) * 5 for number in range(2000)]
    xorb = alice.xorb(chunks)
    order = random.sample(range(2000), 2000)
    listed = Listed([chunks[n] for n in order], [(xorb, 10, n, n + 1) for n in order], flags=1 << 30)
    assert alice.shard(listed).status_code == 200
    assert not any(key.startswith("xet/") for key in kept(hub))
    # now that they lie in that file in this order, the first order can be had again
    assert alice.shard(Listed(chunks, [(xorb, 20_000, 0, 2000)])).status_code == 200
    assert stored(hub, *chunks) == b"".join(chunks)


@pytest.mark.loopback
def test_it_works_the_same_with_a_bucket(tmp_path: Path, bucket: str) -> None:
    hub = hub_in(tmp_path / "hub", storage_url=bucket)
    token = hub.user("alice")
    with TestClient(create_application(hub.hub), headers={"Authorization": f"Bearer {token}"}) as signed_in:
        signed_in.post("/api/repos/create", json={"name": "m"})
        alice = Uploader(signed_in, "alice/m")
        chunks = chunks_of(100_000, 120_000, 7)
        listed = alice.whole(chunks, 2)
        assert kept(hub) != []
        assert alice.shard(listed).status_code == 200
        assert kept(hub) == [blob_key(sha256_of(*chunks))]
        part = Listed(chunks[1:], [(listed.terms[0][0], 120_007, 1, 3)], flags=1 << 30)
        assert alice.shard(part).status_code == 200
        assert stored(hub, *chunks[1:]) == b"".join(chunks[1:])
    hub.hub.close()


def test_the_shard_of_a_file_names_its_id() -> None:
    chunks = [b"a", b"b"]
    body = shard(Listed(chunks, [(hash_of(chunks), 2, 0, 2)]))
    assert body[48:80] == file_id(chunks)
    assert struct.unpack("<I", body[84:88]) == (1,)
