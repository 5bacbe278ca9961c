"""Discussions: opening them, what is said in them, who may change what."""

import time
from collections.abc import Callable

import pytest
from fastapi.testclient import TestClient

from madang.server.discussions import events, records
from madang.server.rendering import render_markdown
from madang.testing.hub import HubForTests

Clients = Callable[..., TestClient]
BASE = "/api/models/alice/bert/discussions"


@pytest.fixture
def alice(client: Clients) -> TestClient:
    """The owner of a public repository."""
    made = client("alice")
    made.post("/api/repos/create", json={"name": "bert"})
    return made


def opened(user: TestClient, title: str = "A question", **more: object) -> int:
    answer = user.post(BASE, json={"title": title, "description": "Why?", "pullRequest": False, **more})
    assert answer.status_code == 200, answer.text
    return int(answer.json()["num"])


def details(user: TestClient, number: int) -> dict:
    return user.get(f"{BASE}/{number}?diff=1").json()


def test_a_discussion_begins_with_its_description(alice: TestClient, client: Clients) -> None:
    number = opened(client("bob"))
    found = details(alice, number)
    assert (found["num"], found["title"], found["status"], found["isPullRequest"]) == (1, "A question", "open", False)
    assert (found["repo"], found["author"]["name"]) == ({"name": "alice/bert", "type": "model"}, "bob")
    (first,) = found["events"]
    assert (first["type"], first["data"]["latest"]["raw"]) == ("comment", "Why?")
    assert first["data"] | {"latest": None} == {"edited": False, "hidden": False, "latest": None, "history": []}
    assert len(first["id"]) == 24
    assert "diff" not in found


def test_every_answer_says_the_same_of_it(alice: TestClient) -> None:
    number = opened(alice)
    assert details(alice, number) == details(alice, number)
    listed = alice.get(BASE).json()["discussions"][0]
    for key in ("num", "title", "status", "createdAt", "isPullRequest", "repo", "author"):
        assert listed[key] == details(alice, number)[key]


def test_numbers_are_counted_within_a_repository(alice: TestClient) -> None:
    alice.post("/api/repos/create", json={"name": "other"})
    assert [opened(alice), opened(alice)] == [1, 2]
    other = alice.post("/api/models/alice/other/discussions", json={"title": "First here", "description": ""})
    assert other.json()["num"] == 1


def test_lists_come_in_pages_the_newest_first(alice: TestClient) -> None:
    for number in range(53):
        opened(alice, f"Number {number}")
    first, second = (alice.get(BASE, params={"p": page}).json() for page in (0, 1))
    assert (first["count"], first["start"], second["count"], second["start"]) == (53, 0, 53, 50)
    numbers = [item["num"] for page in (first, second) for item in page["discussions"]]
    assert numbers == list(range(53, 0, -1))
    assert alice.get(BASE, params={"p": 7}).json()["discussions"] == []


def test_lists_are_filtered_by_type_status_and_author(alice: TestClient, client: Clients) -> None:
    bob = client("bob")
    question, closed, request = opened(bob), opened(alice), opened(alice, pullRequest=True)
    alice.post(f"{BASE}/{closed}/status", json={"status": "closed"})

    def numbers(**asked: str) -> list[int]:
        return [item["num"] for item in alice.get(BASE, params=asked).json()["discussions"]]

    assert numbers(type="discussion") == [closed, question]
    assert numbers(type="pull_request") == [request]
    assert numbers(type="all", status="all") == [request, closed, question]
    # drafts count as open
    assert numbers(status="open") == [request, question]
    assert numbers(status="closed") == [closed]
    assert numbers(author="BOB") == [question]
    assert numbers(author="nobody") == []
    assert alice.get(BASE, params={"status": "strange"}).status_code == 400
    assert alice.get(BASE, params={"p": "-1"}).status_code == 400


def test_comments_are_added_in_order(alice: TestClient, client: Clients) -> None:
    number = opened(alice)
    made = client("bob").post(f"{BASE}/{number}/comment", json={"comment": "**Because**"}).json()["newMessage"]
    assert made["data"]["latest"]["html"] == "<p><strong>Because</strong></p>\n"
    assert details(alice, number)["events"][-1] == made


def test_edits_keep_what_was_said_before(alice: TestClient, client: Clients) -> None:
    bob = client("bob")
    number = opened(bob)
    comment = details(bob, number)["events"][0]["id"]
    for user, text in ((bob, "Why so slow?"), (alice, "Why is it slow?")):
        answer = user.post(f"{BASE}/{number}/comment/{comment}/edit", json={"content": text})
        assert answer.status_code == 200, answer.text
    changed = details(bob, number)["events"][0]
    assert answer.json()["updatedComment"] == changed
    assert changed["data"]["edited"]
    assert changed["data"]["latest"]["raw"] == "Why is it slow?"
    assert (changed["author"]["name"], changed["data"]["latest"]["author"]["name"]) == ("bob", "alice")
    assert [version["raw"] for version in changed["data"]["history"]] == ["Why?", "Why so slow?"]


def test_what_a_hidden_comment_said_is_kept_nowhere(alice: TestClient, hub: HubForTests) -> None:
    number = opened(alice, description="my password is hunter2")
    comment = details(alice, number)["events"][0]["id"]
    alice.post(f"{BASE}/{number}/comment/{comment}/edit", json={"content": "it was hunter2"})
    hidden = alice.post(f"{BASE}/{number}/comment/{comment}/hide")
    assert hidden.json()["updatedComment"]["data"]["hidden"]
    assert "hunter2" not in alice.get(f"{BASE}/{number}").text
    with hub.hub.database.read() as connection:
        assert "hunter2" not in str(connection.execute(records.versions.select()).all())
    again = alice.post(f"{BASE}/{number}/comment/{comment}/edit", json={"content": "back again"})
    assert again.status_code == 404


def test_titles_and_statuses_change_with_an_event(alice: TestClient) -> None:
    number = opened(alice)
    renamed = alice.post(f"{BASE}/{number}/title", json={"title": "  A better question "}).json()["newTitle"]
    assert renamed["data"] == {"from": "A question", "to": "A better question"}
    closed = alice.post(f"{BASE}/{number}/status", json={"status": "closed", "comment": "Done."}).json()["newStatus"]
    assert closed["data"] == {"status": "closed"}
    found = details(alice, number)
    assert (found["title"], found["status"]) == ("A better question", "closed")
    assert [event["type"] for event in found["events"]] == ["comment", "title-change", "comment", "status-change"]
    assert alice.post(f"{BASE}/{number}/status", json={"status": "closed"}).status_code == 409
    assert alice.post(f"{BASE}/{number}/status", json={"status": "merged"}).status_code == 400


def test_only_authors_and_writers_change_things(alice: TestClient, client: Clients) -> None:
    number = opened(client("bob"))
    comment = details(alice, number)["events"][0]["id"]
    calls = {
        "title": {"title": "Mine now"},
        "status": {"status": "closed"},
        f"comment/{comment}/edit": {"content": "I was wrong"},
        f"comment/{comment}/hide": None,
    }
    before = details(alice, number)
    for path, body in calls.items():
        assert client("carol").post(f"{BASE}/{number}/{path}", json=body).status_code == 403
        assert client().post(f"{BASE}/{number}/{path}", json=body).status_code == 401
    assert details(alice, number) == before
    for path, body in calls.items():
        assert client("bob").post(f"{BASE}/{number}/{path}", json=body).status_code == 200


def test_tokens_that_may_only_read_say_nothing(alice: TestClient, client: Clients) -> None:
    reader = client("bob", role="read")
    assert reader.get(BASE).status_code == 200
    refused = reader.post(BASE, json={"title": "Hello there", "description": ""})
    assert (refused.status_code, "may not write" in refused.json()["error"]) == (403, True)


def test_discussions_of_a_private_repository_look_absent(client: Clients) -> None:
    alice = client("alice")
    alice.post("/api/repos/create", json={"name": "secret", "private": True})
    alice.post("/api/models/alice/secret/discussions", json={"title": "Hidden", "description": ""})
    for address in ("/api/models/alice/secret/discussions", "/api/models/alice/secret/discussions/1"):
        hidden, missing = client("bob").get(address), client("bob").get(address.replace("secret", "nothing"))
        assert (hidden.status_code, hidden.headers["x-error-code"]) == (404, "RepoNotFound")
        assert hidden.json() == missing.json()
    assert (
        client("bob").post("/api/models/alice/secret/discussions/1/comment", json={"comment": "x"}).status_code == 404
    )


def test_comments_are_found_in_their_discussion_only(alice: TestClient, client: Clients) -> None:
    opened(alice)
    mine = opened(client("bob"))
    theirs = details(alice, 1)["events"][0]["id"]
    for identity in (theirs, "f" * 24, "0" * 24, "x" * 24, "1", "%20", "-" + "1" * 23, "1_1" + "0" * 21):
        answer = client("bob").post(f"{BASE}/{mine}/comment/{identity}/edit", json={"content": "mine"})
        assert answer.status_code == 404, identity


@pytest.mark.parametrize("number", ["0", "2", "99999999999999999999999999"])
def test_a_number_nobody_has_is_not_found(alice: TestClient, number: str) -> None:
    opened(alice)
    assert alice.get(f"{BASE}/{number}").status_code == 404
    assert alice.post(f"{BASE}/{number}/comment", json={"comment": "hello"}).status_code == 404


@pytest.mark.parametrize("title", ["", "ab", "   a   ", "x" * 201])
def test_titles_are_neither_too_short_nor_too_long(alice: TestClient, title: str) -> None:
    assert alice.post(BASE, json={"title": title, "description": ""}).status_code == 400
    assert alice.get(BASE).json()["count"] == 0


def test_strange_characters_do_no_harm(alice: TestClient) -> None:
    raw = b'{"title": "a\\u0000b\\ud800c", "description": "x\\u0000\\udfff"}'
    made = alice.post(BASE, content=raw, headers={"Content-Type": "application/json"})
    assert made.status_code in (200, 400)
    assert alice.get(BASE).status_code == 200


def test_a_comment_has_a_greatest_length(alice: TestClient) -> None:
    number = opened(alice)
    assert alice.post(f"{BASE}/{number}/comment", json={"comment": "x" * 70_000}).status_code == 400
    assert alice.post(f"{BASE}/{number}/comment", json={"comment": " \n "}).status_code == 400
    assert len(details(alice, number)["events"]) == 1


def test_a_full_discussion_takes_no_more_and_can_still_be_closed(
    alice: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEAVIEST", 1000)
    number = opened(alice)
    assert alice.post(f"{BASE}/{number}/comment", json={"comment": "x" * 100}).status_code == 200
    full = alice.post(f"{BASE}/{number}/comment", json={"comment": "x" * 200})
    assert (full.status_code, "greatest length" in full.json()["error"]) == (400, True)
    assert len(details(alice, number)["events"]) == 2
    comment = details(alice, number)["events"][1]["id"]
    assert alice.post(f"{BASE}/{number}/comment/{comment}/hide").status_code == 200
    assert alice.post(f"{BASE}/{number}/status", json={"status": "closed"}).status_code == 200


def test_a_disabled_repository_is_locked(alice: TestClient, hub: HubForTests) -> None:
    from madang.server.repositories.records import repositories

    number = opened(alice)
    with hub.hub.database.write() as connection:
        connection.execute(repositories.update().values(disabled=True))
    for answer in (alice.get(f"{BASE}/{number}"), alice.post(f"{BASE}/{number}/comment", json={"comment": "hello"})):
        assert (answer.status_code, answer.headers["x-error-message"]) == (
            403,
            "Access to this resource is disabled.",
        )


def test_discussions_of_deleted_accounts_stay(alice: TestClient, client: Clients, hub: HubForTests) -> None:
    from madang.server.accounts.records import accounts

    number = opened(client("bob"))
    with hub.hub.database.write() as connection:
        connection.execute(accounts.delete().where(accounts.c.name == "bob"))
    found = details(alice, number)
    assert "author" not in found
    assert "author" not in found["events"][0]
    assert "author" not in found["events"][0]["data"]["latest"]


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](JaVaScRiPt&colon;alert(1))",
        "![x](data:text/html;base64,PHNjcmlwdD4=)",
        "<a href='//evil' style='position:fixed'>x</a>",
        '[x](http://a "\\" onmouseover=alert(1) \\"")',
        "<svg/onload=alert(1)>",
        "`<iframe src=//evil>`",
        '```html" onclick=alert(1)\n<b>\n```',
        "| a |\n|:-:|\n| <form action=//evil> |",
    ],
)
def test_no_html_of_a_comment_gets_through(text: str) -> None:
    from html.parser import HTMLParser

    found: list[tuple[str, dict[str, str | None]]] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.append((tag, dict(attrs)))

    Reader().feed(render_markdown(text))
    for tag, attributes in found:
        assert tag in {"p", "a", "img", "code", "pre", "table", "thead", "tbody", "tr", "th", "td"}
        assert not {name for name in attributes if name.startswith("on") or name == "style"}
        for name in ("href", "src"):
            assert (attributes.get(name) or "http:").startswith("http")


def test_links_of_comments_are_not_followed_by_search_engines() -> None:
    html = render_markdown("[here](https://example.org)")
    assert html == '<p><a href="https://example.org" rel="nofollow noopener noreferrer">here</a></p>\n'


@pytest.mark.parametrize(
    "text", ["[" * 60_000, "*a " * 20_000, "> " * 30_000, "- " * 30_000, "`" * 60_000, "<" * 60_000]
)
def test_rendering_hostile_texts_ends_in_time(text: str) -> None:
    before = time.thread_time()
    render_markdown(text)
    assert time.thread_time() - before < 10
