"""The tables of the search: what lists, facets and full text are answered from.

All of it is drawn from the rows of `repositories` by `search.index.update`, in the transaction that changes them.
"""

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.database import Key, metadata

# Something a list can be narrowed by: a tag, an author, a size, or (field "all") being of this type.
terms = sa.Table(
    "search_terms",
    metadata,
    sa.Column("id", Key, primary_key=True),
    sa.Column("type", sa.String(8), nullable=False),  # model, dataset, space
    sa.Column("field", sa.String(8), nullable=False),  # all, tag, author, gated, size, model, dataset
    sa.Column("name", sa.String(256), nullable=False),
    sa.Column("kind", sa.String(24), nullable=False),  # which facet it belongs to: see search.vocabulary
    sa.Column("public", sa.BigInteger, nullable=False, default=0),  # how many public repositories have it
    sa.Column("hidden", sa.BigInteger, nullable=False, default=0),  # how many private ones
    sa.UniqueConstraint("type", "field", "name"),
    sa.Index("ix_search_terms_facets", "type", "kind", "public"),
)

ORDERS = ("modified_at", "created_at", "downloads", "likes", "trending")

# Which repositories have a term. Each order has its index, so that a list is read off in its order, newest or most
# liked first, and no list is ever sorted. No cascade: a repository that is deleted without `search.index.remove`
# would leave the counters wrong, so the database refuses that.
postings = sa.Table(
    "search_postings",
    metadata,
    sa.Column("term_id", sa.ForeignKey("search_terms.id"), primary_key=True),
    sa.Column("repository_id", sa.ForeignKey("repositories.id"), primary_key=True),
    sa.Column("private", sa.Boolean, nullable=False),
    sa.Column("modified_at", sa.BigInteger, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("downloads", sa.BigInteger, nullable=False),
    sa.Column("likes", sa.BigInteger, nullable=False),
    sa.Column("trending", sa.Float, nullable=False),
    sa.Index("ix_search_postings_repository", "repository_id", "term_id"),
    *(sa.Index(f"ix_search_postings_{order}", "term_id", "private", order, "repository_id") for order in ORDERS),
    sqlite_with_rowid=False,
)

# How many public repositories have both of two terms, for the kinds of terms that pages count: both ways round.
pairs = sa.Table(
    "search_pairs",
    metadata,
    sa.Column("term_id", sa.ForeignKey("search_terms.id"), primary_key=True),
    sa.Column("other_id", sa.ForeignKey("search_terms.id"), primary_key=True),
    sa.Column("public", sa.BigInteger, nullable=False),
    sqlite_with_rowid=False,
)

# What the full text is searched in: composed (NFC), in lower case, one blank between words.
texts = sa.Table(
    "search_texts",
    metadata,
    sa.Column("repository_id", sa.ForeignKey("repositories.id"), primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("text", sa.Text, nullable=False),  # name, tags and card
)

# The index of the full text, from grams (numbers, see search.text) to repositories. SQLite keeps it as a full-text
# table without the text itself, PostgreSQL as an array with an inverted index; both are made with the table above.
GRAMS = {
    "sqlite": (
        "CREATE VIRTUAL TABLE IF NOT EXISTS search_grams"
        " USING fts5(grams, content='', detail='none', columnsize=0, tokenize='ascii')",
    ),
    "postgresql": (
        "CREATE TABLE IF NOT EXISTS search_grams (repository_id bigint PRIMARY KEY, grams integer[] NOT NULL)",
        # without fastupdate: a search would have to read through the list of what is not in the index yet
        "CREATE INDEX IF NOT EXISTS ix_search_grams ON search_grams USING gin (grams) WITH (fastupdate = off)",
    ),
}


@sa.event.listens_for(texts, "after_create")
def _make_grams(table: sa.Table, connection: Connection, **_: object) -> None:
    for statement in GRAMS[connection.dialect.name]:
        connection.exec_driver_sql(statement)


@sa.event.listens_for(texts, "before_drop")
def _drop_grams(table: sa.Table, connection: Connection, **_: object) -> None:
    connection.exec_driver_sql("DROP TABLE IF EXISTS search_grams")
