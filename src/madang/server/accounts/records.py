"""The tables of people, organisations and what lets them in."""

import sqlalchemy as sa

from madang.server.database import Key, metadata

# users and organisations share one space of names
accounts = sa.Table(
    "accounts",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("kind", sa.String(8), nullable=False),  # user, org
    sa.Column("name", sa.String(96), nullable=False),
    sa.Column("key", sa.String(96), nullable=False, unique=True),  # the name in lower case
    sa.Column("fullname", sa.String(200), nullable=False, default=""),
    sa.Column("email", sa.String(320)),
    sa.Column("password", sa.String(200)),  # argon2; None: cannot sign in with one
    sa.Column("administrator", sa.Boolean, nullable=False, default=False),
    sa.Column("disabled", sa.Boolean, nullable=False, default=False),
    sa.Column("private_by_default", sa.Boolean, nullable=False, default=False),  # of an organisation's new repositories
    sa.Column("created_at", sa.BigInteger, nullable=False),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("organisation_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("role", sa.String(12), nullable=False),  # read, contributor, write, admin
)

tokens = sa.Table(
    "tokens",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # SHA-256; the token itself is kept nowhere
    sa.Column("role", sa.String(12), nullable=False),  # read, write, fineGrained
    sa.Column("scopes", sa.JSON, nullable=False, default=list),  # of a fine-grained one: see accounts.access
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
)
