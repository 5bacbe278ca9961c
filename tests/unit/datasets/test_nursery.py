import os
import signal
import threading
import time

import pytest

from madang.datasets import nursery


@pytest.fixture
def own():
    """A nursery that no other test uses."""
    made = nursery.Nursery()
    yield made
    made.close()


def test_a_worker_ends_when_nothing_more_comes(own):
    worker = own.worker(0)
    assert worker.pid != os.getpid()
    assert worker.end() == 0


def test_how_a_worker_ended_is_told(own):
    worker = own.worker(3)
    os.kill(worker.pid, signal.SIGKILL)
    assert worker.end() == -signal.SIGKILL


def test_workers_are_asked_for_from_many_threads(own):
    ended = []

    def ask():
        worker = own.worker(0)
        ended.append((worker.pid, worker.end()))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert [status for _, status in ended] == [0] * 8
    assert len({pid for pid, _ in ended}) == 8


def test_workers_come_quickly(own):
    own.worker(0).end()
    began = time.perf_counter()
    for _ in range(10):
        own.worker(0).end()
    assert time.perf_counter() - began < 5  # starting ten interpreters that import pyarrow would take longer


def test_one_that_died_is_replaced():
    first = nursery.nursery()
    assert nursery.nursery() is first
    os.kill(first._process.pid, signal.SIGKILL)
    first._process.wait()
    second = nursery.nursery()
    assert second is not first
    assert second.worker(0).end() == 0


def test_asking_one_that_died_is_explained(own):
    os.kill(own._process.pid, signal.SIGKILL)
    with pytest.raises((RuntimeError, OSError)):
        own.worker(0)


@pytest.fixture
def forked_child():
    """A function that forks a process which sleeps, as a DataLoader's worker does, and holds all that is open."""
    children = []

    def fork():
        pid = os.fork()
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)

    yield fork
    for pid in children:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_processes_forked_meanwhile_keep_nothing_alive(own, forked_child):
    worker = own.worker(0)
    forked_child()
    assert worker.end() == 0
    own.close()
    assert own._process.returncode == 0


def test_a_forked_process_does_not_use_its_parents_one(own, monkeypatch):
    assert own.is_alive
    with monkeypatch.context() as patch:
        patch.setattr(own, "owner", os.getpid() + 1)  # as the child sees it
        assert not own.is_alive
