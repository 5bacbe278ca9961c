"""The tables of Xet: which xorbs the hub has, who sent them, and where in large files their chunks lie."""

import sqlalchemy as sa

from madang.server.database import metadata

xorbs = sa.Table(
    "xet_xorbs",
    metadata,
    sa.Column("hash", sa.LargeBinary(32), primary_key=True),
    sa.Column("size", sa.Integer, nullable=False),  # as it was sent
    sa.Column("hashes", sa.LargeBinary, nullable=False),  # of its chunks, 32 bytes each
    sa.Column("lengths", sa.LargeBinary, nullable=False),  # of its chunks, four bytes each, little endian
    # its chunks, unpacked, are in the store under a key of their own; else all of them lie in large files
    sa.Column("staged", sa.Boolean, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

senders = sa.Table(
    "xet_senders",
    metadata,
    sa.Column("xorb", sa.ForeignKey("xet_xorbs.hash", ondelete="CASCADE"), primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    # for which repository it was sent last
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="SET NULL"), index=True),
    sa.Column("sent_at", sa.BigInteger, nullable=False),
    sa.Index("ix_xet_senders_recent", "account_id", "repository_id", "sent_at"),
)

# The chunks from `first` up to and without `end` lie one after the other in a large file, the first at byte `start`.
places = sa.Table(
    "xet_places",
    metadata,
    sa.Column("xorb", sa.ForeignKey("xet_xorbs.hash", ondelete="CASCADE"), primary_key=True),
    sa.Column("first", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("end", sa.Integer, nullable=False),
    sa.Column("sha256", sa.ForeignKey("blobs.sha256", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("start", sa.BigInteger, nullable=False),
)

# Chunks that clients may ask for: the first of files and xorbs, and those whose hash says so.
known_chunks = sa.Table(
    "xet_known_chunks",
    metadata,
    sa.Column("chunk", sa.LargeBinary(32), primary_key=True),
    sa.Column("xorb", sa.ForeignKey("xet_xorbs.hash", ondelete="CASCADE"), primary_key=True, index=True),
)

# The xorbs a large file consists of, by where they come first in it.
file_xorbs = sa.Table(
    "xet_file_xorbs",
    metadata,
    sa.Column("sha256", sa.ForeignKey("blobs.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("xorb", sa.ForeignKey("xet_xorbs.hash", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("position", sa.Integer, nullable=False),
)

# How often what an account's clients remember of the hub turned out to be wrong: see service.cas_address.
generations = sa.Table(
    "xet_generations",
    metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
