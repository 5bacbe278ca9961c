"""Quick new processes that are clean.

Forking this process would copy locks that its threads hold, and deadlock; starting interpreters takes half a second
each, and ones that run the user's script again need a guard in it. So one interpreter is started, once, that imports
what workers need, starts no thread, and forks a worker whenever it is asked.
"""

import atexit
import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, NoReturn


class Worker:
    """A process forked for us, and the link to it."""

    def __init__(self, rank: int, pid: int, link: Connection, nursery: "Nursery") -> None:
        self.rank, self.pid, self.link, self._nursery = rank, pid, link, nursery
        self.in_hand = 0

    def end(self) -> int:
        """Make sure that the process is gone; the status it ended with, negative for a signal."""
        # said, not only hung up: processes forked from this one meanwhile hold the link as well
        with contextlib.suppress(OSError):
            self.link.send_bytes(b"")
        self.link.close()
        return self._nursery.ended(self.pid)


class Nursery:
    """The interpreter that forks."""

    def __init__(self) -> None:
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
        code = f"from madang.datasets.nursery import fork_when_asked; fork_when_asked({theirs.fileno()})"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        self._process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[theirs.fileno()], env=environment)
        theirs.close()
        self._lock = threading.Lock()
        self.owner = os.getpid()

    @property
    def is_alive(self) -> bool:
        """Whether it can be asked: it belongs to this process (not to the one this was forked from) and runs."""
        return self.owner == os.getpid() and self._process.poll() is None

    def worker(self, rank: int) -> Worker:
        """A new process that works on what it is sent."""
        here, there = Pipe()
        with self._lock:
            socket.send_fds(self._ours, [rank.to_bytes(4, "big", signed=True)], [there.fileno()])
            pid = self._answer()
        there.close()
        return Worker(rank, pid, here, self)

    def ended(self, pid: int) -> int:
        """Wait for the end of a worker whose link is closed; its exit status."""
        with self._lock:
            self._ours.sendall((-pid).to_bytes(4, "big", signed=True))
            return self._answer()

    def _answer(self) -> int:
        data = self._ours.recv(4, socket.MSG_WAITALL)
        if len(data) < 4:
            raise RuntimeError(f"the process that starts workers ended with status {self._process.wait()}.")
        return int.from_bytes(data, "big", signed=True)

    def close(self) -> None:
        """No more workers are wanted."""
        if self.owner == os.getpid():
            # not only closed: processes forked from this one hold it as well
            with contextlib.suppress(OSError):
                self._ours.shutdown(socket.SHUT_RDWR)
            self._process.wait()
        self._ours.close()


_nursery: Nursery | None = None


def nursery() -> Nursery:
    """The one of this process, started when first needed."""
    global _nursery
    if _nursery is None or not _nursery.is_alive:
        _nursery = Nursery()
        atexit.register(_nursery.close)
    return _nursery


def fork_when_asked(descriptor: int) -> NoReturn:
    """The nursery's side: a number from 0 up with a link asks for a worker, a negative one for its exit status."""
    # all that workers need is imported once, before any fork
    import cloudpickle  # noqa: F401
    import pyarrow.compute

    import madang.datasets.work  # noqa: F401
    from madang.datasets.processes import serve

    pyarrow.array([0])  # looks for pandas, which takes a while where it is installed

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that asked is told, and hangs up
    asked = socket.socket(fileno=descriptor)
    while True:
        data, links, _, _ = socket.recv_fds(asked, 4, 1)
        if len(data) < 4:
            os._exit(0)
        number = int.from_bytes(data, "big", signed=True)
        if number < 0:
            _, status = os.waitpid(-number, 0)
            answer = os.waitstatus_to_exitcode(status)
        else:
            answer = os.fork()
            if answer == 0:
                asked.close()
                _work(serve, links[0], number)
            os.close(links[0])
        asked.sendall(answer.to_bytes(4, "big", signed=True))


def _work(serve: Callable[[Any, int], None], descriptor: int, rank: int) -> NoReturn:
    status = 1
    try:
        serve(Connection(descriptor), rank)
        status = 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
