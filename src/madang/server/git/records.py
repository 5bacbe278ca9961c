"""The tables of git: objects and refs. Each repository has its own, so that nothing leaks from one into another."""

import sqlalchemy as sa

from madang.server.database import HexBytes, metadata

objects = sa.Table(
    "objects",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("oid", HexBytes, primary_key=True),
    sa.Column("kind", sa.SmallInteger, nullable=False),  # git's own numbers: 1 commit, 2 tree, 3 blob, 4 tag
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("data", sa.LargeBinary, nullable=False),  # the content, zlib: what a pack holds too
)

refs = sa.Table(
    "refs",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),  # the full name: refs/heads/main
    sa.Column("target", HexBytes, nullable=False),
)
