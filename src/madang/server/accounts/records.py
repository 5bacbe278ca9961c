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
    # the number of a deleted account is never another's: tickets that were given to it may still be around
    sqlite_autoincrement=True,
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
    sa.Column("scopes", sa.JSON, nullable=False, default=list),  # of a fine-grained one: see accounts.scopes
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
    sa.Column("expires_at", sa.BigInteger),
    # of a login by browser: what makes a new token, and the one before, which others of its processes still hold
    sa.Column("refresh_hash", sa.String(64), unique=True),
    sa.Column("previous_hash", sa.String(64), unique=True),
    sa.Column("previous_until", sa.BigInteger),
)

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # SHA-256 of what the cookie holds
    sa.Column("agent", sa.String(200), nullable=False, default=""),  # how the browser calls itself
    sa.Column("address", sa.String(64), nullable=False, default=""),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("seen_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
)

# Addresses that work once: to sign in to an account that is there, or to make one.
links = sa.Table(
    "links",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("purpose", sa.String(8), nullable=False),  # sign-in, join
    sa.Column("hash", sa.String(64), nullable=False, unique=True),
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True),  # to sign in to
    # what whoever joins by it becomes
    sa.Column("administrator", sa.Boolean, nullable=False, default=False),
    sa.Column("organisation_id", sa.ForeignKey("accounts.id", ondelete="CASCADE"), index=True),
    sa.Column("role", sa.String(12)),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("used_at", sa.BigInteger),
)

# Command lines that wait for somebody to approve their login in a browser.
device_logins = sa.Table(
    "device_logins",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("hash", sa.String(64), nullable=False, unique=True),  # of the code only the command line knows
    sa.Column("user_code", sa.String(9), nullable=False, unique=True),  # the one a person compares
    sa.Column("address", sa.String(64), nullable=False, default=""),
    sa.Column("agent", sa.String(200), nullable=False, default=""),
    sa.Column("status", sa.String(8), nullable=False, default="pending"),  # pending, approved, denied
    sa.Column("account_id", sa.ForeignKey("accounts.id", ondelete="CASCADE")),
    sa.Column("role", sa.String(12)),  # of the token that was approved
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("expires_at", sa.BigInteger, nullable=False),
    sa.Column("polled_at", sa.BigInteger, nullable=False, default=0),
)

# Who did what: see accounts.audit. Nothing in it refers to other tables, for it outlives what it tells of.
audit_log = sa.Table(
    "audit_log",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("action", sa.String(64), nullable=False),
    sa.Column("actor_id", sa.BigInteger),
    sa.Column("actor", sa.String(96), nullable=False, default=""),
    sa.Column("token", sa.String(200), nullable=False, default=""),
    sa.Column("address", sa.String(64), nullable=False, default=""),
    sa.Column("details", sa.JSON, nullable=False, default=dict),
)

_APPEND_ONLY = {
    "sqlite": [
        f"CREATE TRIGGER audit_log_no_{verb.lower()} BEFORE {verb} ON audit_log "
        "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION audit_log_is_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN RAISE EXCEPTION 'the audit log is append-only'; END $$",
        "CREATE TRIGGER audit_log_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit_log "
        "FOR EACH STATEMENT EXECUTE FUNCTION audit_log_is_append_only()",
    ],
}
for _dialect, _statements in _APPEND_ONLY.items():
    for _statement in _statements:
        _rule = sa.DDL(_statement)  # type: ignore[no-untyped-call]
        sa.event.listen(audit_log, "after_create", _rule.execute_if(dialect=_dialect))
