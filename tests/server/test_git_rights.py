"""Who may clone and push with git, and what they are told."""

import base64
import hashlib
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from madang.server.git.pointers import Pointer
from madang.server.large_files import service as large_files
from madang.server.repositories.records import repositories
from madang.testing.hub import HubForTests
from tests.server.git_packs import BLOB, NOTHING, Pack, push, push_body, send

CLONE, PUSH = "/info/refs?service=git-upload-pack", "/info/refs?service=git-receive-pack"


@pytest.fixture
def alice(client: Callable[..., TestClient]) -> TestClient:
    """alice, with a public and a private repository."""
    made = client("alice")
    for name, private in (("bert", False), ("secret", True)):
        assert made.post("/api/repos/create", json={"name": name, "private": private}).status_code == 200
    return made


def test_nobody_is_asked_for_a_token_where_one_may_help(alice: TestClient, client: Callable[..., TestClient]) -> None:
    nobody = client()
    assert nobody.get("/alice/bert" + CLONE).status_code == 200
    asked = [nobody.get(path) for path in ("/alice/bert" + PUSH, "/alice/secret" + CLONE, "/alice/nothing" + CLONE)]
    asked += [nobody.post(f"/alice/{name}/git-receive-pack", content=b"0000") for name in ("bert", "secret", "nothing")]
    asked += [nobody.post(f"/alice/{name}/git-upload-pack", content=b"0000") for name in ("secret", "nothing")]
    for answer in asked:
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Basic realm=")
        assert answer.headers["content-type"].startswith("text/plain")


def test_a_private_repository_looks_absent_to_git_too(alice: TestClient, client: Callable[..., TestClient]) -> None:
    for stranger in (client("bob"), client()):
        for service in (CLONE, PUSH):
            hidden, missing = stranger.get("/alice/secret" + service), stranger.get("/alice/nothing" + service)
            assert hidden.status_code == missing.status_code in (401, 404)
            assert hidden.text == missing.text
            kept = {"www-authenticate", "content-type", "x-error-code"}
            assert {key: hidden.headers.get(key) for key in kept} == {key: missing.headers.get(key) for key in kept}


def test_the_token_is_the_password_whatever_the_name(
    hub: HubForTests, alice: TestClient, client: Callable[..., TestClient]
) -> None:
    def basic(text: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(text.encode()).decode()}

    nobody, token = client(), hub.user("alice")
    for pair in (f"alice:{token}", f"x:{token}", f":{token}", f"{token}:", token):
        assert nobody.get("/alice/secret" + PUSH, headers=basic(pair)).status_code == 200
    for wrong in ("alice:hf_wrong", "alice:password", ":", ""):
        answer = nobody.get("/alice/secret" + CLONE, headers=basic(wrong))
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers
    # also where no token would be needed: a wrong one is said to be wrong
    assert nobody.get("/alice/bert" + CLONE, headers=basic("alice:hf_wrong")).status_code == 401


def test_reading_is_not_writing(alice: TestClient, client: Callable[..., TestClient]) -> None:
    pack = Pack()
    head = pack.commit()
    body = push_body((NOTHING, head, "refs/heads/x"), pack=pack.bytes())
    for stranger in (client("bob"), client("alice", role="read")):
        assert stranger.get("/alice/bert" + CLONE).status_code == 200
        refused = stranger.get("/alice/bert" + PUSH)
        assert refused.status_code == 403
        assert "content-type" in refused.headers
        assert send(stranger, body).status_code == 403
    assert client("alice", role="read").get("/alice/secret" + CLONE).status_code == 200
    scopes = [{"entity": {"type": "model", "name": "alice/bert"}, "permissions": ["repo.content.read", "repo.write"]}]
    limited = client("alice", role="fineGrained", scopes=scopes)
    assert limited.get("/alice/bert" + PUSH).status_code == 200
    assert limited.get("/alice/secret" + CLONE).status_code == 404


def test_gated_content_is_for_those_who_were_let_in(
    hub: HubForTests, alice: TestClient, client: Callable[..., TestClient]
) -> None:
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().where(repositories.c.key == "alice/bert").values(gated="auto"))
    for stranger, status in ((client("bob"), 403), (client(), 401)):
        refused = stranger.get("/alice/bert" + CLONE)
        assert (refused.status_code, refused.headers["x-error-code"]) == (status, "GatedRepo")
        assert "restricted" in refused.text
        assert stranger.post("/alice/bert/git-upload-pack", content=b"0000").status_code == status
    assert alice.get("/alice/bert" + CLONE).status_code == 200


def test_a_disabled_repository_is_closed_to_git(hub: HubForTests, alice: TestClient) -> None:
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().where(repositories.c.key == "alice/bert").values(disabled=True))
    assert alice.get("/alice/bert" + CLONE).status_code == 403


def test_the_author_of_a_pull_request_pushes_to_it_and_to_nothing_else(
    alice: TestClient, client: Callable[..., TestClient]
) -> None:
    bob, carol = client("bob"), client("carol")
    opened = bob.post("/api/models/alice/bert/discussions", json={"title": "Better", "pullRequest": True})
    assert opened.status_code == 200, opened.text
    main = alice.get("/api/models/alice/bert").json()["sha"]
    pack = Pack()
    head = pack.commit(("100644", b"a", pack.add(BLOB, b"x")), parents=[main])
    assert carol.get("/alice/bert" + PUSH).status_code == 403
    assert bob.get("/alice/bert" + PUSH).status_code == 200
    answer = push(bob, pack.bytes(), head, "refs/heads/main", old=main)
    assert "ng refs/heads/main" in answer
    assert alice.get("/api/models/alice/bert").json()["sha"] == main
    assert "ok refs/pr/1" in push(bob, pack.bytes(), head, "refs/pr/1", old=main)
    assert alice.get("/api/models/alice/bert/revision/refs%2Fpr%2F1").json()["sha"] == head
    shown = alice.get("/api/models/alice/bert/discussions/1").json()
    assert [event["data"]["oid"] for event in shown["events"] if event["type"] == "commit"] == [head]
    again = Pack()
    newer = again.commit(parents=[head])
    assert "ok refs/pr/1" in push(alice, again.bytes(), newer, "refs/pr/1", old=head)
    assert "ng refs/pr/1" in send(alice, push_body((newer, NOTHING, "refs/pr/1"))).text
    assert alice.post("/api/models/alice/bert/discussions/1/status", json={"status": "closed"}).status_code == 200
    closed = Pack()
    newest = closed.commit(parents=[newer])
    assert "ng refs/pr/1" in push(bob, closed.bytes(), newest, "refs/pr/1", old=newer)
    assert alice.get("/api/models/alice/bert/revision/refs%2Fpr%2F1").json()["sha"] == newer


def pushed_pointer(who: TestClient, content: bytes, size: int | None = None, ref: str = "refs/heads/x") -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    pack = Pack()
    blob = pack.add(BLOB, Pointer(sha256, len(content) if size is None else size).encode())
    head = pack.commit(("40000", b"weights", pack.add(2, b"100644 model.bin\0" + bytes.fromhex(blob))))
    return push(who, pack.bytes(), head, ref)


def test_pointers_name_content_that_the_pusher_brought(
    hub: HubForTests, alice: TestClient, client: Callable[..., TestClient]
) -> None:
    bob = client("bob")
    for user, name, content in ((alice, "other", b"of alice"), (bob, "other", b"of bob")):
        user.post("/api/repos/create", json={"name": name}).raise_for_status()
        with hub.hub.database.read() as connection:
            owner = "alice" if user is alice else "bob"
            key = f"{owner}/other"
            row = connection.execute(repositories.select().where(repositories.c.key == key)).one()
        sha256 = hashlib.sha256(content).hexdigest()
        large_files.keep(hub.hub, row.id, [content], sha256, len(content), row.owner_id)
    for content, size in ((b"of bob", None), (b"nobody's", None), (b"of alice", 5)):
        answer = pushed_pointer(alice, content, size)
        assert "weights/model.bin" in answer
        assert "git lfs push" in answer
        assert "ng refs/heads/x" in answer
    assert "unpack ok" in pushed_pointer(alice, b"of alice")
    assert alice.get("/alice/bert/resolve/x/weights/model.bin").content == b"of alice"
    # the repository has it now, so bob, when alice lets him write, may name it too; of his own he may not speak for her
    assert "git lfs push" in pushed_pointer(alice, b"of bob", ref="refs/heads/y")


def test_only_git_services_are_answered(alice: TestClient) -> None:
    assert alice.get("/alice/bert/info/refs").status_code == 400
    assert alice.get("/alice/bert/info/refs?service=git-upload-archive").status_code == 400
    assert alice.get("/alice/bert.git/HEAD").status_code == 404
    answer = alice.get("/alice/bert" + CLONE, headers={"Git-Protocol": "version=2"})
    assert answer.headers["content-type"] == "application/x-git-upload-pack-advertisement"
    assert "no-cache" in answer.headers["cache-control"]


@pytest.mark.parametrize(
    "body",
    [
        b"0032want " + b"1" * 40 + b"\n00000009done\n",
        b"0032want " + b"g" * 40 + b"\n0000",
        b"0010nonsense....0000",
        b"zz",
    ],
)
@pytest.mark.parametrize("version", ["0", "2"])
def test_what_cannot_be_fetched_is_told_in_words_git_shows(alice: TestClient, body: bytes, version: str) -> None:
    answer = alice.post("/alice/bert/git-upload-pack", content=body, headers={"Git-Protocol": f"version={version}"})
    assert answer.status_code == 200
    assert answer.content[4:8] == b"ERR "


def test_unknown_commands_and_filters_are_told_too(alice: TestClient) -> None:
    main = alice.get("/api/models/alice/bert").json()["sha"]
    for lines in (["command=drop"], ["command=fetch", f"want {main}", "filter sparse:oid=main"]):
        packets = [f"{len(text) + 5:04x}{text}\n" for text in lines]
        body = packets[0] + "0001" + "".join(packets[1:]) + "0000"
        answer = alice.post("/alice/bert/git-upload-pack", content=body, headers={"Git-Protocol": "version=2"})
        assert b"ERR " in answer.content
