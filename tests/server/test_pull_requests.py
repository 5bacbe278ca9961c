"""Pull requests: commits on their refs, what they change, merging them."""

import subprocess
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from madang.server.accounts.caller import Right
from madang.server.accounts.records import audit_log
from madang.server.accounts.tokens import caller_of
from madang.server.app import create_application
from madang.server.discussions import merges, pushes
from madang.server.discussions.events import Text
from madang.server.discussions.service import open_pull_request
from madang.server.errors import Conflict
from madang.server.git.commits import NewFile
from madang.server.git.refs import read_ref
from madang.server.repositories import service
from madang.server.repositories.access import find
from madang.testing.hub import HubForTests, hub_in
from tests.server.two_people import run_client

Clients = Callable[..., TestClient]
API = "/api/models/alice/bert"
BASE = f"{API}/discussions"
MAIN = "refs/heads/main"
TEXT = "one\ntwo\nthree\nfour\nfive\n"


class Work:
    """A repository of alice with a text on main, and what people do to it."""

    def __init__(self, hub: HubForTests, client: Clients) -> None:
        self.hub, self.client = hub, client
        self.alice, self.bob = client("alice"), client("bob")
        self.alice.post("/api/repos/create", json={"name": "bert"})
        self.commit("alice", MAIN, {"text.txt": TEXT, "other.txt": "1\n"})

    def commit(self, name: str, ref: str, files: dict[str, str | None], message: str = "Change") -> str:
        token = self.hub.user(name)
        with self.hub.hub.database.write() as connection:
            caller = caller_of(connection, f"Bearer {token}")
            repository = find(connection, caller, "model", "alice/bert").repository
            changes = {path: None if text is None else NewFile(text.encode()) for path, text in files.items()}
            assert caller.account is not None
            return service.change_files(connection, repository, ref, changes, author=caller.account, message=message)

    def open(self, files: dict[str, str | None] | None = None, *, draft: bool = False, title: str = "Better") -> int:
        made = self.bob.post(BASE, json={"title": title, "description": "See below", "pullRequest": True})
        number = int(made.json()["num"])
        if files is not None:
            self.commit("bob", f"refs/pr/{number}", files, "Improve things\n\nIn detail")
        if not draft:
            assert self.bob.post(f"{BASE}/{number}/status", json={"status": "open"}).status_code == 200
        return number

    def details(self, number: int) -> dict[str, Any]:
        answer = self.alice.get(f"{BASE}/{number}?diff=1")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def head(self, ref: str = MAIN) -> str | None:
        with self.hub.hub.database.read() as connection:
            return read_ref(connection, 1, ref)

    def files(self, revision: str = "main") -> dict[str, str]:
        items = self.alice.get(f"{API}/tree/{revision.replace('/', '%2F')}").json()
        names = [item["path"] for item in items if item["path"] != ".gitattributes"]
        encoded = revision.replace("/", "%2F")
        return {name: self.alice.get(f"/alice/bert/resolve/{encoded}/{name}").text for name in names}


@pytest.fixture
def work(hub: HubForTests, client: Clients) -> Work:
    return Work(hub, client)


def test_a_pull_request_begins_as_a_draft_at_the_head_of_main(work: Work) -> None:
    number = work.open(draft=True)
    found = work.details(number)
    assert (found["isPullRequest"], found["status"], found["changes"]) == (True, "draft", {"base": MAIN})
    assert (found["filesWithConflicts"], found["diff"]) == ([], "")
    assert work.head(f"refs/pr/{number}") == work.head()
    assert [event["type"] for event in found["events"]] == ["comment"]


def test_publishing_a_draft_is_an_event(work: Work) -> None:
    found = work.details(work.open())
    assert (found["status"], found["events"][-1]["data"]) == ("open", {"status": "open"})


def test_commits_on_the_ref_are_events_and_make_the_diff(work: Work) -> None:
    number = work.open({"text.txt": TEXT.replace("three", "3"), "new.txt": "new"})
    found = work.details(number)
    (event,) = [event for event in found["events"] if event["type"] == "commit"]
    assert event["data"] == {"subject": "Improve things", "oid": work.head(f"refs/pr/{number}")}
    assert event["author"]["name"] == "bob"
    assert "-three\n+3\n" in found["diff"]
    assert found["diff"].startswith("diff --git a/new.txt b/new.txt\nnew file mode 100644\n")
    assert "diff" not in work.alice.get(f"{BASE}/{number}").json()


def test_the_files_of_a_pull_request_are_read_by_its_ref(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    assert work.files(f"refs/pr/{number}")["other.txt"] == "2\n"
    assert work.files()["other.txt"] == "1\n"


def test_merging_makes_a_commit_with_both_parents(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    main, head = work.head(), work.head(f"refs/pr/{number}")
    before = work.details(number)["diff"]
    answer = work.alice.post(f"{BASE}/{number}/merge", json={"comment": "Thank you"})
    assert answer.status_code == 200, answer.text
    found = work.details(number)
    assert (found["status"], found["changes"]["mergeCommitId"]) == ("merged", work.head())
    assert [event["type"] for event in found["events"][-2:]] == ["comment", "status-change"]
    assert found["events"][-1]["data"]["status"] == "merged"
    assert (found["diff"], found["filesWithConflicts"]) == (before, [])
    assert work.files() == {"text.txt": TEXT, "other.txt": "2\n"}
    with work.hub.hub.database.read() as connection:
        from madang.server.git.store import Objects

        commit = Objects(connection, 1).commit(str(work.head()))
        assert [row.action for row in connection.execute(audit_log.select())].count("pull_request.merge") == 1
    assert commit.parents == (main, head)
    assert commit.message == (
        f"Better (#{number})\n\n- Improve things ({head})\n\n\nCo-authored-by: bob <bob@users.noreply.madang>"
    )


def test_changes_of_both_sides_are_merged(work: Work) -> None:
    number = work.open({"text.txt": TEXT.replace("one", "ONE")})
    work.commit("alice", MAIN, {"text.txt": TEXT.replace("five", "FIVE"), "third.txt": "3"})
    assert work.details(number)["filesWithConflicts"] == []
    # main moved: what the pull request itself changes is still all there is in its diff
    assert "third.txt" not in work.details(number)["diff"]
    assert work.alice.post(f"{BASE}/{number}/merge").status_code == 200
    assert work.files() == {
        "text.txt": TEXT.replace("one", "ONE").replace("five", "FIVE"),
        "other.txt": "1\n",
        "third.txt": "3",
    }


def test_conflicts_are_named_and_change_nothing(work: Work) -> None:
    number = work.open({"text.txt": TEXT.replace("one", "ONE"), "other.txt": "2\n"})
    work.commit("alice", MAIN, {"text.txt": TEXT.replace("one", "1")})
    main, before = work.head(), work.details(number)
    assert before["filesWithConflicts"] == ["text.txt"]
    answer = work.alice.post(f"{BASE}/{number}/merge", json={"comment": "Now"})
    assert (answer.status_code, answer.json()["filesWithConflicts"]) == (409, ["text.txt"])
    assert (work.head(), work.details(number)) == (main, before)
    # resolved on the side of the pull request, it can be merged
    work.commit("bob", f"refs/pr/{number}", {"text.txt": TEXT})
    work.commit("alice", MAIN, {"text.txt": TEXT})
    assert work.details(number)["filesWithConflicts"] == []
    assert work.alice.post(f"{BASE}/{number}/merge").status_code == 200


def test_only_writers_merge(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    main = work.head()
    assert work.bob.post(f"{BASE}/{number}/merge").status_code == 403
    assert work.client().post(f"{BASE}/{number}/merge").status_code == 401
    assert work.client("alice", role="read").post(f"{BASE}/{number}/merge").status_code == 403
    assert (work.head(), work.details(number)["status"]) == (main, "open")


def test_only_open_pull_requests_are_merged(work: Work) -> None:
    question = int(work.bob.post(BASE, json={"title": "Question", "description": ""}).json()["num"])
    draft = work.open({"other.txt": "2\n"}, draft=True)
    closed = work.open({"other.txt": "2\n"})
    work.bob.post(f"{BASE}/{closed}/status", json={"status": "closed"})
    empty = work.open()
    merged = work.open({"other.txt": "3\n"})
    assert work.alice.post(f"{BASE}/{merged}/merge").status_code == 200
    main = work.head()
    for number, status in ((question, 400), (draft, 409), (closed, 409), (empty, 400), (merged, 409)):
        assert work.alice.post(f"{BASE}/{number}/merge").status_code == status
    assert work.head() == main
    assert work.alice.post(f"{BASE}/{merged}/status", json={"status": "open"}).status_code == 409


def test_nothing_is_added_to_what_is_closed(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    head = work.head(f"refs/pr/{number}")
    work.bob.post(f"{BASE}/{number}/status", json={"status": "closed"})
    with pytest.raises(Conflict, match="closed"):
        work.commit("bob", f"refs/pr/{number}", {"other.txt": "3\n"})
    assert work.head(f"refs/pr/{number}") == head
    work.bob.post(f"{BASE}/{number}/status", json={"status": "open"})
    work.commit("bob", f"refs/pr/{number}", {"other.txt": "3\n"})
    assert len([event for event in work.details(number)["events"] if event["type"] == "commit"]) == 2


def test_commits_that_main_has_are_no_news(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    work.commit("alice", MAIN, {"a": "1"}, "On main")
    token = work.hub.user("bob")
    with work.hub.hub.database.write() as connection:
        # what `git merge main` on the pull request makes
        from madang.server.git.objects import Commit, Signature
        from madang.server.git.refs import move_ref
        from madang.server.git.store import Objects

        caller = caller_of(connection, f"Bearer {token}")
        repository = find(connection, caller, "model", "alice/bert").repository
        objects, ref = Objects(connection, repository.id), f"refs/pr/{number}"
        main, head = str(read_ref(connection, 1, MAIN)), str(read_ref(connection, 1, ref))
        who = Signature("bob", "bob@example.org", 2_000_000_000)
        commit = Commit(objects.commit(head).tree, (head, main), who, who, "Merge main").encode()
        objects.put([commit])
        move_ref(connection, 1, ref, head, commit.oid)
        service.after_change(connection, repository, {ref: commit.oid}, author=caller.account)
    subjects = [event["data"]["subject"] for event in work.details(number)["events"] if event["type"] == "commit"]
    assert subjects == ["Improve things", "Merge main"]


def test_refs_that_belong_to_no_pull_request_are_refused(work: Work) -> None:
    question = int(work.bob.post(BASE, json={"title": "Question", "description": ""}).json()["num"])
    token = work.hub.user("alice")
    for ref in (f"refs/pr/{question}", "refs/pr/99", "refs/pr/0", "refs/pr/x", "refs/pr/1/2", "refs/pr/" + "9" * 30):
        with work.hub.hub.database.read() as connection:
            found = find(connection, caller_of(connection, f"Bearer {token}"), "model", "alice/bert")
            with pytest.raises(Exception, match=r"no discussion|can be no ref"):
                pushes.check_push(connection, caller_of(connection, f"Bearer {token}"), found, ref)
            with pytest.raises(Exception, match=r"no discussion|can be no ref"):
                pushes.pushed(connection, found.repository, ref, None, "0" * 40)


def test_authors_and_writers_push(work: Work) -> None:
    number = work.open({"other.txt": "2\n"})
    may = {"alice": True, "bob": True, "carol": False}
    for name, allowed in may.items():
        token, reading = work.hub.user(name), work.hub.user(name, role="read")
        with work.hub.hub.database.read() as connection:
            for secret, expected in ((token, allowed), (reading, False)):
                caller = caller_of(connection, f"Bearer {secret}")
                found = find(connection, caller, "model", "alice/bert", Right.READ)
                try:
                    pushes.check_push(connection, caller, found, f"refs/pr/{number}")
                    pushed = True
                except Exception as error:
                    pushed = "may" not in str(error)
                assert pushed == expected


def test_a_push_to_main_in_between_has_the_merge_repeated(work: Work, monkeypatch: pytest.MonkeyPatch) -> None:
    number = work.open({"other.txt": "2\n"})
    original = merges.prepare

    def prepared_too_early(*given: Any) -> Any:
        found = original(*given)
        work.commit("alice", MAIN, {"quick.txt": "1"})
        return found

    monkeypatch.setattr(merges, "prepare", prepared_too_early)
    answer = work.alice.post(f"{BASE}/{number}/merge")
    assert (answer.status_code, "repeat" in answer.json()["error"]) == (409, True)
    assert (work.details(number)["status"], "other.txt" in work.files()) == ("open", True)
    assert work.files()["other.txt"] == "1\n"
    monkeypatch.setattr(merges, "prepare", original)
    assert work.alice.post(f"{BASE}/{number}/merge").status_code == 200
    assert work.files()["quick.txt"] == "1"


def test_a_push_to_the_pull_request_in_between_is_not_merged_unseen(
    work: Work, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = work.open({"other.txt": "2\n"})
    original = merges.prepare

    def prepared_too_early(*given: Any) -> Any:
        found = original(*given)
        work.commit("bob", f"refs/pr/{number}", {"evil.txt": "1"})
        return found

    monkeypatch.setattr(merges, "prepare", prepared_too_early)
    assert work.alice.post(f"{BASE}/{number}/merge").status_code == 409
    assert "evil.txt" not in work.files()


def test_of_many_merges_at_once_each_is_whole_or_refused(work: Work) -> None:
    numbers = [work.open({f"file{index}.txt": "x"}) for index in range(4)]
    statuses = at_once([partial(work.alice.post, f"{BASE}/{number}/merge") for number in numbers])
    answers = dict(zip(numbers, statuses, strict=True))
    assert set(answers.values()) <= {200, 409}
    assert 200 in answers.values()
    for index, number in enumerate(numbers):
        expected = "merged" if answers[number] == 200 else "open"
        assert work.details(number)["status"] == expected
        assert (f"file{index}.txt" in work.files()) == (expected == "merged")


@pytest.mark.loopback
def test_on_postgresql_what_happens_at_once_happens_once(postgresql: str, tmp_path: Path) -> None:
    made = hub_in(tmp_path / "hub", database_url=postgresql)
    application = create_application(made.hub)

    def client(user: str, **token: Any) -> TestClient:
        return TestClient(application, headers={"Authorization": f"Bearer {made.user(user, **token)}"})

    try:
        work = Work(made, client)
        at_once([lambda: work.bob.post(BASE, json={"title": "Same moment", "description": ""})] * 8)
        numbers = [item["num"] for item in work.alice.get(BASE).json()["discussions"]]
        assert numbers == list(range(8, 0, -1))
        at_once([lambda: work.bob.post(f"{API}/like")] * 8)
        assert work.alice.get(API).json()["likes"] == 1
        requests = [work.open({f"file{index}.txt": "x"}) for index in range(4)]
        merged = at_once([partial(work.alice.post, f"{BASE}/{number}/merge") for number in requests])
        assert 200 in merged
        assert set(merged) <= {200, 409}
        files = work.files()
        for index, status in enumerate(merged):
            assert (f"file{index}.txt" in files) == (status == 200)
    finally:
        made.hub.close()


def at_once(calls: Sequence[Callable[[], Any]]) -> list[int]:
    """The statuses of requests that are all sent before the first is answered."""
    with ThreadPoolExecutor(len(calls)) as pool:
        return [answer.status_code for answer in pool.map(lambda call: call(), calls)]


@pytest.mark.loopback
def test_the_public_client_does_all_of_it(served: HubForTests, tmp_path: Path) -> None:
    run_client("discussions.py", served, tmp_path)


@pytest.mark.loopback
def test_git_fetches_the_ref_of_a_pull_request(served: HubForTests, tmp_path: Path) -> None:
    token = served.user("alice")
    with served.hub.database.write() as connection:
        caller = caller_of(connection, f"Bearer {token}")
        assert caller.account is not None
        repository = service.create(connection, caller, "model", "bert")
        made = open_pull_request(connection, repository, caller.account, "Better", Text.of(""))
        files = {"new.txt": NewFile(b"new")}
        head = service.change_files(connection, repository, made.ref, files, author=caller.account, message="New")
    commands = (
        ["git", "init", "-q", "."],
        ["git", "fetch", "-q", f"{served.address}/alice/bert", "refs/pr/1:refs/heads/pr"],
        ["git", "rev-parse", "pr"],
    )
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == head
