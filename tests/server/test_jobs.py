"""Tasks in the background: run when due, by one process at a time, again after a crash."""

import threading
import time
from collections.abc import Callable

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from madang.server.clock import now
from madang.server.database import insert
from madang.server.hub import Hub
from madang.server.jobs import popularity, running
from madang.server.jobs.all import TASKS
from madang.server.jobs.records import tasks
from madang.server.jobs.running import Runner, State, Task
from madang.server.repositories.downloads import DAY
from madang.server.repositories.records import downloads, likes, repositories
from madang.testing.hub import HubForTests
from tests.server.catalog import Catalog
from tests.server.test_listing import names

Clients = Callable[..., TestClient]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The time of the tasks: one number that tests move."""
    moment = [1_800_000_000_000]
    monkeypatch.setattr(running, "now", lambda: moment[0])
    return moment


def test_a_task_runs_step_by_step_and_then_waits(hub: HubForTests, clock: list[int]) -> None:
    seen: list[State] = []

    def step(_: Hub, state: State) -> State | None:
        seen.append(state)
        return {"after": len(seen)} if len(seen) < 3 else None

    runner = Runner(hub.hub, {"count": Task("count", 60, step)})
    assert [runner.run_due() for _ in range(5)] == [1, 1, 1, 0, 0]
    assert seen == [{}, {"after": 1}, {"after": 2}]
    clock[0] += 59_999
    assert runner.run_due() == 0
    clock[0] += 1
    assert runner.run_due() == 1
    assert seen[3] == {}


def test_two_processes_never_run_the_same_step_at_once(hub: HubForTests) -> None:
    inside, most, steps = [0], [0], [0]
    lock = threading.Lock()

    def step(_: Hub, state: State) -> State | None:
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        time.sleep(0.01)
        with lock:
            inside[0] -= 1
            steps[0] += 1
        return {"done": state.get("done", 0) + 1} if state.get("done", 0) < 9 else None

    registered = {"one": Task("one", 3600, step)}

    def process() -> None:
        runner = Runner(hub.hub, registered)
        end = time.monotonic() + 20
        while steps[0] < 10 and time.monotonic() < end:
            runner.run_due()

    threads = [threading.Thread(target=process) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most[0], steps[0]) == (1, 10)


def test_a_step_whose_process_died_is_begun_again_after_the_lease(hub: HubForTests, clock: list[int]) -> None:
    ran: list[str] = []
    registered = {"one": Task("one", 60, lambda hub, state: ran.append("again"))}
    dead, alive = Runner(hub.hub, registered), Runner(hub.hub, registered)
    assert dead._take(registered["one"]) == {}
    assert alive.run_due() == 0
    clock[0] += running.LEASE_SECONDS * 1000
    assert alive.run_due() == 1
    assert ran == ["again"]
    # the dead one was only slow: what it reports now does not count any more
    with hub.hub.database.read() as connection:
        before = connection.execute(sa.select(tasks)).all()
    dead._give_back(registered["one"], {"stale": True}, None)
    with hub.hub.database.read() as connection:
        assert connection.execute(sa.select(tasks)).all() == before


def test_a_task_that_fails_is_noted_and_leaves_the_others_alone(
    hub: HubForTests, clock: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    ran: list[str] = []

    def broken(_: Hub, state: State) -> None:
        raise ValueError("no such thing")

    good = Task("good", 60, lambda hub, state: ran.append("good"))
    runner = Runner(hub.hub, {"bad": Task("bad", 60, broken), "good": good})
    assert runner.run_due() == 2
    assert ran == ["good"]
    with hub.hub.database.read() as connection:
        errors = {row.name: row.error for row in connection.execute(sa.select(tasks))}
    assert errors == {"bad": "ValueError: no such thing", "good": None}
    assert "bad" in caplog.text
    assert runner.run_due() == 0


def test_two_tasks_cannot_have_one_name() -> None:
    with pytest.raises(ValueError, match="popularity"):
        running.task("popularity", every=1)(lambda hub, state: None)
    assert TASKS["popularity"].step is popularity.popularity


def test_tasks_run_while_the_application_is_served(hub: HubForTests, monkeypatch: pytest.MonkeyPatch) -> None:
    ran = threading.Event()
    monkeypatch.setitem(TASKS, "probe", Task("probe", 3600, lambda hub, state: ran.set()))
    monkeypatch.setattr(running.Runner.__init__, "__kwdefaults__", {"look_every": 0.01})
    from madang.server.app import create_application

    with TestClient(create_application(hub.hub)):
        assert ran.wait(10)
    assert not [thread for thread in threading.enumerate() if thread.name == "tasks"]


def run_popularity(hub: HubForTests) -> None:
    state: State | None = {}
    while state is not None:
        state = popularity.popularity(hub.hub, state)


def test_trending_follows_recent_likes_and_downloads(
    hub: HubForTests, client: Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(popularity, "REPOSITORIES_PER_STEP", 2)
    catalog = Catalog(hub)
    numbers = {name: catalog.add(f"alice/{name}") for name in ("quiet", "liked", "loaded", "yesterday", "forgotten")}
    fans = [f"fan{number}" for number in range(4)]
    for fan in fans:
        hub.user(fan)
    today = now() // DAY
    with hub.hub.database.write() as connection:
        for fan in range(2, 6):
            for name, age in (("liked", 0), ("forgotten", 40)):
                moment = now() - age * DAY
                connection.execute(
                    likes.insert().values(account_id=fan, repository_id=numbers[name], created_at=moment)
                )
        for name, day, count in (("loaded", today, 100), ("yesterday", today - 7, 100), ("forgotten", today - 40, 900)):
            connection.execute(downloads.insert().values(repository_id=numbers[name], day=day, count=count))
        stale = repositories.update().where(repositories.c.id == numbers["forgotten"])
        connection.execute(stale.values(downloads=900, trending=50.0, likes=4))
    run_popularity(hub)
    expected = ["alice/loaded", "alice/yesterday", "alice/liked", "alice/forgotten", "alice/quiet"]
    assert names(client(), sort="trendingScore", limit=2) == expected
    assert names(client(), sort="downloads", limit=2)[:2] == ["alice/yesterday", "alice/loaded"]
    with hub.hub.database.read() as connection:
        rows = {row.name: row for row in connection.execute(sa.select(repositories))}
    assert (rows["alice/forgotten"].downloads, rows["alice/forgotten"].trending) == (0, 0.0)
    assert (rows["alice/loaded"].downloads, rows["alice/liked"].trending) == (100, 4.0)
    # likes that were counted on the row only reach the lists too
    assert names(client(), sort="likes")[0] == "alice/forgotten"


def test_what_did_not_change_is_not_written(hub: HubForTests) -> None:
    catalog = Catalog(hub)
    found = catalog.add("alice/bert")
    with hub.hub.database.write() as connection:
        insert(connection, downloads, repository_id=found, day=now() // DAY, count=3)
    run_popularity(hub)
    written: list[str] = []

    @sa.event.listens_for(hub.hub.database.engine, "before_cursor_execute")
    def note(connection: object, cursor: object, statement: str, *rest: object) -> None:
        written.append(statement.split()[0])

    run_popularity(hub)
    assert "UPDATE" not in written
