"""Running tasks in the background of the serving process, each by one process of the hub at a time.

A task is a function that is called every so often, with the hub and the state it left:

    @task("trending", every=3600)
    def trending(hub: Hub, state: State) -> State | None: ...

It works in short steps. A step that returns a state is followed by the next one with it, a step that returns None was
the last until the interval has passed. Other requests are served in between, and a step whose process is killed is
done again by another one: steps must bear being repeated.
"""

import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from madang.server.clock import now
from madang.server.database import insert_new
from madang.server.hub import Hub
from madang.server.jobs.records import tasks

log = logging.getLogger("madang.server.jobs")

State = dict[str, Any]
Step = Callable[[Hub, State], State | None]
# a step that runs longer than this is taken for dead: others begin it again
LEASE_SECONDS = 300
# steps of one task follow each other with a pause, so that requests get their turn at the database
PAUSE_SECONDS = 0.05


@dataclass(frozen=True)
class Task:
    """What is done, and how many seconds lie between two times."""

    name: str
    every: float
    step: Step


REGISTERED: dict[str, Task] = {}


def task(name: str, *, every: float) -> Callable[[Step], Step]:
    """Register a function as a task of all hubs. The file that holds it is named in `jobs.all`."""

    def register(step: Step) -> Step:
        if name in REGISTERED and REGISTERED[name].step is not step:
            raise ValueError(f"there are two tasks called {name!r}: give one of them another name.")
        REGISTERED[name] = Task(name, every, step)
        return step

    return register


class Runner:
    """A thread that runs the tasks of a hub as they become due."""

    def __init__(self, hub: Hub, registered: Mapping[str, Task], *, look_every: float = 5) -> None:
        self.hub, self.look_every = hub, look_every
        self.registered = registered
        self.name = f"{socket.gethostname()[:40]}:{os.getpid()}:{secrets.token_hex(4)}"
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="tasks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Let the step that runs come to its end, and begin no other."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout=10)

    def run_due(self) -> int:
        """Do one step of each task that is due and that no other process does; returns how many."""
        return sum(self._step(found) for found in self.registered.values() if not self._stopping.is_set())

    def _run(self) -> None:
        pause = self.look_every
        while not self._stopping.wait(pause):
            try:
                did = self.run_due()
            except Exception:
                # the database is away, or locked for long: it will be back
                log.exception("the tasks of the hub could not be looked at")
                did = 0
            pause = PAUSE_SECONDS if did else self.look_every

    def _step(self, found: Task) -> bool:
        state = self._take(found)
        if state is None:
            return False
        after: State | None = None
        error: str | None = None
        try:
            after = found.step(self.hub, state)
        except Exception as raised:
            log.exception("the task %s failed; it is tried again in %s seconds", found.name, found.every)
            error = f"{type(raised).__name__}: {raised}"[:2000]
        self._give_back(found, after, error)
        return True

    def _take(self, found: Task) -> State | None:
        """The state of a task, if it is due and nobody runs it: it is this process's then."""
        moment = now()
        due = sa.and_(tasks.c.name == found.name, tasks.c.next_at <= moment, tasks.c.held_until <= moment)
        with self.hub.database.read() as connection:
            rows = connection.execute(sa.select(tasks.c.next_at).where(tasks.c.name == found.name)).all()
            if rows and connection.scalar(sa.select(tasks.c.name).where(due)) is None:
                return None
        with self.hub.database.write() as connection:
            if not rows:
                insert_new(connection, tasks, [{"name": found.name, "next_at": moment, "held_until": 0, "state": {}}])
            # one statement looks and takes: of two processes, one changes no row
            held = {"holder": self.name, "held_until": moment + LEASE_SECONDS * 1000}
            if connection.execute(tasks.update().where(due).values(held)).rowcount == 0:
                return None
            return dict(connection.scalar(sa.select(tasks.c.state).where(tasks.c.name == found.name)) or {})

    def _give_back(self, found: Task, after: State | None, error: str | None) -> None:
        moment = now()
        values = {
            "holder": None,
            "held_until": 0,
            "state": after or {},
            "ran_at": moment,
            "error": error,
            "next_at": moment if after is not None else moment + int(found.every * 1000),
        }
        with self.hub.database.write() as connection:
            # unless it took so long that another process has it now
            mine = sa.and_(tasks.c.name == found.name, tasks.c.holder == self.name)
            connection.execute(tasks.update().where(mine).values(values))
