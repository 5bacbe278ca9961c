"""The tables of large files: what the blob store holds, and which repository may use what."""

import sqlalchemy as sa

from madang.server.database import HexBytes, metadata

blobs = sa.Table(
    "blobs",
    metadata,
    sa.Column("sha256", HexBytes, primary_key=True),
    sa.Column("size", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

# A bare SHA-256 opens nothing: content can be committed, copied or fetched only where a row says it was brought.
repository_blobs = sa.Table(
    "repository_blobs",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("sha256", sa.ForeignKey("blobs.sha256"), primary_key=True, index=True),
    sa.Column("uploaded_by", sa.ForeignKey("accounts.id", ondelete="SET NULL")),
    sa.Column("uploaded_at", sa.BigInteger, nullable=False),
)
