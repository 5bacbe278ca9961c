"""Facets: what the repositories of a list have, and how many of them have it.

Counts are of public repositories, whoever asks. Without a filter they are read from counters, with one filter from
counters of pairs. With more, or for facets without a bounded number of values, so many repositories of the list are
looked at: when that was all of them the counts are exact, else they are lower bounds, and the answer says which.
"""

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from madang.server.accounts.caller import Caller
from madang.server.search.listing import sources_of, wanted_terms
from madang.server.search.questions import Question
from madang.server.search.records import pairs, postings, terms
from madang.server.search.vocabulary import OF_TYPE, OPEN
from madang.server.search.walking import Source, Term, number, one_of, walk

VALUES = 50
LOOKED_AT = 200
# of a facet without a bounded number of values, `tags_by_type` names the most frequent
MOST_VALUES = 1000

Values = list[dict[str, Any]]


def facets(connection: Connection, question: Question) -> dict[str, Any]:
    """The facets of a list: `{"total": n, "exact": …, "facets": {kind: {"exact": …, "values": [...]}}}`."""
    kinds = (*OF_TYPE[question.type], *OPEN[question.type])
    sources = sources_of(connection, Caller(), question)
    if not sources:
        return _answer(0, True, {kind: (True, []) for kind in kinds})
    source = sources[0]
    filters = source.terms if wanted_terms(question) else ()
    if not filters and not source.conditions:
        return _answer(source.size, True, {kind: (True, _all(connection, question.type, kind)) for kind in kinds})
    found, complete = _looked_at(connection, sources, question)
    if complete:
        return _answer(len(found), True, _counted(connection, found, kinds, exact=True))
    total: int | None = None
    paired: dict[str, tuple[bool, Values]] = {}
    if not source.conditions and len(filters) == 1:
        total = source.size
        paired = _paired(connection, question.type, filters[0])
    elif not source.conditions and len(filters) == 2:
        total = _pair(connection, filters[0], filters[1])
    counted = _counted(connection, found, tuple(kind for kind in kinds if kind not in paired), exact=False)
    answer = {kind: (paired | counted)[kind] for kind in kinds}
    return _answer(len(found) if total is None else total, total is not None, answer)


def _answer(total: int, exact: bool, counted: dict[str, tuple[bool, Values]]) -> dict[str, Any]:
    listed = {kind: {"exact": sure, "values": values} for kind, (sure, values) in counted.items()}
    return {"total": total, "exact": exact, "facets": listed}


def _all(connection: Connection, type: str, kind: str, most: int = VALUES) -> Values:
    """The values of a facet among all repositories of a type, the most frequent first."""
    query = (
        sa.select(terms.c.name, terms.c.public)
        .where(terms.c.type == type, terms.c.kind == kind, terms.c.public > 0)
        .order_by(terms.c.public.desc(), terms.c.id.desc())
        .limit(most)
    )
    return [{"value": name, "count": count} for name, count in connection.execute(query)]


def _looked_at(connection: Connection, sources: list[Source], question: Question) -> tuple[list[int], bool]:
    """Some repositories of a list, and whether they are all of it."""
    asked = replace(question, sort="createdAt", descending=True)
    walked = walk(connection, sources, asked.order, after=None, limit=LOOKED_AT)
    return [place.repository_id for place in walked.places], walked.stop is None


def _counted(
    connection: Connection, found: list[int], kinds: tuple[str, ...], *, exact: bool
) -> dict[str, tuple[bool, Values]]:
    """The facets of these repositories."""
    counts = (
        sa.select(postings.c.term_id, sa.func.count().label("count"))
        .where(one_of(connection, found))
        .group_by(postings.c.term_id)
    )
    values = _most_frequent(connection, counts, kinds) if found else {}
    return {kind: (exact, values.get(kind, [])) for kind in kinds}


def _paired(connection: Connection, type: str, chosen: Term) -> dict[str, tuple[bool, Values]]:
    """The facets that are counted in pairs, for one chosen value; none where that is not counted."""
    kind, own = connection.execute(sa.select(terms.c.kind, terms.c.name).where(terms.c.id == chosen.id)).one()
    if kind not in OF_TYPE[type]:
        return {}
    counts = sa.select(pairs.c.other_id.label("term_id"), pairs.c.public.label("count")).where(
        pairs.c.term_id == number(connection, chosen.id), pairs.c.public > 0
    )
    values = _most_frequent(connection, counts, OF_TYPE[type])
    values[kind] = [{"value": own, "count": chosen.public}, *values.get(kind, [])][:VALUES]
    return {name: (True, values.get(name, [])) for name in OF_TYPE[type]}


def _most_frequent(connection: Connection, counts: "sa.Select[Any]", kinds: tuple[str, ...]) -> dict[str, Values]:
    """Of terms and their counts, those that are shown: so many of each facet."""
    counted = counts.subquery()
    # the database sorts them out: most facets have hundreds of values that nobody is shown
    place = sa.func.row_number().over(partition_by=terms.c.kind, order_by=(counted.c.count.desc(), terms.c.name))
    ranked = (
        sa.select(terms.c.kind, terms.c.name, counted.c.count, place.label("place"))
        .join_from(counted, terms, terms.c.id == counted.c.term_id)
        .where(terms.c.field == "tag", terms.c.kind.in_(kinds))
        .subquery()
    )
    query = sa.select(ranked.c.kind, ranked.c.name, ranked.c.count).where(ranked.c.place <= VALUES)
    found: dict[str, Values] = {}
    for kind, name, count in connection.execute(query.order_by(ranked.c.kind, ranked.c.place)):
        found.setdefault(kind, []).append({"value": name, "count": count})
    return found


def _pair(connection: Connection, one: Term, other: Term) -> int | None:
    """How many have both, if that is counted."""
    query = sa.select(pairs.c.public).where(pairs.c.term_id == one.id, pairs.c.other_id == other.id)
    return connection.scalar(query)


def tags_by_type(connection: Connection, type: str) -> dict[str, list[dict[str, str]]]:
    """All tags that public repositories of a type have, by facet: what clients offer for completion."""
    return {
        kind: [
            {"id": item["value"], "label": item["value"].partition(":")[2] or item["value"], "type": kind}
            for item in _all(connection, type, kind, MOST_VALUES)
        ]
        for kind in (*OF_TYPE[type], *OPEN[type])
    }
