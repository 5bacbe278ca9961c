"""Copying a whole hub: the one thing behind `backup`, `restore` and moving between SQLite and PostgreSQL.

A copy is a hub of its own: `madang serve --data COPY` serves it. Rows are copied table by table within one snapshot
of the database, then the large files they name, which are always written before the rows that name them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.errors import InputError
from madang.server.accounts.records import accounts
from madang.server.database import all_tables, batches
from madang.server.discussions.attachments import attachment_key
from madang.server.discussions.records import attachments
from madang.server.hub import Hub, facts
from madang.server.large_files.records import blobs, repository_blobs
from madang.server.large_files.xet.records import file_xorbs, generations, known_chunks, places, senders, xorbs
from madang.server.repositories.records import repositories
from madang.server.search import index
from madang.server.search.records import pairs, postings, terms, texts
from madang.server.storage.blobs import blob_key

# Not copied: the search is made again from the repositories. Of uploads in parts (Xet) only what they came to is kept;
# clients are told that this chunk store is another one, so that they do not count on what it never saw.
LEFT_OUT = (terms, postings, pairs, texts, xorbs, senders, places, known_chunks, file_xorbs, generations)

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Copied:
    """What a copy came to."""

    rows: int
    files: int
    bytes: int


def copy_hub(source: Hub, target: Hub, progress: Progress = lambda what, done, total: None) -> Copied:
    """Copy everything `source` holds into `target`, which must be empty. Large files already there are left.

    The source may be in use: the copy shows the moment at which it began. Raises InputError when the target holds
    something, or when a large file is missing in the source.
    """
    rows = 0
    tables = [table for table in all_tables().sorted_tables if table not in LEFT_OUT]
    with source.database.engine.connect() as reading:
        if not source.database.is_sqlite:
            reading.execution_options(isolation_level="REPEATABLE READ")
        reading.execute(sa.select(sa.literal(1)))
        named = _files(reading)
        with target.database.write() as writing:
            _refuse_occupied(writing)
            # all that a new hub holds
            writing.execute(facts.delete())
            for done, table in enumerate(tables):
                progress(f"table {table.name}", done, len(tables))
                rows += _copy_table(reading, writing, table)
            _continue_counting(writing, tables)
            for done, identity in enumerate(identities := list(writing.scalars(sa.select(repositories.c.id)))):
                progress("search", done, len(identities))
                index.update(writing, identity)
    return Copied(rows, *_copy_files(source, target, named, progress))


def _files(connection: Connection) -> list[tuple[str, int]]:
    """Keys and sizes of what the rows name: large files that some repository has (others were announced, and may never
    come), and pictures in discussions."""
    belongs = sa.exists().where(repository_blobs.c.sha256 == blobs.c.sha256)
    large = connection.execute(sa.select(blobs.c.sha256, blobs.c.size).where(belongs))
    pictures = connection.execute(sa.select(attachments.c.sha256, attachments.c.size))
    return [(blob_key(sha256), size) for sha256, size in large] + [
        (attachment_key(sha256), size) for sha256, size in pictures
    ]


def _refuse_occupied(connection: Connection) -> None:
    if connection.scalar(sa.select(sa.func.count()).select_from(accounts)):
        raise InputError("the hub to copy to holds accounts already. Name an empty folder or database.")


def _copy_table(reading: Connection, writing: Connection, table: sa.Table) -> int:
    count = 0
    found = reading.execution_options(yield_per=500).execute(sa.select(table)).mappings()
    for some in batches(found, 500):
        writing.execute(table.insert(), [dict(row) for row in some])
        count += len(some)
    return count


def _continue_counting(connection: Connection, tables: list[sa.Table]) -> None:
    """PostgreSQL counts ids apart from the rows: let it go on after the highest."""
    if connection.dialect.name != "postgresql":
        return
    for table in tables:
        keys = list(table.primary_key.columns)
        if len(keys) == 1 and keys[0].autoincrement is not False and isinstance(keys[0].type, sa.BigInteger):
            highest = sa.select(sa.func.greatest(sa.func.max(keys[0]), 1)).scalar_subquery()
            sequence = sa.func.pg_get_serial_sequence(table.name, keys[0].name)
            connection.execute(sa.select(sa.func.setval(sequence, highest)))


def _copy_files(source: Hub, target: Hub, named: list[tuple[str, int]], progress: Progress) -> tuple[int, int]:
    copied = size = 0
    for done, (key, expected) in enumerate(named):
        progress("files", done, len(named))
        if target.storage.size(key) == expected:
            continue
        if source.storage.size(key) != expected:
            raise InputError(f"the file {key} of this hub is missing or cut off: see `madang hub check`.")
        with target.storage.writer(key) as writer:
            for piece in source.storage.read(key):
                writer.write(piece)
            writer.commit()
        copied, size = copied + 1, size + expected
    return copied, size
