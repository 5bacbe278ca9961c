"""The table of what the hub does by itself."""

import sqlalchemy as sa

from madang.server.database import metadata

# One row for each task: whichever process holds the lease runs it, and no other does.
tasks = sa.Table(
    "tasks",
    metadata,
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("next_at", sa.BigInteger, nullable=False),  # not before this
    sa.Column("holder", sa.String(64)),  # the process that runs it
    sa.Column("held_until", sa.BigInteger, nullable=False, default=0),  # after this, others take it for dead
    sa.Column("state", sa.JSON, nullable=False, default=dict),  # where a task that takes several steps has come to
    sa.Column("ran_at", sa.BigInteger),
    sa.Column("error", sa.Text),  # why it failed the last time; None: it did not
)
