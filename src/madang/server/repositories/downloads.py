"""Counting downloads: in memory while they happen, written every few seconds, so that no download waits for it."""

import logging
import threading
import time
from collections import Counter, OrderedDict

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.clock import DAY, now
from madang.server.database import Database, batches, put
from madang.server.errors import StorageFull
from madang.server.repositories.records import downloads, repositories

RECENT_DAYS = 30
log = logging.getLogger("madang.server")


class DownloadCounts:
    """How often each repository was downloaded: once for each account or address within five minutes.

    Each replica counts what it serves. What was counted within the last seconds is lost if the process is killed.
    """

    def __init__(
        self, database: Database, *, seconds: float = 5, same_within: float = 300, most_callers: int = 100_000
    ) -> None:
        self._database, self._seconds, self._same_within = database, seconds, same_within
        self._most_callers = most_callers
        self._counts: Counter[tuple[int, int]] = Counter()
        self._seen: OrderedDict[tuple[int, object], float] = OrderedDict()
        self._lock = threading.Lock()
        self._writer: threading.Thread | None = None
        self._closing = threading.Event()

    def count(self, repository_id: int, who: object) -> None:
        """A download, by an account's number or an address."""
        moment, key = time.monotonic(), (repository_id, who)
        with self._lock:
            last = self._seen.get(key)
            if last is not None and moment - last < self._same_within:
                return
            self._seen[key] = moment
            self._seen.move_to_end(key)
            if len(self._seen) > self._most_callers:
                self._seen.popitem(last=False)
            self._counts[repository_id, now() // DAY] += 1
            if self._writer is None and not self._closing.is_set():
                self._writer = threading.Thread(target=self._write_soon, name="downloads", daemon=True)
                self._writer.start()

    def write(self) -> None:
        """Write what was counted since the last time."""
        with self._lock:
            counts, self._counts = self._counts, Counter()
        if not counts:
            return
        try:
            with self._database.write() as connection:
                _add(connection, counts)
        except (sa.exc.SQLAlchemyError, StorageFull):
            with self._lock:
                self._counts.update(counts)  # next time
            raise

    def close(self) -> None:
        """Write what is left."""
        self._closing.set()
        writer = self._writer
        if writer is not None:
            writer.join()
        self._write_if_possible()

    def _write_soon(self) -> None:
        self._closing.wait(self._seconds)
        with self._lock:
            self._writer = None
        self._write_if_possible()

    def _write_if_possible(self) -> None:
        """A disk that is full, or a database that is away, stops neither this thread nor the end of the hub."""
        try:
            self.write()
        except (sa.exc.SQLAlchemyError, StorageFull):
            log.warning("downloads could not be written down; they are kept in memory", exc_info=True)


def _add(connection: Connection, counts: Counter[tuple[int, int]]) -> None:
    for some in batches(sorted({repository_id for repository_id, _ in counts})):
        # a repository may have been deleted since
        query = sa.select(repositories.c.id).where(repositories.c.id.in_(some)).order_by(repositories.c.id)
        there = list(connection.scalars(query.with_for_update(key_share=True)))
        rows = [
            {"repository_id": repository_id, "day": day, "count": count}
            for (repository_id, day), count in counts.items()
            if repository_id in there
        ]
        if not rows:
            continue
        put(connection, downloads, rows, add=["count"])
        refresh(connection, there)


def refresh(connection: Connection, repository_ids: list[int] | None = None) -> None:
    """Bring the counters of these repositories (of all of them: once a day) in line with the days they sum up."""
    total = sa.select(sa.func.coalesce(sa.func.sum(downloads.c.count), 0)).where(
        downloads.c.repository_id == repositories.c.id
    )
    recent = total.where(downloads.c.day > now() // DAY - RECENT_DAYS)
    change = repositories.update().values(
        downloads=recent.scalar_subquery(), downloads_all_time=total.scalar_subquery()
    )
    if repository_ids is not None:
        change = change.where(repositories.c.id.in_(repository_ids))
    connection.execute(change)
