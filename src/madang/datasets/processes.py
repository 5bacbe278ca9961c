"""Blocks worked on by several processes.

The function travels by value, blocks travel as Arrow bytes, and a process that dies is an error that names it.
`nursery` says where the processes come from.
"""

import contextlib
import importlib.machinery
import inspect
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from madang.datasets import nursery
from madang.datasets.formats import View
from madang.datasets.frame import Frame
from madang.datasets.lazy import Block
from madang.datasets.mapping import Mapped
from madang.errors import MadangError

if TYPE_CHECKING:
    from madang.datasets.work import Span, Work

_log = logging.getLogger(__name__)
IN_HAND = 2  # blocks that a process has at a time, so that it never waits for the next
PATIENCE = 0.05  # seconds that the first process works alone; starting the others takes about as long
AHEAD = 4  # blocks per process that may be done before the one that is waited for


class WorkerDied(MadangError, RuntimeError):
    """A process that worked on a dataset ended before its work did."""


def in_processes(
    work: "Work", frame: Frame, view: View, kind: str, spans: "Sequence[Span]"
) -> Iterator[tuple[int, int, Any]]:
    """(start, stop, what became of these rows) of each span, in order.

    Raises what the function raised, and WorkerDied, naming the process, for one that was killed.
    """
    message = _message(work, view, kind)
    workers: list[nursery.Worker] = []
    done: dict[int, Any] = {}
    waiting, given = list(range(len(spans))), 0
    wanted = min(work.processes, len(spans))
    together = any(rank is not None for _, _, rank in spans)

    def start() -> None:
        workers.append(nursery.nursery().worker(len(workers)))
        _send(workers[-1], message)

    try:
        if spans:
            start()
        pays_from = time.monotonic() + PATIENCE
        while given < len(spans):
            while len(workers) < wanted and (together or time.monotonic() >= pays_from):
                start()
            for worker in workers:
                while worker.in_hand < IN_HAND:
                    number = next((n for n in waiting if spans[n][2] in (None, worker.rank)), None)
                    if number is None or (spans[number][2] is None and number >= given + AHEAD * len(workers)):
                        break
                    waiting.remove(number)
                    _hand(worker, number, spans[number][:2], frame)
            patience = None if len(workers) == wanted else max(0, pays_from - time.monotonic())
            for link in wait([worker.link for worker in workers if worker.in_hand], patience):
                worker = next(worker for worker in workers if worker.link is link)
                number, answer = _received(worker)
                done[number] = answer
            while given in done:
                yield *spans[given][:2], done.pop(given)
                given += 1
        if len(workers) < wanted:
            _log.info("%s: one process was done before it paid to start the %d asked for", work.label, work.processes)
    finally:
        for worker in workers:
            if worker.in_hand:  # it would work on, for nobody
                _stop(worker.pid)
            worker.end()


def packed(work: "Work", view: View, kind: str) -> bytes:
    """What another process needs to work on blocks: the function by value, how to call it, what the columns hold."""
    import cloudpickle

    function = inspect.unwrap(work.call.function)
    module = inspect.getmodule(function)
    if module is not None and module.__name__ != "__main__" and not _can_be_imported(module.__name__):
        cloudpickle.register_pickle_by_value(module)
    job: bytes = cloudpickle.dumps((work, kind, view.format, view.features))
    return job


def _message(work: "Work", view: View, kind: str) -> bytes:
    import cloudpickle

    message: bytes = cloudpickle.dumps((_surroundings(work.processes), packed(work, view, kind)))
    return message


def _surroundings(processes: int) -> tuple[str, list[str], dict[str, str]]:
    """What a worker takes over from this process: the folder, where modules are found, the environment."""
    parallel = {"TOKENIZERS_PARALLELISM": "false"} if processes > 1 else {}
    return os.getcwd(), sys.path, {**os.environ, **parallel}


def _enter(folder: str, path: list[str], environment: dict[str, str]) -> None:
    os.chdir(folder)
    sys.path[:] = path
    os.environ.clear()
    os.environ.update(environment)


def _can_be_imported(name: str) -> bool:
    top = name.partition(".")[0]
    return top in sys.builtin_module_names or importlib.machinery.PathFinder.find_spec(top) is not None


def _hand(worker: nursery.Worker, number: int, span: tuple[int, int], frame: Frame) -> None:
    import pickle

    _send(worker, pickle.dumps((number, *span)))
    _send(worker, as_bytes(frame.slice(*span)))
    worker.in_hand += 1


def _send(worker: nursery.Worker, message: bytes | memoryview) -> None:
    try:
        worker.link.send_bytes(message)
    except OSError as error:
        raise _died(worker) from error


def _stop(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _received(worker: nursery.Worker) -> tuple[int, Any]:
    try:
        number, answer = worker.link.recv()
        if isinstance(answer, Mapped):
            answer.columns = from_bytes(worker.link.recv_bytes())
    except (EOFError, OSError) as error:
        raise _died(worker) from error
    worker.in_hand -= 1
    if isinstance(answer, Exception):
        raise answer
    return number, answer


def _died(worker: nursery.Worker) -> WorkerDied:
    _stop(worker.pid)
    worker.in_hand = 0
    code = worker.end()
    worker.end = lambda: code  # type: ignore[method-assign]
    how = f"was killed by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with status {code}"
    return WorkerDied(
        f"one of the subprocesses, process {worker.rank} (of num_proc), {how} in the middle of its work. Signal 9 "
        "mostly means that memory ran out: try a smaller batch_size or fewer processes. Nothing was kept of the result."
    )


def as_bytes(arrays: Mapping[str, pa.Array]) -> memoryview:
    """A block as an Arrow stream."""
    table = pa.table(dict(arrays))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return memoryview(sink.getvalue())


def from_bytes(data: bytes) -> dict[str, pa.Array]:
    """The block that `as_bytes` wrote."""
    table = pa.ipc.open_stream(pa.BufferReader(data)).read_all()
    return {
        name: values.chunk(0)
        if values.num_chunks == 1
        else pa.concat_arrays(values.chunks)
        if values.num_chunks
        else pa.array([], values.type)
        for name, values in zip(table.column_names, table.columns, strict=True)
    }


def serve(link: Connection, rank: int) -> None:
    """The worker's side: blocks come, answers go, until the other side hangs up."""
    import cloudpickle

    messages = _read_along(link)
    try:
        broken: Exception | None = None
        try:
            surroundings, job = cloudpickle.loads(messages())
            _enter(*surroundings)
            work, kind, look, features = cloudpickle.loads(job)
            work.call.rank = rank
            view = View(look, features)
        except Exception as error:
            error.add_note("The function could not be brought into another process; num_proc=1 runs it in this one.")
            broken = error
        while True:
            number, start, stop = cloudpickle.loads(messages())
            arrays = from_bytes(messages())
            try:
                if broken is not None:
                    raise broken
                answer, columns = work.on_block(kind, Block(arrays, stop - start, view), start), None
                if isinstance(answer, Mapped):
                    columns, answer.columns = as_bytes(answer.columns), {}
                message = cloudpickle.dumps((number, answer))
            except Exception as error:
                _send_error(link, number, error)
                continue
            link.send_bytes(message)
            if columns is not None:
                link.send_bytes(columns)
    except (EOFError, OSError):
        return


def _read_along(link: Connection) -> Callable[[], bytes]:
    """A function that gives one message after the other, and EOFError when the other side hung up.

    They are read by a thread all the time: while the next block is on its way, the other side does not read answers,
    and who waits to send a long one would wait for ever.
    """
    arrived: SimpleQueue[bytes | None] = SimpleQueue()

    def read() -> None:
        with contextlib.suppress(EOFError, OSError):
            while message := link.recv_bytes():
                arrived.put(message)
        arrived.put(None)

    def following() -> bytes:
        message = arrived.get()
        if message is None:
            arrived.put(None)  # it stays the end
            raise EOFError
        return message

    threading.Thread(target=read, daemon=True).start()
    return following


def _send_error(link: Connection, number: int, error: Exception) -> None:
    import traceback

    import cloudpickle

    told = "".join(traceback.format_exception(error))
    error.add_note(f"In process with this traceback:\n{told}")
    try:
        message = cloudpickle.dumps((number, error))
        cloudpickle.loads(message)
    except Exception:
        message = cloudpickle.dumps((number, RuntimeError(f"{type(error).__name__}: {error}\n{told}")))
    link.send_bytes(message)
