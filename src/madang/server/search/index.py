"""Keeping the search true to the repositories: called in the transaction that changes one."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.database import batches, insert_new, put
from madang.server.git.store import Objects
from madang.server.repositories.files import read_text
from madang.server.repositories.records import repositories
from madang.server.search import sizes, text
from madang.server.search.records import ORDERS, pairs, postings, terms, texts
from madang.server.search.vocabulary import OF_TYPE, kind_of

# A card may name any number of tags: beyond these a repository is not found by its tags, and stays cheap to index.
MOST_TAGS = 300
LONGEST_TAG = 256
LONGEST_CARD = 1024 * 1024

Term = tuple[str, str]  # field, name


def update(connection: Connection, repository_id: int) -> None:
    """Read the row and the card of a repository into all that lists, facets and searches are answered from.

    To be called after its files, tags, name, owner or visibility changed. For counters alone `reorder` is enough.
    """
    # two changes of one repository wait for each other here, so that each finds what the other left
    # weaker than FOR UPDATE: whoever inserts rows that name the repository (objects, events) holds its key, and would
    # wait for us while we wait for them
    query = sa.select(repositories).where(repositories.c.id == repository_id).with_for_update(key_share=True)
    row = connection.execute(query).one()
    wanted = _identities(connection, row.type, terms_of(row))
    old = {
        posting.term_id: bool(posting.private)
        for posting in connection.execute(
            sa.select(postings.c.term_id, postings.c.private).where(postings.c.repository_id == repository_id)
        )
    }
    _write_postings(connection, row, old, set(wanted))
    new = dict.fromkeys(wanted, bool(row.private))
    _count(connection, old, new)
    _count_pairs(connection, row.type, old, new)
    _write_text(connection, row)


def remove(connection: Connection, repository_id: int) -> None:
    """Forget a repository. To be called before its row is deleted: the database refuses to delete it otherwise."""
    kind = connection.scalar(sa.select(repositories.c.type).where(repositories.c.id == repository_id))
    old = {
        posting.term_id: bool(posting.private)
        for posting in connection.execute(
            sa.select(postings.c.term_id, postings.c.private).where(postings.c.repository_id == repository_id)
        )
    }
    connection.execute(postings.delete().where(postings.c.repository_id == repository_id))
    _count(connection, old, {})
    _count_pairs(connection, str(kind), old, {})
    _discard_text(connection, repository_id)
    connection.execute(texts.delete().where(texts.c.repository_id == repository_id))


def reorder(connection: Connection, repository_ids: Iterable[int]) -> None:
    """Put repositories where their likes, downloads and trending scores belong in the lists."""
    columns = [repositories.c[order] for order in ORDERS]
    for some in batches(sorted(repository_ids)):
        rows = connection.execute(sa.select(repositories.c.id, *columns).where(repositories.c.id.in_(some))).all()
        if rows:
            connection.execute(
                postings.update()
                .where(postings.c.repository_id == sa.bindparam("repository"))
                .values({order: sa.bindparam(f"new_{order}") for order in ORDERS}),
                [{"repository": row.id} | {f"new_{order}": getattr(row, order) for order in ORDERS} for row in rows],
            )


def terms_of(row: "Row[Any]") -> list[Term]:
    """What a repository can be found by."""
    named = [*(row.tags or ()), row.pipeline_tag, row.library_name, row.sdk]
    tags = [tag for tag in dict.fromkeys(named) if isinstance(tag, str) and possible(tag)]
    found: list[Term] = [("all", ""), ("author", row.key.partition("/")[0])]
    if row.gated:
        found.append(("gated", "true"))
    if row.parameters is not None:
        found += [("size", name) for name in sizes.names(row.parameters)]
    if row.type == "space":
        found += [(field, name.lower()) for field in ("model", "dataset") for name in linked(row.card, field + "s")]
    return found + [("tag", tag) for tag in tags[:MOST_TAGS]]


def possible(tag: str) -> bool:
    """Whether something can be a tag here: short enough, and text."""
    return 0 < len(tag) <= LONGEST_TAG and tag.isprintable()


def linked(card: Any, key: str) -> list[str]:
    """The repositories that the card of a Space names under `models` or `datasets`."""
    named = card.get(key) if isinstance(card, dict) else None
    listed = [named] if isinstance(named, str) else named if isinstance(named, list) else []
    return [name for name in dict.fromkeys(listed) if isinstance(name, str) and possible(name)][:MOST_TAGS]


def is_term(type: str, wanted: Iterable[Term]) -> "sa.ColumnElement[bool]":
    """The condition that picks these terms, written so that SQLite looks each up in the index."""
    names: dict[str, list[str]] = {}
    for field, name in dict.fromkeys(wanted):
        names.setdefault(field, []).append(name)
    each = [
        sa.and_(
            terms.c.type == type,
            terms.c.field == field,
            terms.c.name.in_(some) if len(some) > 1 else terms.c.name == some[0],
        )
        for field, some in names.items()
    ]
    return sa.or_(sa.false(), *each)


def _identities(connection: Connection, type: str, wanted: list[Term]) -> list[int]:
    """The numbers of terms, new ones included."""
    found: dict[Term, int] = {}
    for attempt in ("look", "make"):
        missing = sorted(set(wanted) - set(found))
        if attempt == "make" and missing:
            # in one order everywhere: two transactions that make the same terms do not wait for each other in a ring
            rows = [
                {"type": type, "field": field, "name": name, "kind": _kind(type, field, name), "public": 0, "hidden": 0}
                for field, name in missing
            ]
            insert_new(connection, terms, rows)
        for some in batches(missing):
            query = sa.select(terms.c.field, terms.c.name, terms.c.id).where(is_term(type, some))
            found |= {(field, name): identity for field, name, identity in connection.execute(query)}
    return [found[term] for term in dict.fromkeys(wanted)]


def _kind(type: str, field: str, name: str) -> str:
    return kind_of(type, name) if field == "tag" else field


def _write_postings(connection: Connection, row: "Row[Any]", old: dict[int, bool], wanted: set[int]) -> None:
    values = {"private": bool(row.private)} | {order: getattr(row, order) for order in ORDERS}
    for some in batches(sorted(set(old) - wanted)):
        here = sa.and_(postings.c.repository_id == row.id, postings.c.term_id.in_(some))
        connection.execute(postings.delete().where(here))
    if set(old) & wanted:
        connection.execute(postings.update().where(postings.c.repository_id == row.id).values(values))
    added = [{"term_id": term, "repository_id": row.id, **values} for term in sorted(wanted - set(old))]
    if added:
        connection.execute(postings.insert(), added)


def _count(connection: Connection, old: dict[int, bool], new: dict[int, bool]) -> None:
    """Move the counters of terms from what was to what is (term -> private)."""
    changes = []
    for term in sorted(set(old) | set(new)):
        public = (new.get(term) is False) - (old.get(term) is False)
        hidden = (new.get(term) is True) - (old.get(term) is True)
        if public or hidden:
            changes.append({"term": term, "more_public": public, "more_hidden": hidden})
    if changes:
        connection.execute(
            terms.update()
            .where(terms.c.id == sa.bindparam("term"))
            .values(
                public=terms.c.public + sa.bindparam("more_public", type_=sa.BigInteger),
                hidden=terms.c.hidden + sa.bindparam("more_hidden", type_=sa.BigInteger),
            ),
            changes,
        )


def _count_pairs(connection: Connection, type: str, old: dict[int, bool], new: dict[int, bool]) -> None:
    """The same for the counters of two terms together."""
    before = {term for term, private in old.items() if not private}
    after = {term for term, private in new.items() if not private}
    if before == after:
        return
    counted: set[int] = set()
    for some in batches(before | after):
        query = sa.select(terms.c.id).where(terms.c.id.in_(some), terms.c.kind.in_(OF_TYPE[type]))
        counted |= set(connection.scalars(query))
    before, after = before & counted, after & counted
    changes: dict[tuple[int, int], int] = {}
    for present, step in ((before, -1), (after, 1)):
        for one in present:
            for other in present:
                changes[one, other] = changes.get((one, other), 0) + step
    rows = [
        {"term_id": one, "other_id": other, "public": step}
        for (one, other), step in sorted(changes.items())
        if step and one != other
    ]
    put(connection, pairs, rows, add=["public"])


def _write_text(connection: Connection, row: "Row[Any]") -> None:
    """Store what is searched for words, unless it is what is stored."""
    name = text.normal(row.name)
    tags = [tag for tag in (row.tags or ()) if isinstance(tag, str)]
    content = text.normal("\n".join([row.name, *tags[:MOST_TAGS], card_text(connection, row)]))[: text.LONGEST_TEXT]
    stored = connection.execute(sa.select(texts).where(texts.c.repository_id == row.id)).first()
    if stored is not None and (stored.name, stored.text) == (name, content):
        return
    if stored is None:
        connection.execute(texts.insert().values(repository_id=row.id, name=name, text=content))
    else:
        _discard_text(connection, row.id)
        connection.execute(texts.update().where(texts.c.repository_id == row.id).values(name=name, text=content))
    text.store(connection, row.id, grams_of(name, content))


def _discard_text(connection: Connection, repository_id: int) -> None:
    stored = connection.execute(sa.select(texts).where(texts.c.repository_id == repository_id)).first()
    if stored is not None:
        text.discard(connection, repository_id, grams_of(stored.name, stored.text))


def grams_of(name: str, content: str) -> set[int]:
    """What a repository is indexed by: pieces of its name apart from pieces of its text."""
    return text.grams(name, name=True) | text.grams(content)


def card_text(connection: Connection, row: "Row[Any]") -> str:
    """README.md of the main branch, without its front matter."""
    if row.head is None:
        return ""
    objects = Objects(connection, row.id)
    entry = objects.find(objects.commit(row.head).tree, "README.md")
    content = read_text(objects, entry, LONGEST_CARD).removeprefix("\ufeff")
    lines = content.splitlines()
    marks = [number for number, line in enumerate(lines) if line.rstrip() == "---"][:2]
    # front matter is searched by its tags
    return "\n".join(lines[marks[1] + 1 :]) if len(marks) == 2 and marks[0] == 0 else content
