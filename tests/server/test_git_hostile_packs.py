"""Packs that would harm the hub, or those who clone from it, are refused, and nothing of them is kept."""

import gzip
import os
import struct
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.app import create_application
from madang.server.git.records import objects
from madang.testing.hub import HubForTests, hub_in
from tests.server import git_packs as by_hand
from tests.server.git_packs import BLOB, COMMIT, NOTHING, TAG, TREE, Pack, number, push, push_body, send

EMPTY = by_hand.oid(BLOB, b"")


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubForTests]:
    """One hub for all: nothing these tests send may change it."""
    made = hub_in(tmp_path_factory.mktemp("hostile") / "hub")
    yield made
    made.hub.close()


@pytest.fixture(scope="module")
def signed_in(hub: HubForTests) -> TestClient:
    headers = {"Authorization": f"Bearer {hub.user('alice')}"}
    return TestClient(create_application(hub.hub), headers=headers, raise_server_exceptions=False)


@pytest.fixture
def alice(signed_in: TestClient) -> Iterator[TestClient]:
    """alice, with a new repository."""
    assert signed_in.post("/api/repos/create", json={"name": "bert"}).status_code == 200
    yield signed_in
    assert signed_in.request("DELETE", "/api/repos/delete", json={"name": "bert"}).status_code == 200


@pytest.fixture
def kept(hub: HubForTests) -> Callable[[], int]:
    """How many objects the hub keeps."""

    def count() -> int:
        with hub.hub.database.read() as connection:
            return connection.scalar(sa.select(sa.func.count()).select_from(objects)) or 0

    return count


def test_a_pack_made_by_hand_is_taken(alice: TestClient) -> None:
    """Else the refusals below would prove nothing."""
    pack = Pack()
    blob = pack.add(BLOB, b"hello")
    head = pack.commit(("100644", b"a", blob), ("40000", b"b", pack.add(TREE, by_hand.tree(("100755", b"c", blob)))))
    assert "unpack ok" in push(alice, pack.bytes(), head)
    assert alice.get("/api/models/alice/bert/revision/pushed").json()["sha"] == head
    assert [item["path"] for item in alice.get("/api/models/alice/bert/tree/pushed").json()] == ["a", "b"]


BAD_NAMES = [
    *(b".", b"..", b".git", b".GIT", b".Git", b"git~1", b"GIT~1", b".git ", b".git.", b".git...", b".git. .", b"a/b"),
    *(".g\u200cit".encode(), ".gi\u200dt".encode(), "\ufeff.git".encode(), b".git::$INDEX_ALLOCATION", b".git:x"),
    *(b"a\nb", b"\x7f", b"\xff\xfe", b"x" * 256),
]


@pytest.mark.parametrize("name", BAD_NAMES, ids=repr)
def test_names_that_lead_elsewhere_are_refused(alice: TestClient, kept: Callable[[], int], name: bytes) -> None:
    before = kept()
    pack = Pack()
    head = pack.commit(("100644", name, pack.add(BLOB, b"x")))
    answer = push(alice, pack.bytes(), head)
    assert "ng refs/heads/pushed" in answer
    assert "unpack ok" not in answer
    assert kept() == before
    below = Pack()
    inner = below.add(TREE, by_hand.tree(("40000", name, below.add(TREE, b""))))
    assert "ng" in push(alice, below.bytes(), below.commit(("40000", b"fine", inner)))


def bad_trees() -> dict[str, bytes]:
    a = by_hand.tree(("100644", b"a", EMPTY))
    return {
        "twice": a + a,
        "file and folder": by_hand.tree(("100644", b"a", EMPTY), ("100644", b"a.b", EMPTY), ("40000", b"a", EMPTY)),
        "disorder": by_hand.tree(("100644", b"b", EMPTY), ("100644", b"a", EMPTY)),
        "folder in the order of files": by_hand.tree(("40000", b"a", EMPTY), ("100644", b"a.b", EMPTY)),
        "padded mode": by_hand.tree(("040000", b"a", EMPTY)),
        "unknown mode": by_hand.tree(("100666", b"a", EMPTY)),
        "no mode": by_hand.tree(("", b"a", EMPTY)),
        "no name": by_hand.tree(("100644", b"", EMPTY)),
        "cut off": a[:-1],
        "more": a + b"x",
        "link for .gitmodules": by_hand.tree(("120000", b".gitmodules", EMPTY)),
        "link for .gitmodules on Windows": by_hand.tree(("120000", b"GITMOD~1", EMPTY)),
        "nonsense": b"1" * 100_000,
        "module": by_hand.tree(("160000", b"a", "1" * 40)),
    }


@pytest.mark.parametrize("content", bad_trees().values(), ids=bad_trees().keys())
def test_trees_that_git_would_not_write_are_refused(alice: TestClient, kept: Callable[[], int], content: bytes) -> None:
    before = kept()
    pack = Pack()
    pack.add(BLOB, b"")
    pack.add(TREE, b"")
    head = pack.add(COMMIT, by_hand.commit(pack.add(TREE, content)))
    assert "ng refs/heads/pushed" in push(alice, pack.bytes(), head)
    assert kept() == before


@pytest.mark.parametrize(
    "author",
    ["nobody", "A <a@b> x +0000", "A <a@b> 1 +0000\nx", "A <a@b> 99999999999999999999 +0000"],
)
def test_commits_that_cannot_be_shown_are_refused(alice: TestClient, author: str) -> None:
    pack = Pack()
    head = pack.add(COMMIT, by_hand.commit(pack.add(TREE, b""), author=author))
    assert "ng" in push(alice, pack.bytes(), head)


@pytest.mark.parametrize(
    "author", ["A <a@b> 99999999999999 +0000", "A <a@b> -5 +0000", "A <a@b> 1 +9999", " <> 1 -0000"]
)
def test_odd_times_and_names_are_taken_and_shown(alice: TestClient, author: str) -> None:
    pack = Pack()
    head = pack.add(COMMIT, by_hand.commit(pack.add(TREE, b""), author=author))
    assert "unpack ok" in push(alice, pack.bytes(), head)
    assert alice.get("/api/models/alice/bert/commits/pushed").status_code == 200
    assert alice.get("/api/models/alice/bert/refs").status_code == 200


def test_what_is_named_must_be_there(alice: TestClient, kept: Callable[[], int]) -> None:
    before = kept()
    for make in (
        lambda pack: pack.commit(("100644", b"a", "1" * 40)),
        lambda pack: pack.commit(("40000", b"a", "1" * 40)),
        lambda pack: pack.add(COMMIT, by_hand.commit("1" * 40)),
        lambda pack: pack.commit(parents=["1" * 40]),
        # there, and of another kind
        lambda pack: pack.commit(("40000", b"a", pack.add(BLOB, b"x"))),
        lambda pack: pack.commit(("100644", b"a", pack.add(TREE, b""))),
        lambda pack: pack.add(COMMIT, by_hand.commit(pack.add(BLOB, b"y"))),
        lambda pack: pack.commit(parents=[pack.add(BLOB, b"z")]),
    ):
        pack = Pack()
        head = make(pack)
        assert "unpack ok" not in push(alice, pack.bytes(), head)
    assert kept() == before


def test_a_ref_leads_to_a_commit_that_is_there(alice: TestClient) -> None:
    pack = Pack()
    blob = pack.add(BLOB, b"x")
    tag = pack.add(TAG, f"object {blob}\ntype blob\ntag t\ntagger A <a@b> 1 +0000\n\nx\n".encode())
    for new, ref in ((blob, "refs/heads/a"), (blob, "refs/tags/a"), (tag, "refs/tags/a"), ("1" * 40, "refs/heads/a")):
        assert f"ng {ref}" in push(alice, pack.bytes(), new, ref)
    assert [item["name"] for item in alice.get("/api/models/alice/bert/refs").json()["branches"]] == ["main"]
    assert alice.get("/api/models/alice/bert/refs").json()["tags"] == []


def test_damaged_packs_are_refused(alice: TestClient, kept: Callable[[], int]) -> None:
    pack = Pack()
    blob = pack.add(BLOB, os.urandom(5000))
    head = pack.commit(("100644", b"a", blob))
    good, before = pack.bytes(), kept()
    flipped = bytearray(good)
    flipped[100] ^= 1
    other_version = good.replace(b"PACK\0\0\0\2", b"PACK\0\0\0\7")
    for bad in (
        bytes(flipped),
        good[:-20] + b"\0" * 20,
        good[: len(good) // 2],
        good[:11],
        b"",
        good + b"more",
        other_version,
        pack.bytes(count=2),
        pack.bytes(count=4),
        pack.bytes(count=0xFFFFFFFF),
    ):
        assert "unpack ok" not in push(alice, bad, head)
    assert kept() == before
    assert "unpack ok" in push(alice, good, head)


def raw_object(kind: int, size: int, deflated: bytes) -> bytes:
    pack = Pack()
    pack.raw(by_hand.header(kind, size) + deflated)
    return pack.bytes()


@pytest.mark.parametrize(
    "bad",
    [
        raw_object(BLOB, 10, zlib.compress(b"x" * 9)),
        raw_object(BLOB, 10, zlib.compress(b"x" * 11)),
        raw_object(BLOB, 10, zlib.compress(b"x" * 10)[:-2]),
        raw_object(BLOB, 10, zlib.compress(b"x" * 10)[:-1] + b"?"),
        raw_object(BLOB, 10, b"no zlib at all"),
        raw_object(5, 10, zlib.compress(b"x" * 10)),
        raw_object(0, 10, zlib.compress(b"x" * 10)),
        raw_object(BLOB, 1 << 62, zlib.compress(b"x")),
        raw_object(COMMIT, 1 << 40, zlib.compress(b"x")),
    ],
)
def test_objects_that_are_not_what_they_announce_are_refused(alice: TestClient, bad: bytes) -> None:
    assert "unpack ok" not in push(alice, bad, "1" * 40)


def test_deltas_without_an_end_or_a_base_are_refused(alice: TestClient) -> None:
    copy_nothing = number(3) + number(3) + b"\x90\x03"
    lost = Pack()
    lost.add_named_delta("1" * 40, copy_nothing)
    backwards = Pack()
    backwards.add(BLOB, b"abc")
    backwards.add_delta(5000, copy_nothing)
    itself = Pack()
    itself.raw(by_hand.header(6, len(copy_nothing)) + b"\0" + zlib.compress(copy_nothing))
    for pack in (lost, backwards, itself):
        assert "unpack ok" not in push(alice, pack.bytes(), "1" * 40)


@pytest.mark.parametrize(
    "delta",
    [
        b"",
        number(3),
        number(3) + number(3),
        number(4) + number(3) + b"\x90\x03",  # of a base of another size
        number(3) + number(3) + b"\x90\x09",  # beyond the base
        number(3) + number(3) + b"\x91\x02\x03",
        number(3) + number(3) + b"\x90",
        number(3) + number(3) + b"\x05ab",
        number(3) + number(3) + b"\0abc",
        number(3) + number(2) + b"\x90\x03",  # more than announced
        number(3) + b"\xff" * 20,
    ],
)
def test_deltas_that_cannot_be_applied_are_refused(alice: TestClient, delta: bytes) -> None:
    pack = Pack()
    pack.add_named_delta(pack.add(BLOB, b"abc"), delta)
    assert "unpack ok" not in push(alice, pack.bytes(), "1" * 40)


def test_bombs_are_refused_before_they_unfold(alice: TestClient) -> None:
    # 256 kB that inflate to 256 MB, as a file and as a tree; a delta that copies 9 MB ten thousand times
    zeros = zlib.compressobj(9)
    deflated = b"".join(zeros.compress(bytes(1024 * 1024)) for _ in range(256)) + zeros.flush()
    base = bytes(9_000_000)
    size = 10_000 * len(base)
    copies = Pack()
    instructions = number(len(base)) + number(size) + (b"\xf0" + struct.pack("<I", len(base))[:3]) * 10_000
    copies.add_named_delta(copies.add(BLOB, base), instructions)
    understated = Pack()
    instructions = number(len(base)) + number(100) + (b"\xf0" + struct.pack("<I", len(base))[:3]) * 10_000
    understated.add_named_delta(understated.add(BLOB, base), instructions)
    bombs = (
        raw_object(BLOB, 256 * 1024**2, deflated),
        raw_object(TREE, 256 * 1024**2, deflated),
        raw_object(BLOB, 100, deflated),
        copies.bytes(),
        understated.bytes(),
    )
    tracemalloc.start()
    for bomb in bombs:
        assert "unpack ok" not in push(alice, bomb, "1" * 40)
    assert tracemalloc.get_traced_memory()[1] < 150 * 1024**2
    tracemalloc.stop()


def test_a_chain_of_too_many_deltas_is_refused(alice: TestClient) -> None:
    pack = Pack()
    content = b"start"
    pack.add(BLOB, content)
    before = 12
    for step in range(5000):
        delta = number(len(content)) + number(len(content)) + bytes([4]) + struct.pack(">I", step) + b"\x91\x04\x01"
        content = struct.pack(">I", step) + content[4:]
        before = pack.add_delta(pack.size - before, delta)
    assert "chain" in push(alice, pack.bytes(), "1" * 40)


def test_a_few_trees_that_stand_for_billions_of_files_are_refused(alice: TestClient) -> None:
    pack = Pack()
    folder = pack.add(
        TREE, by_hand.tree(*(("100644", f"{place:02}".encode(), pack.add(BLOB, b"x")) for place in range(10)))
    )
    for _ in range(10):
        folder = pack.add(TREE, by_hand.tree(*(("40000", f"{place:02}".encode(), folder) for place in range(10))))
    assert "stands for more than" in push(alice, pack.bytes(), pack.commit(("40000", b"a", folder)))


def test_the_same_built_up_over_several_pushes_is_refused(alice: TestClient) -> None:
    blob = Pack().add(BLOB, b"x")
    folder, old, answers = "", NOTHING, []
    for step in range(8):
        pack = Pack()
        pack.add(BLOB, b"x")
        kind, target = ("40000", folder) if step else ("100644", blob)
        folder = pack.add(TREE, by_hand.tree(*((kind, f"{place:02}".encode(), target) for place in range(10))))
        new = pack.commit(("40000", b"a", folder))
        answers.append(push(alice, pack.bytes(), new, old=old))
        old = new
    assert ["unpack ok" in answer for answer in answers] == [True] * 5 + [False] * 3


def test_folders_too_deep_are_refused(alice: TestClient) -> None:
    pack = Pack()
    folder = pack.add(TREE, b"")
    for _ in range(3000):
        folder = pack.add(TREE, by_hand.tree(("40000", b"a", folder)))
    assert "deep" in push(alice, pack.bytes(), pack.add(COMMIT, by_hand.commit(folder)))


@pytest.mark.parametrize(
    "body",
    [
        b"zzzz",
        b"0003",
        b"+004",
        b"00",
        b"ffffx",
        by_hand.packet(b"nonsense") + b"0000",
        by_hand.packet(b"1" * 40 + b" " + b"2" * 40) + b"0000",
        by_hand.packet(f"{NOTHING} {'1' * 40} refs/heads/\xff".encode("latin-1")) + b"0000",
        push_body((NOTHING, "1" * 40, "refs/heads/a"), (NOTHING, "2" * 40, "refs/heads/a")),
    ],
)
def test_a_body_that_is_no_push_is_refused(alice: TestClient, body: bytes) -> None:
    assert send(alice, body).status_code == 400


def test_an_empty_push_is_how_git_asks_whether_it_may(alice: TestClient) -> None:
    answer = send(alice, b"0000")
    assert (answer.status_code, answer.content) == (200, b"")


def test_gzip_bodies_are_taken_and_their_bombs_are_not(alice: TestClient) -> None:
    pack = Pack()
    head = pack.commit()
    body = push_body((NOTHING, head, "refs/heads/pushed"), pack=pack.bytes())
    assert "unpack ok" in send(alice, gzip.compress(body), **{"Content-Encoding": "gzip"}).text
    bomb = gzip.compress(b"0000" + bytes(100 * 1024 * 1024))
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/x-git-upload-pack-request"}
    assert alice.post("/alice/bert/git-upload-pack", content=bomb, headers=headers).status_code == 413
    for bad, encoding in ((body, "gzip"), (gzip.compress(body)[:-9], "gzip"), (body, "br")):
        assert send(alice, bad, **{"Content-Encoding": encoding}).status_code == 400


def test_pushes_above_the_limit_are_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    hub = hub_in(tmp_path_factory.mktemp("small") / "hub", largest_push_bytes=100_000)
    headers = {"Authorization": f"Bearer {hub.user('alice')}"}
    alice = TestClient(create_application(hub.hub), headers=headers, raise_server_exceptions=False)
    alice.post("/api/repos/create", json={"name": "bert"})
    large = Pack()
    head = large.commit(("100644", b"a", large.add(BLOB, os.urandom(200_000))))
    assert send(alice, push_body((NOTHING, head, "refs/heads/a"), pack=large.bytes())).status_code == 413
    unfolding = Pack()
    for step in range(30):
        unfolding.add(BLOB, bytes(100_000) + str(step).encode())
    assert "unpacks to more than" in push(alice, unfolding.bytes(), "1" * 40)
    hub.hub.close()
