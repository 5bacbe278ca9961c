"""Reading a list off in its order, a page at a time, with bounded work.

A list is a walk along the postings of its rarest term; every repository met is tested for the rest of what was asked.
A walk tests at most so many repositories in one request: then the page ends, however full it is, and the next one
goes on from there. So no combination of filters, however unlucky, makes a request run for seconds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.search.records import postings

# so many repositories are tested for one page at most (a page of 1000 gets more)
MOST_TESTED = 2000
# and so many at least of each part, where a list is put together from parts
LEAST_TESTED = 200

Condition = sa.ColumnElement[bool]

# made once: with that many columns it costs as much as a look-up
_OTHER = postings.alias("other")


class Place(NamedTuple):
    """Where a repository stands in a list: what it is ordered by, and its number, which settles ties."""

    value: int | float
    repository_id: int


class Term(NamedTuple):
    """A term that a list is narrowed by, and how many repositories have it."""

    id: int
    public: int
    hidden: int

    def size(self, private: bool) -> int:
        return self.hidden if private else self.public


@dataclass(frozen=True)
class Source:
    """Repositories that have all of these terms and meet the conditions, either the public or the private ones.

    Where there are `parts`, it is the same repositories, taken apart so that less has to be tested.
    """

    terms: tuple[Term, ...]
    private: bool
    conditions: tuple[Condition, ...] = ()
    parts: "tuple[Source, ...] | None" = None

    @property
    def driver(self) -> Term:
        return min(self.terms, key=lambda term: term.size(self.private))

    @property
    def size(self) -> int:
        """How many repositories a complete walk would test."""
        if self.parts is not None:
            return sum(part.size for part in self.parts)
        return self.driver.size(self.private)


@dataclass(frozen=True)
class Order:
    """A column of `postings`, and which way it is read."""

    column: str
    descending: bool = True

    @property
    def key(self) -> "sa.ColumnElement[Any]":
        return sa.tuple_(postings.c[self.column], postings.c.repository_id)

    def sorting(self, *, by_index: bool = True) -> list["sa.ColumnElement[Any]"]:
        """How rows are ordered; not `by_index`: spelled so that no planner walks an index for it, but sorts."""
        value: sa.ColumnElement[Any] = postings.c[self.column]
        columns = (value if by_index else value + sa.literal_column("0"), postings.c.repository_id)
        return [column.desc() if self.descending else column.asc() for column in columns]

    def beyond(self, place: Place) -> Condition:
        """What comes after a place."""
        return self.key < self._typed(place) if self.descending else self.key > self._typed(place)

    def up_to(self, place: Place) -> Condition:
        """What comes before a place, and the place itself."""
        return self.key >= self._typed(place) if self.descending else self.key <= self._typed(place)

    def _typed(self, place: Place) -> "sa.ColumnElement[Any]":
        value = sa.bindparam(None, place.value, type_=postings.c[self.column].type)
        return sa.tuple_(value, sa.bindparam(None, place.repository_id, type_=sa.BigInteger))

    def sorted(self, places: list[Place]) -> list[Place]:
        return sorted(places, reverse=self.descending)


@dataclass(frozen=True)
class Walked:
    """What was found, in order, and where the walk stopped; None: there is nothing beyond."""

    places: list[Place]
    stop: Place | None


def walk(
    connection: Connection,
    sources: Sequence[Source],
    order: Order,
    *,
    after: Place | None,
    limit: int,
    tested: int = MOST_TESTED,
    among: Sequence[int] | None = None,
) -> Walked:
    """One page out of several sources. `among` narrows them to these repositories, all of which are then tested."""
    if among is not None and not among:
        return Walked([], None)
    parts = [
        _walk_one(connection, part, order, after, limit, share, among)
        for source in sources
        for part, share in _apart(source, tested, among)
        if part.size
    ]
    found = order.sorted([place for part in parts for place in part.places])
    # beyond the first stop of any source, it is not known what that source would have put between the others'
    stops = order.sorted([part.stop for part in parts if part.stop is not None])
    if stops:
        found = [place for place in found if (place >= stops[0] if order.descending else place <= stops[0])]
    if len(found) > limit:
        return Walked(found[:limit], found[limit - 1])
    return Walked(found, stops[0] if stops else None)


def _apart(source: Source, tested: int, among: Sequence[int] | None) -> list[tuple[Source, int]]:
    """What is walked for a source, and how many repositories are tested of each."""
    if source.parts is None or among is not None:
        # repositories that are known already are tested for everything at once
        return [(source, tested)]
    # together as many as of one list, and of each enough to find some
    share = max(tested // max(1, len(source.parts)), min(tested, LEAST_TESTED))
    return [(part, share) for part in source.parts]


def _walk_one(
    connection: Connection,
    source: Source,
    order: Order,
    after: Place | None,
    limit: int,
    tested: int,
    among: Sequence[int] | None,
) -> Walked:
    driver = source.driver
    asked = sa.select(postings.c[order.column], postings.c.repository_id)
    term = postings.c.term_id == number(connection, driver.id)
    private = postings.c.private == sa.literal(source.private)
    if among is None:
        asked = asked.where(term, private)
    elif connection.dialect.name == "sqlite":
        # SQLite knows how many repositories terms have on average, and some have nearly all of them: it would read
        # those. An outer join is made in the order it is written, and what is added to is looked up in no index.
        given = _listed(among)
        unindexed = sa.type_coerce(postings.c.private, sa.Integer) + sa.literal_column("0") == int(source.private)
        joined = given.outerjoin(postings, sa.and_(postings.c.repository_id == given.c.value, term, unindexed))
        asked = asked.select_from(joined).where(sa.func.coalesce(postings.c.repository_id, 0) > 0)
    else:
        asked = asked.where(term, private, one_of(connection, among))
    if after is not None:
        asked = asked.where(order.beyond(after))
    tests = [has_term(connection, term.id) for term in source.terms if term.id != driver.id] + list(source.conditions)
    asked = asked.order_by(*order.sorting(by_index=among is None))
    stop = None
    if among is None and tests and source.size > tested:
        stop = _place(connection.execute(asked.limit(1).offset(tested - 1)).first())
        if stop is not None:
            asked = asked.where(order.up_to(stop))
    rows = connection.execute(asked.where(*tests).limit(limit + 1)).all()
    places = [Place(value, identity) for value, identity in rows]
    return Walked(places, places[-1] if len(places) > limit else stop)


def _place(row: Any) -> Place | None:
    return None if row is None else Place(row[0], row[1])


def number(connection: Connection, value: int) -> "sa.ColumnElement[int]":
    """A number that the planner of PostgreSQL sees when it plans: terms of one repository and of a million differ."""
    return sa.bindparam(None, value, type_=sa.BigInteger, literal_execute=connection.dialect.name != "sqlite")


def has_term(connection: Connection, term_id: int) -> Condition:
    """Whether the repository of a posting has another term too.

    Written as a value, not as EXISTS: PostgreSQL would turn that into a join, and read all postings of the term.
    """
    here: sa.Select[Any] = sa.select(sa.literal_column("1")).where(
        _OTHER.c.term_id == number(connection, term_id), _OTHER.c.repository_id == postings.c.repository_id
    )
    return here.correlate(postings).scalar_subquery() == sa.literal_column("1")


def matches(table: sa.Table, key: "sa.ColumnElement[int]", *conditions: Condition) -> Condition:
    """Whether the row that a table has for the repository of a posting meets conditions."""
    here: sa.Select[Any] = (
        sa.select(sa.literal_column("1")).select_from(table).where(key == postings.c.repository_id, *conditions)
    )
    return here.correlate(postings).scalar_subquery() == sa.literal_column("1")


def one_of(connection: Connection, repository_ids: Sequence[int]) -> Condition:
    """Whether the repository of a posting is one of these, which may be thousands: one value in the statement."""
    if connection.dialect.name == "sqlite":
        return postings.c.repository_id.in_(sa.select(_listed(repository_ids).c.value))
    array = sa.cast(list(repository_ids), sa.ARRAY(sa.BigInteger))
    return postings.c.repository_id == sa.any_(array)


def _listed(numbers: Sequence[int]) -> "sa.TableValuedAlias":
    """Numbers as a table of SQLite."""
    return sa.func.json_each("[" + ",".join(map(str, numbers)) + "]").table_valued("value")
