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
    # adds up what a repository uses without reading the rows
    sa.Index(None, "repository_id", "size"),
)

# walks through a long history read all commits at once, and the first digits of an id mean a commit
_is_commit = objects.c.kind == sa.literal_column("1")
sa.Index("ix_objects_commits", objects.c.repository_id, sqlite_where=_is_commit, postgresql_where=_is_commit)

refs = sa.Table(
    "refs",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("name", sa.String(512), primary_key=True),  # the full name: refs/heads/main
    sa.Column("target", HexBytes, nullable=False),
)
