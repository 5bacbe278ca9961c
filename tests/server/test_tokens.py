"""Access tokens: what each kind allows, how they end, what is kept of them."""

import base64
import re
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import text

from madang.server.accounts import tokens
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.finding import organisation_named, user_named
from madang.server.accounts.scopes import OF_OWNERS, OF_REPOSITORIES, parse_scope
from madang.server.clock import now
from madang.server.errors import InvalidRequest
from madang.testing.hub import HubForTests

BAD = "Invalid credentials in Authorization header"
Client = Callable[..., TestClient]


def scope(name: str, *permissions: str) -> dict[str, object]:
    kind, _, entity = name.partition(":")
    return {"entity": {"type": kind, "name": entity}, "permissions": list(permissions)}


def give(hub: HubForTests, user: str, role: str = "read", scopes=(), **more) -> str:
    with hub.hub.database.write() as connection:
        name = more.pop("name", "mine")
        return tokens.give_token(connection, OPERATOR, user_named(connection, user), name, role, scopes, **more)


@pytest.mark.parametrize(
    "authorization",
    [
        "Bearer hf_nothing",
        "Bearer ",
        "Bearer",
        "Digest x",
        "Basic !!!",
        "Basic " + base64.b64encode(b"\xff\xfe").decode(),
        "Basic " + base64.b64encode(b"alice:wrong").decode(),
        "Bearer " + "x" * 10_000,
    ],
)
def test_a_bad_token_is_told_in_the_words_clients_know(authorization: str, client: Client) -> None:
    for path in ("/api/whoami-v2", "/api/models/alice/bert"):
        refused = client().get(path, headers={"Authorization": authorization})
        assert (refused.status_code, refused.headers["x-error-message"]) == (401, BAD)
        assert "x-error-code" not in refused.headers
        assert refused.json()["error"] == BAD


@pytest.mark.parametrize("user", ["alice:{}", "hf_user:{}", ":{}", "{}:", "{}"])
def test_git_sends_the_token_as_a_password_of_anybody(user: str, client: Client, hub: HubForTests) -> None:
    sent = base64.b64encode(user.format(hub.user("alice")).encode()).decode()
    assert client().get("/api/whoami-v2", headers={"Authorization": f"Basic {sent}"}).json()["name"] == "alice"


def test_only_a_hash_is_kept(hub: HubForTests) -> None:
    secret = hub.user("alice")
    assert re.fullmatch(r"hf_[A-Za-z0-9]{34}", secret)
    with hub.hub.database.read() as connection:
        row = connection.execute(text("SELECT * FROM tokens")).one()
    assert secret not in map(str, row)


def test_a_token_ends_on_its_day(client: Client, hub: HubForTests) -> None:
    client("alice")
    headers = {"Authorization": f"Bearer {give(hub, 'alice', days=7)}"}
    assert client().get("/api/whoami-v2", headers=headers).status_code == 200
    with hub.hub.database.write() as connection:
        connection.execute(text(f"UPDATE tokens SET expires_at = {now() - 1} WHERE name = 'mine'"))
    assert client().get("/api/whoami-v2", headers=headers).headers["x-error-message"] == BAD


def test_the_last_use_is_noted_once_a_minute(client: Client, hub: HubForTests, monkeypatch) -> None:
    alice = client("alice")
    noted = []
    monkeypatch.setattr(
        tokens,
        "note_use",
        lambda connection, identity, real=tokens.note_use: (noted.append(identity), real(connection, identity)),
    )
    for _ in range(3):
        assert alice.get("/api/whoami-v2").status_code == 200
    assert len(noted) == 1
    with hub.hub.database.write() as connection:
        assert tokens.tokens_of(connection)[0].used_at > now() - 10_000
        connection.execute(text(f"UPDATE tokens SET used_at = {now() - 61_000}"))
    alice.get("/api/whoami-v2")
    assert len(noted) == 2


def test_reading_does_not_wait_until_the_use_is_noted(client: Client, hub: HubForTests, monkeypatch) -> None:
    order = []
    monkeypatch.setattr(tokens, "note_use", lambda *_: order.append("noted"))
    from madang.server.accounts import describing

    monkeypatch.setattr(describing, "who_am_i", lambda *_: order.append("answered") or {})
    client("alice").get("/api/whoami-v2")
    assert order == ["answered", "noted"]


def test_while_the_database_is_held_nobody_waits_to_note_a_use(client: Client, hub: HubForTests, monkeypatch) -> None:
    from madang.server.api import asking

    noted = []
    monkeypatch.setattr(tokens, "note_use", lambda *_: noted.append(1))
    alice = client("alice")
    with asking._noting:
        assert alice.get("/api/whoami-v2").status_code == 200
    assert noted == []
    alice.get("/api/whoami-v2")
    assert noted == [1]


def test_a_revoked_token_works_no_more(client: Client, hub: HubForTests) -> None:
    alice, bob = client("alice"), client("bob")
    with hub.hub.database.write() as connection:
        number = tokens.tokens_of(connection, user_named(connection, "alice"))[0].id
        tokens.revoke_token(connection, OPERATOR, number)
    assert alice.get("/api/whoami-v2").status_code == 401
    assert bob.get("/api/whoami-v2").status_code == 200


def test_tokens_of_others_cannot_be_revoked(client: Client, hub: HubForTests) -> None:
    alice = client("alice")
    client("bob")
    with hub.hub.database.write() as connection:
        bob = user_named(connection, "bob")
        number = tokens.tokens_of(connection, user_named(connection, "alice"))[0].id
        with pytest.raises(Exception, match="no token"):
            tokens.revoke_token(connection, OPERATOR, number, bob)
    assert alice.get("/api/whoami-v2").status_code == 200


def test_a_read_token_sees_what_is_private_and_changes_nothing(client: Client, hub: HubForTests) -> None:
    client("alice").post("/api/repos/create", json={"name": "secret", "private": True})
    reader = client("alice", role="read")
    assert reader.get("/api/models/alice/secret").status_code == 200
    assert reader.post("/api/repos/create", json={"name": "new"}).status_code == 403
    assert reader.request("DELETE", "/api/repos/delete", json={"name": "secret"}).status_code == 403
    assert reader.post("/api/organizations", json={"name": "lab"}).status_code == 403
    assert reader.get("/api/whoami-v2").json()["auth"]["accessToken"]["role"] == "read"


def test_a_token_for_one_repository_sees_no_other_private_one(client: Client, hub: HubForTests) -> None:
    alice = client("alice")
    for name in ("one", "two"):
        alice.post("/api/repos/create", json={"name": name, "private": True})
    alice.post("/api/repos/create", json={"name": "one", "type": "dataset", "private": True})
    headers = {
        "Authorization": f"Bearer {give(hub, 'alice', 'fineGrained', [scope('model:Alice/ONE', 'repo.content.read')])}"
    }
    assert client().get("/api/models/alice/one", headers=headers).status_code == 200
    for path in ("/api/models/alice/two", "/api/datasets/alice/one"):
        assert client().get(path, headers=headers).headers["x-error-code"] == "RepoNotFound"
    assert client().post("/api/repos/create", json={"name": "x"}, headers=headers).status_code == 403


def test_whoami_tells_a_fine_grained_token_no_more_than_it_is_for(client: Client, hub: HubForTests) -> None:
    client("alice")
    for name in ("lab", "other"):
        hub.organisation(name, alice="admin")
    secret = give(hub, "alice", "fineGrained", [scope("org:LAB", "repo.write")])
    told = client().get("/api/whoami-v2", headers={"Authorization": f"Bearer {secret}"}).json()
    assert [organisation["name"] for organisation in told["orgs"]] == ["lab"]
    assert told["email"] is None
    token = told["auth"]["accessToken"]
    assert token["role"] == "fineGrained"
    assert token["fineGrained"]["scoped"] == [scope("org:lab", "repo.write")]


def test_fine_grained_tokens_make_repositories_only_where_they_may(client: Client, hub: HubForTests) -> None:
    client("alice")
    hub.organisation("lab", alice="admin")
    secret = give(hub, "alice", "fineGrained", [scope("org:lab", "repo.write")])
    headers = {"Authorization": f"Bearer {secret}"}
    made = client().post("/api/repos/create", json={"name": "x", "organization": "lab"}, headers=headers)
    assert made.status_code == 200
    assert client().post("/api/repos/create", json={"name": "x"}, headers=headers).status_code == 403


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ([], "at least one scope"),
        ([{}], "an entity"),
        ([{"entity": "x", "permissions": ["repo.write"]}], "an entity"),
        ([{"entity": {"type": "model", "name": "alice/one"}, "permissions": []}], "list of permissions"),
        ([scope("model:alice/one", "repo.rite")], "no permission 'repo.rite' over a model"),
        ([scope("model:alice/one", "org.write")], "no permission 'org.write'"),
        ([scope("bucket:alice/one", "repo.write")], "'bucket' can't be given access"),
        ([scope("model:alice/two", "repo.write")], "no model 'alice/two' that alice can see"),
        ([scope("model:bob/secret", "repo.write")], "no model 'bob/secret' that alice can see"),
        ([scope("org:alice", "repo.write")], "no org 'alice'"),
        ([{"entity": {"type": ["model"], "name": {}}, "permissions": ["repo.write"]}], "can't be given access"),
        ([scope("model:alice/one", "repo.write")] * 101, "at most 100"),
    ],
)
def test_scopes_are_checked_when_the_token_is_made(wrong, said: str, client: Client, hub: HubForTests) -> None:
    client("alice").post("/api/repos/create", json={"name": "one"})
    client("bob").post("/api/repos/create", json={"name": "secret", "private": True})
    with pytest.raises(InvalidRequest, match=said):
        give(hub, "alice", "fineGrained", wrong)


def test_permissions_have_the_names_of_the_public_hub() -> None:
    assert {"repo.content.read", "repo.write", "repo.access.read", "discussion.write"} <= set(OF_REPOSITORIES)
    assert {"collection.read", "collection.write", "org.read", "org.write"} <= set(OF_OWNERS)


@pytest.mark.parametrize("name", ["", "  ", "a[b", "a]b", "default", "DEFAULT", "x" * 97, "a\x07b"])
def test_names_that_clients_cannot_write_into_their_file_are_refused(name: str, client: Client, hub) -> None:
    client("alice")
    with pytest.raises(InvalidRequest, match="cannot be the name of a token"):
        give(hub, "alice", name=name)


@pytest.mark.parametrize(
    ("role", "more", "said"),
    [
        ("admin", {}, "no role of a token"),
        ("read", {"scopes": [scope("user:alice", "repo.write")]}, "Only fine-grained"),
        ("read", {"days": 0}, "between 1 and 3650"),
        ("read", {"days": 10**6}, "between 1 and 3650"),
    ],
)
def test_what_no_token_can_be_is_refused(role: str, more, said: str, client: Client, hub: HubForTests) -> None:
    client("alice")
    with pytest.raises(InvalidRequest, match=said):
        give(hub, "alice", role, **more)


def test_organisations_have_no_tokens(client: Client, hub: HubForTests) -> None:
    client("alice")
    hub.organisation("lab", alice="admin")
    with hub.hub.database.write() as connection, pytest.raises(InvalidRequest, match="only users have tokens"):
        tokens.give_token(connection, OPERATOR, organisation_named(connection, "lab"), "x", "read")


def test_scopes_are_written_in_one_line() -> None:
    assert parse_scope("model:alice/bert = repo.content.read, repo.write") == scope(
        "model:alice/bert", "repo.content.read", "repo.write"
    )
    for wrong in ("", "model", "model:alice/bert", "model:=repo.write", "alice/bert=repo.write"):
        with pytest.raises(InvalidRequest, match="is no scope"):
            parse_scope(wrong)


def test_each_kind_of_token_answers_for_every_permission() -> None:
    from madang.server.accounts.caller import Token

    write, read = Token(1, "w", "write"), Token(2, "r", "read")
    fine = Token(3, "f", "fineGrained", [scope("model:alice/bert", "discussion.write"), scope("org:lab", "repo.write")])
    assert write.may("discussion.write", "model", "alice/bert")
    assert not read.may("discussion.write", "model", "alice/bert")
    assert read.may_below("collection.read", "alice")
    assert fine.may("discussion.write", "model", "Alice/Bert")
    assert not fine.may("discussion.write", "dataset", "alice/bert")
    assert not fine.may("discussion.write", "model", "lab/bert")
    assert fine.may_below("repo.write", "LAB")
    assert not fine.may_below("repo.write", "laboratory")
    assert not fine.may_below("collection.write", "lab")
