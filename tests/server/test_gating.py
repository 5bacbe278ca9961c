"""Gated repositories: asking, being let in or not, lists and the report."""

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.accounts.records import accounts, audit_log
from madang.server.api.gating import csv_line
from madang.server.repositories.gating import fields_of
from madang.server.repositories.records import repositories
from madang.testing.hub import HubForTests
from tests.server.two_people import run_client

Clients = Callable[..., TestClient]
BASE = "/api/models/alice/bert/user-access-request"
ASK = "/alice/bert/ask-access"
CONTENT = "/api/models/alice/bert/tree/main"
CARD = {
    "extra_gated_fields": {
        "Company": "text",
        "Purpose": {"type": "select", "options": ["Research", {"label": "Other use", "value": "other"}]},
        "I agree": "checkbox",
        "geo": "ip_location",
    }
}
ANSWERS = {"Company": "Lab", "Purpose": "other", "I agree": True}


@pytest.fixture
def alice(client: Clients, hub: HubForTests) -> TestClient:
    """The owner of a repository that is gated by hand."""
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    change(hub, gated="manual")
    return made


def change(hub: HubForTests, **values: Any) -> None:
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().values(**values))


def mail(hub: HubForTests, name: str) -> None:
    with hub.hub.database.write() as connection:
        change = accounts.update().where(accounts.c.name == name)
        connection.execute(change.values(email=f"{name}@example.org"))


def listed(user: TestClient, status: str) -> list[dict[str, Any]]:
    answer = user.get(f"{BASE}/{status}")
    assert answer.status_code == 200, answer.text
    return list(answer.json())


def names(user: TestClient, status: str) -> list[str]:
    return [item["user"]["user"] for item in listed(user, status)]


def test_who_asks_is_let_in_when_the_owner_accepts(alice: TestClient, client: Clients) -> None:
    bob = client("bob")
    assert (bob.get(CONTENT).status_code, bob.get(CONTENT).headers["x-error-code"]) == (403, "GatedRepo")
    assert bob.post(ASK).json() == {"status": "pending"}
    assert bob.get(CONTENT).status_code == 403
    assert names(alice, "pending") == ["bob"]
    assert alice.post(f"{BASE}/handle", json={"user": "bob", "status": "accepted"}).status_code == 200
    assert (names(alice, "pending"), names(alice, "accepted")) == ([], ["bob"])
    assert bob.get(CONTENT).status_code == 200
    assert client("carol").get(CONTENT).status_code == 403


def test_automatic_gates_open_at_once(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    waiting = client("carol")
    waiting.post(ASK)
    change(hub, gated="auto")
    bob = client("bob")
    assert bob.post(ASK).json() == {"status": "accepted"}
    assert bob.get(CONTENT).status_code == 200
    # who waited for a person asks again, and is in
    assert waiting.post(ASK).json() == {"status": "accepted"}


def test_asking_twice_changes_nothing(alice: TestClient, client: Clients) -> None:
    bob = client("bob")
    bob.post(ASK)
    alice.post(f"{BASE}/handle", json={"user": "bob", "status": "rejected", "rejectionReason": "Who are you?"})
    assert bob.post(ASK).json() == {"status": "rejected"}
    (item,) = listed(alice, "rejected")
    assert item["rejectionReason"] == "Who are you?"


def test_rejected_and_cancelled_requests_shut_the_door(alice: TestClient, client: Clients) -> None:
    bob = client("bob")
    bob.post(ASK)
    for status, content in (("accepted", 200), ("rejected", 403), ("accepted", 200), ("pending", 403)):
        assert alice.post(f"{BASE}/handle", json={"user": "bob", "status": status}).status_code == 200
        assert bob.get(CONTENT).status_code == content


def test_questions_of_the_card_must_be_answered(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    change(hub, card=CARD)
    bob = client("bob")
    refused = bob.post(ASK, json={"Purpose": "fun", "I agree": "no"})
    assert refused.status_code == 400
    for part in ("'Company' must be answered", "'Purpose' must be one of: Research, other", "'I agree' must be agreed"):
        assert part in refused.json()["error"]
    assert names(alice, "pending") == []
    assert bob.post(ASK, json={**ANSWERS, "other": "dropped"}).status_code == 200
    (item,) = listed(alice, "pending")
    assert item["fields"] == ANSWERS


def test_forms_ask_as_well_and_lead_back_to_the_page(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    change(hub, card=CARD)
    bob = client("bob")
    answer = bob.post(
        ASK,
        data={"Company": "연구소", "Purpose": "Research", "I agree": "on"},
        headers={"Accept": "text/html"},
        follow_redirects=False,
    )
    assert (answer.status_code, answer.headers["location"]) == (303, "http://testserver/alice/bert")
    (item,) = listed(alice, "pending")
    assert item["fields"] == {"Company": "연구소", "Purpose": "Research", "I agree": True}


@pytest.mark.parametrize("body", [b"[]", b"{", b"[" * 50_000, b'"' + b"x" * 100_000 + b'"', b"\xff\xfe"])
def test_hostile_answers_are_refused(alice: TestClient, client: Clients, body: bytes) -> None:
    answer = client("bob").post(ASK, content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 400
    assert names(alice, "pending") == []


def test_only_signed_in_people_ask(alice: TestClient, client: Clients) -> None:
    assert client().post(ASK).status_code == 401
    assert client("bob", role="read").post(ASK).status_code == 403
    assert client("bob").post("/alice/nothing/ask-access").status_code == 404


def test_what_is_not_gated_needs_no_access(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    change(hub, gated="")
    assert client("bob").post(ASK).status_code == 400
    assert alice.post(f"{BASE}/grant", json={"user": "bob"}).status_code == 400
    assert alice.post(f"{BASE}/handle", json={"user": "bob", "status": "accepted"}).status_code == 400


def test_owners_grant_access_without_being_asked(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    bob = client("bob")
    mail(hub, "bob")
    assert alice.post(f"{BASE}/grant", json={"user": "BOB"}).json() == {"status": "accepted"}
    assert bob.get(CONTENT).status_code == 200
    (item,) = listed(alice, "accepted")
    assert "email" not in item["user"]
    assert "bob@example.org" not in alice.get("/alice/bert/user-access-report").text
    assert alice.post(f"{BASE}/grant", json={"user": "bob"}).status_code == 400
    assert alice.post(f"{BASE}/grant", json={"user": "nobody"}).status_code == 404


def test_who_asks_shows_their_address(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    bob = client("bob")
    mail(hub, "bob")
    bob.post(ASK)
    assert listed(alice, "pending")[0]["user"]["email"] == "bob@example.org"
    # granting would hide it: the request is there already
    assert alice.post(f"{BASE}/grant", json={"user": "bob"}).status_code == 400


def test_requests_are_handled_by_their_id_too(alice: TestClient, client: Clients) -> None:
    client("bob").post(ASK)
    identity = listed(alice, "pending")[0]["requestId"]
    assert alice.post(f"{BASE}/handle", json={"requestId": identity, "status": "accepted"}).status_code == 200
    for wrong in ("f" * 24, "x" * 24, "1"):
        assert alice.post(f"{BASE}/handle", json={"requestId": wrong, "status": "accepted"}).status_code == 404
    for both in ({}, {"user": "bob", "requestId": identity}):
        assert alice.post(f"{BASE}/handle", json={**both, "status": "rejected"}).status_code == 400


def test_an_id_of_another_repository_opens_nothing(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    client("bob").post(ASK)
    identity = listed(alice, "pending")[0]["requestId"]
    mallory = client("mallory")
    mallory.post("/api/repos/create", json={"name": "trap"})
    change(hub, gated="manual")
    other = "/api/models/mallory/trap/user-access-request/handle"
    assert mallory.post(other, json={"requestId": identity, "status": "accepted"}).status_code == 404
    assert names(alice, "pending") == ["bob"]


def test_the_same_status_again_is_an_error(alice: TestClient, client: Clients) -> None:
    client("bob").post(ASK)
    for status in ("pending", "accepted", "rejected"):
        if status != "pending":
            alice.post(f"{BASE}/handle", json={"user": "bob", "status": status})
        again = alice.post(f"{BASE}/handle", json={"user": "bob", "status": status})
        assert (again.status_code, f"already in the {status} list" in again.json()["error"]) == (404, True)


@pytest.mark.parametrize(
    "body",
    [
        {"status": "accepted", "rejectionReason": "why"},
        {"status": "rejected", "rejectionReason": "x" * 201},
        {"status": "strange"},
    ],
)
def test_decisions_that_make_no_sense_are_refused(alice: TestClient, client: Clients, body: dict[str, str]) -> None:
    client("bob").post(ASK)
    assert alice.post(f"{BASE}/handle", json={"user": "bob", **body}).status_code == 400


def test_nobody_but_administrators_sees_or_decides(alice: TestClient, client: Clients) -> None:
    client("bob").post(ASK)
    for user, refused in ((client("bob"), 403), (client("alice", role="read"), 403), (client(), 401)):
        assert user.get(f"{BASE}/pending").status_code == refused
        assert user.get("/alice/bert/user-access-report").status_code == refused
        assert user.post(f"{BASE}/grant", json={"user": "bob"}).status_code == refused
        assert user.post(f"{BASE}/handle", json={"user": "bob", "status": "accepted"}).status_code == refused
    assert names(alice, "pending") == ["bob"]


def test_lists_come_in_pages(alice: TestClient, client: Clients) -> None:
    users = [f"user{number}" for number in range(5)]
    for name in users:
        client(name).post(ASK)
    address, seen = f"{BASE}/pending?limit=2", []
    while address:
        answer = alice.get(address.removeprefix("http://testserver"))
        seen.append([item["user"]["user"] for item in answer.json()])
        found = re.fullmatch('<(.*)>; rel="next"', answer.headers.get("link", ""))
        address = found.group(1) if found else ""
    assert seen == [users[:2], users[2:4], users[4:]]


def test_the_report_has_every_request(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    change(hub, card=CARD)
    client("bob").post(ASK, json=ANSWERS)
    change(hub, card={"extra_gated_fields": {"Company": "text"}})
    client("carol").post(ASK, json={"Company": '=HYPERLINK("http://evil")'})
    answer = alice.get("/alice/bert/user-access-report")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"].startswith("attachment")
    head, bob, carol = csv.reader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert head == ["user", "fullname", "email", "status", "time", "reason", "Company", "earlier questions"]
    assert (bob[0], bob[3], bob[6], bob[7]) == ("bob", "pending", "Lab", '{"Purpose": "other", "I agree": true}')
    assert (carol[0], carol[6]) == ("carol", '\'=HYPERLINK("http://evil")')


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "\n=1", "＝1"])
def test_no_cell_of_a_report_is_a_formula(cell: str) -> None:
    (read,) = next(csv.reader(io.StringIO(csv_line([cell]), newline="")))
    assert read == "'" + cell


def test_decisions_are_in_the_audit_log(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    client("bob").post(ASK)
    client("carol")
    for status in ("accepted", "rejected", "pending"):
        alice.post(f"{BASE}/handle", json={"user": "bob", "status": status})
    alice.post(f"{BASE}/grant", json={"user": "carol"})
    with hub.hub.database.read() as connection:
        rows = connection.execute(audit_log.select().where(audit_log.c.action.startswith("access."))).all()
    assert [(row.action, row.actor, row.details["user"]) for row in rows] == [
        ("access.accept", "alice", "bob"),
        ("access.reject", "alice", "bob"),
        ("access.cancel", "alice", "bob"),
        ("access.grant", "alice", "carol"),
    ]


@pytest.mark.parametrize(
    "card", [{}, {"extra_gated_fields": "text"}, {"extra_gated_fields": {"a": [], "b": {}, "c": 1}}]
)
def test_cards_without_sense_ask_nothing(card: dict[str, Any]) -> None:
    assert fields_of(card) == []


@pytest.mark.loopback
def test_the_public_client_decides_about_access(served: HubForTests, tmp_path: Path) -> None:
    run_client("gating.py", served, tmp_path)
