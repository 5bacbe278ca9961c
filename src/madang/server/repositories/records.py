"""The tables of repositories."""

import sqlalchemy as sa

from madang.server.database import HexBytes, Key, metadata
from madang.server.large_files import records as large_files

repositories = sa.Table(
    "repositories",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("type", sa.String(8), nullable=False),  # model, dataset, space
    sa.Column("owner_id", sa.ForeignKey("accounts.id"), nullable=False, index=True),
    sa.Column("creator_id", sa.ForeignKey("accounts.id", ondelete="SET NULL")),
    sa.Column("name", sa.String(200), nullable=False),  # owner/name
    sa.Column("key", sa.String(200), nullable=False),  # the same in lower case: names are found in any case
    sa.Column("private", sa.Boolean, nullable=False, default=False),
    # of a private Space: everybody may use the app, nobody else sees its files
    sa.Column("protected", sa.Boolean, nullable=False, default=False),
    sa.Column("gated", sa.String(8), nullable=False, default=""),  # "", auto, manual
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("modified_at", sa.BigInteger, nullable=False),
    # what is read off the files of the main branch at every change of it: see repositories.facts
    sa.Column("head", HexBytes),
    sa.Column("card", sa.JSON, nullable=False, default=dict),  # the front matter of README.md
    sa.Column("config", sa.JSON, nullable=False, default=dict),  # what clients want to see of config.json
    sa.Column("tags", sa.JSON, nullable=False, default=list),
    sa.Column("pipeline_tag", sa.String(96)),
    sa.Column("library_name", sa.String(96)),
    sa.Column("sdk", sa.String(24)),
    sa.Column("safetensors", sa.JSON),  # {"parameters": {dtype: count}, "total": count}
    sa.Column("parameters", sa.BigInteger),
    sa.Column("used_storage", sa.BigInteger, nullable=False, default=0),
    # counters
    sa.Column("likes", sa.BigInteger, nullable=False, default=0),
    sa.Column("downloads", sa.BigInteger, nullable=False, default=0),  # of the last 30 days
    sa.Column("downloads_all_time", sa.BigInteger, nullable=False, default=0),
    sa.Column("trending", sa.Float, nullable=False, default=0.0),
    sa.UniqueConstraint("type", "key"),
    # the number of a deleted repository is never another's: caches go by it
    sqlite_autoincrement=True,
)

# Names that lead to a repository of another name: those it had before, and those without an owner ("gpt2").
redirects = sa.Table(
    "redirects",
    metadata,
    sa.Column("type", sa.String(8), primary_key=True),
    sa.Column("key", sa.String(200), primary_key=True),
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False, index=True),
)

# What the headers of safetensors files say, read once for each content.
tensor_headers = sa.Table(
    "tensor_headers",
    metadata,
    sa.Column("sha256", sa.ForeignKey(large_files.blobs.c.sha256, ondelete="CASCADE"), primary_key=True),
    sa.Column("parameters", sa.JSON, nullable=False),  # {dtype: count}; {}: it is no safetensors file
)

access_requests = sa.Table(
    "access_requests",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), nullable=False),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False),
    sa.Column("status", sa.String(8), nullable=False),  # pending, accepted, rejected
    sa.Column("fields", sa.JSON, nullable=False, default=dict),
    sa.Column("reason", sa.Text),
    sa.Column("granted", sa.Boolean, nullable=False, default=False),  # by the owner, without having been asked
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.UniqueConstraint("repository_id", "account_id"),
)

likes = sa.Table(
    "likes",
    metadata,
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

downloads = sa.Table(
    "downloads",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("day", sa.Integer, primary_key=True),  # days since 1970, UTC
    sa.Column("count", sa.BigInteger, nullable=False),
)
