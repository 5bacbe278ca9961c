"""The audit log: what is in it, who may read it, that it only grows."""

import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DatabaseError

from madang.server.accounts import audit, users
from madang.server.accounts.audit import OPERATOR
from madang.server.accounts.caller import Caller, Token
from madang.server.accounts.finding import user_named
from madang.server.accounts.tokens import give_token
from madang.testing.hub import HubForTests


def actions(hub: HubForTests) -> list[str]:
    with hub.hub.database.read() as connection:
        return [event.action for event in audit.all_events(connection)]


def test_a_line_says_who_by_what_from_where_did_what(hub: HubForTests) -> None:
    hub.user("alice")
    with hub.hub.database.write() as connection:
        alice = user_named(connection, "alice")
        caller = Caller(alice, Token(1, "laptop", "write"), "192.0.2.7")
        audit.record(connection, caller, "repository.delete", repository="alice/bert")
        event = audit.events(connection, limit=1)[0]
    assert (event.action, event.actor, event.token, event.address) == (
        *("repository.delete", "alice", "laptop", "192.0.2.7"),
    )
    assert event.details == {"repository": "alice/bert"}


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'eve'", "DELETE FROM audit_log"])
def test_lines_can_neither_be_changed_nor_removed(statement: str, hub: HubForTests) -> None:
    hub.user("alice")
    before = actions(hub)
    with pytest.raises(DatabaseError, match="append-only"), hub.hub.database.write() as connection:
        connection.execute(text(statement))
    assert actions(hub) == before == ["user.create"]


def test_the_log_outlives_whom_it_tells_of(hub: HubForTests) -> None:
    hub.user("alice")
    with hub.hub.database.write() as connection:
        alice = user_named(connection, "alice")
        give_token(connection, Caller(alice), alice, "mine", "read")
        users.delete_user(connection, Caller(alice), alice)
    assert actions(hub) == ["user.delete", "token.create", "user.create"]


def test_what_is_undone_leaves_no_line(hub: HubForTests) -> None:
    def undone() -> None:
        with hub.hub.database.write() as connection:
            users.create_user(connection, OPERATOR, "alice")
            raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        undone()
    assert actions(hub) == []


def test_no_secret_is_written_down(hub: HubForTests) -> None:
    hub.user("alice")
    with hub.hub.database.write() as connection:
        secret = give_token(connection, OPERATOR, user_named(connection, "alice"), "mine", "read")
    with hub.hub.database.read() as connection:
        written = json.dumps([vars(event) for event in audit.all_events(connection)])
    assert secret not in written
    assert secret[3:] not in written


def test_only_administrators_read_it(client, hub: HubForTests) -> None:
    assert client().get("/api/audit").status_code == 401
    assert client("alice").get("/api/audit").status_code == 403
    root = client("root", administrator=True)
    assert root.get("/api/audit").json()[0]["details"]["name"] == "root"
    assert root.get("/api/audit").json()[0]["at"].endswith("Z")
    for role, scopes in (("read", []), ("fineGrained", [])):
        assert client("root", role=role, scopes=scopes).get("/api/audit").status_code == 403


def test_it_comes_page_by_page(client, hub: HubForTests) -> None:
    root = client("root", administrator=True)
    for number in range(5):
        hub.user(f"user{number}")
    seen, path = [], "/api/audit?limit=4"
    while path:
        answer = root.get(path)
        seen += [event["details"]["name"] for event in answer.json()]
        path = answer.links["next"]["url"] if "link" in answer.headers else None
    assert seen == [*(f"user{number}" for number in reversed(range(5))), "root"]


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "before=x", "before=99999999999999999999"])
def test_senseless_pages_are_refused(query: str, client) -> None:
    assert client("root", administrator=True).get(f"/api/audit?{query}").status_code == 400
