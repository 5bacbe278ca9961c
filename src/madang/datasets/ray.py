"""Blocks worked on by the machines of a Ray cluster, through Ray Data."""

import contextlib
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from madang.datasets.formats import View
from madang.datasets.frame import Frame
from madang.datasets.lazy import Block
from madang.datasets.processes import as_bytes, from_bytes, packed
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.datasets.work import Span, Work

WINDOW = 256  # blocks that lie in the cluster's memory at a time


def on_cluster(
    work: "Work", frame: Frame, view: View, kind: str, spans: "Sequence[Span]"
) -> Iterator[tuple[int, int, Any]]:
    """(start, stop, what became of these rows) of each span, in order.

    Uses the cluster that `ray.init` connected to, or starts one on this machine. Every machine needs Madang and what
    the function imports; the function itself and the blocks travel.
    """
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise InputError('engine="ray" needs the ray package: pip install "madang[ray]"') from error
    import cloudpickle

    if work.call.with_rank:
        raise InputError('with_rank numbers the processes of one machine; engine="ray" has no such number.')
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False
    job = packed(work, view, kind)

    def on_blocks(table: pa.Table) -> pa.Table:
        answers = [_answer(job, *row.values()) for row in table.to_pylist()]
        return pa.table({"answer": pa.array(answers, pa.large_binary())})

    for at in range(0, len(spans), WINDOW):
        window = spans[at : at + WINDOW]
        tables = [
            pa.table(
                {
                    "start": [start],
                    "stop": [stop],
                    "block": pa.array([bytes(as_bytes(frame.slice(start, stop)))], pa.large_binary()),
                }
            )
            for start, stop, _ in window
        ]
        answered = ray.data.from_arrow(tables).map_batches(on_blocks, batch_format="pyarrow", batch_size=None)
        found = (
            cloudpickle.loads(packed_answer.as_py())
            for batch in answered.iter_batches(batch_size=None, batch_format="pyarrow")
            for packed_answer in batch["answer"]
        )
        with contextlib.closing(found):  # after an error, the cluster does not work on
            for (start, stop, _), (columns, answer) in zip(window, found, strict=True):
                if isinstance(answer, Exception):
                    raise answer
                if columns is not None:
                    answer.columns = from_bytes(columns)
                yield start, stop, answer


def _answer(job: bytes, start: int, stop: int, block: bytes) -> bytes:
    """What the function makes of one block, on a machine of the cluster."""
    import cloudpickle

    work, kind, look, features = cloudpickle.loads(job)
    columns = None
    try:
        answer = work.on_block(kind, Block(from_bytes(block), stop - start, View(look, features)), start)
        if hasattr(answer, "columns"):
            columns, answer.columns = bytes(as_bytes(answer.columns)), {}
    except Exception as error:
        answer = error
    finally:
        work.call.close()
    packed_answer: bytes = cloudpickle.dumps((columns, answer))
    return packed_answer
