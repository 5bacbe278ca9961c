"""One change of a repository at a time."""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.repositories.errors import RepositoryNotFound
from madang.server.repositories.records import repositories
from madang.server.repositories.repository import Repository


def lock(connection: Connection, repository: Repository) -> None:
    """Let nobody else change the repository until the transaction ends: to be asked for before anything is written.

    Two commits at once are made one after the other, and do not wait for each other for ever because they write the
    same objects. Raises RepositoryNotFound when the repository was deleted.
    """
    row = sa.select(repositories.c.id).where(repositories.c.id == repository.id)
    if connection.scalar(row.with_for_update(key_share=True)) is None:
        raise RepositoryNotFound(signed_in=True)
