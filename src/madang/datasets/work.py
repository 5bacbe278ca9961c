"""Going through a table block by block with a function: here, in several processes, or on a Ray cluster."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from madang.datasets import mapping
from madang.datasets.features import Features
from madang.datasets.formats import View
from madang.datasets.frame import Frame
from madang.datasets.lazy import Block
from madang.datasets.progress import progress

# the first row of a block, the one after its last, and which process must work on it (None: any)
Span = tuple[int, int, int | None]


@dataclass
class Work:
    """A function, and how a table is cut into the blocks it is given."""

    call: mapping.Call
    size: int
    label: str
    drop: set[str] = field(default_factory=set)
    features: Features | None = None
    on_mixed_types: str | None = None
    drop_last: bool = False
    processes: int = 1
    engine: str | None = None

    def on_block(self, kind: str, block: Block, start: int) -> Any:
        """What became of one block: `Mapped` or None for "map", yes or no per row for "filter"."""
        if kind == "filter":
            return mapping.kept(self.call, block, start)
        return mapping.map_block(self.call, block, start, self.drop, self.features, self.on_mixed_types)


def answers(work: Work, frame: Frame, view: View, kind: str = "map") -> Iterator[tuple[int, int, Any]]:
    """(start, stop, what became of these rows) of one block after the other, in order, showing progress."""
    size = work.size
    if work.processes > 1 and not work.call.batched:  # pieces small enough for all to be busy until the end
        size = max(1, min(size, frame.num_rows // (16 * work.processes)))
    if work.processes > 1 and work.call.with_rank:
        spans = _shares(frame.num_rows, work.processes, size)
    else:
        spans = [(start, stop, None) for start, stop in frame.blocks(size)]
    return progress(_answers(work, frame, view, kind, spans), frame.num_rows, work.label)


def _answers(work: Work, frame: Frame, view: View, kind: str, spans: "list[Span]") -> Iterator[tuple[int, int, Any]]:
    if work.engine == "ray":
        from madang.datasets.ray import on_cluster

        yield from on_cluster(work, frame, view, kind, spans)
        return
    if work.processes > 1:
        from madang.datasets.processes import in_processes

        yield from in_processes(work, frame, view, kind, spans)
        return
    try:
        if kind == "map" and work.call.batched:
            yield from _overlapped(work, frame, view, spans)
            return
        for start, stop, _ in spans:
            block = Block(frame.rows_from(start, stop), stop - start, view)
            yield start, stop, work.on_block(kind, block, start)
    finally:
        work.call.close()


def _overlapped(work: Work, frame: Frame, view: View, spans: "list[Span]") -> Iterator[tuple[int, int, Any]]:
    """While a tokenizer's threads work on a block, the lists it made of the one before become Arrow arrays.

    What any other function returned is stored at once: it may keep what it returned, and change it.
    """
    from madang.tokenizers import BatchEncoding

    with ThreadPoolExecutor(max_workers=1) as beside:
        waiting: tuple[int, int, Future[Any]] | None = None
        for start, stop, _ in spans:
            block = Block(frame.rows_from(start, stop), stop - start, view)
            given, result = work.call.on_batch(block, start)
            storing = mapping.Storing(block, work.features or {}, work.on_mixed_types)
            stored = beside.submit(mapping.batch_mapped, given, result, start, work.drop, storing)
            if waiting is not None:
                yield *waiting[:2], waiting[2].result()
            waiting = start, stop, stored
            if not isinstance(result, BatchEncoding):
                yield start, stop, stored.result()
                waiting = None
        if waiting is not None:
            yield *waiting[:2], waiting[2].result()


def _shares(rows: int, processes: int, size: int) -> list[Span]:
    """Blocks of which each process has an equal share of neighbours, as a function that is told its rank expects."""
    spans: list[Span] = []
    share, more = divmod(rows, processes)
    bounds = [rank * share + min(rank, more) for rank in range(processes + 1)]
    for rank, (first, last) in enumerate(pairwise(bounds)):
        spans += [(start, min(start + size, last), rank) for start in range(first, last, size)]
    return spans
