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
from madang.server.search.walking import Term, number, walk

VALUES = 50
LOOKED_AT = 300
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
    found, complete = _looked_at(connection, question)
    counted = _counted(connection, found, kinds, complete)
    if complete:
        return _answer(len(found), True, counted)
    if source.conditions or len(filters) > 2:
        return _answer(len(found), False, counted)
    total: int | None = source.size
    if len(filters) == 2:
        total = _pair(connection, filters[0], filters[1])
    elif (kind := _kind(connection, filters[0])) in OF_TYPE[question.type]:
        counted |= _paired(connection, question.type, filters[0], kind)
    return _answer(len(found) if total is None else total, total is not None, counted)


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


def _looked_at(connection: Connection, question: Question) -> tuple[list[int], bool]:
    """Some repositories of a list, and whether they are all of it."""
    sources = sources_of(connection, Caller(), question)
    asked = replace(question, sort="createdAt", descending=True)
    walked = walk(connection, sources, asked.order, after=None, limit=LOOKED_AT)
    return [place.repository_id for place in walked.places], walked.stop is None


def _counted(
    connection: Connection, found: list[int], kinds: tuple[str, ...], complete: bool
) -> dict[str, tuple[bool, Values]]:
    """The facets of these repositories."""
    values: dict[str, Values] = {kind: [] for kind in kinds}
    if found:
        count = sa.func.count()
        counted = (
            sa.select(postings.c.term_id, count.label("count"))
            .where(postings.c.repository_id.in_(found))
            .group_by(postings.c.term_id)
            .subquery()
        )
        query = (
            sa.select(terms.c.kind, terms.c.name, counted.c.count)
            .join_from(counted, terms, terms.c.id == counted.c.term_id)
            .where(terms.c.field == "tag")
            .order_by(counted.c.count.desc(), terms.c.name)
        )
        for kind, name, number_of in connection.execute(query):
            if kind in values and len(values[kind]) < VALUES:
                values[kind].append({"value": name, "count": number_of})
    return {kind: (complete, listed) for kind, listed in values.items()}


def _paired(connection: Connection, type: str, chosen: Term, kind: str) -> dict[str, tuple[bool, Values]]:
    """The facets that are counted in pairs, for one chosen value."""
    query = (
        sa.select(terms.c.kind, terms.c.name, pairs.c.public)
        .join_from(pairs, terms, terms.c.id == pairs.c.other_id)
        .where(pairs.c.term_id == number(connection, chosen.id), pairs.c.public > 0)
        .order_by(pairs.c.public.desc(), terms.c.name)
    )
    values: dict[str, Values] = {name: [] for name in OF_TYPE[type]}
    own = sa.select(terms.c.name).where(terms.c.id == chosen.id)
    values[kind].append({"value": connection.scalar(own), "count": chosen.public})
    for other_kind, name, count in connection.execute(query):
        if other_kind in values and len(values[other_kind]) < VALUES:
            values[other_kind].append({"value": name, "count": count})
    return {name: (True, listed) for name, listed in values.items()}


def _kind(connection: Connection, term: Term) -> str:
    return str(connection.scalar(sa.select(terms.c.kind).where(terms.c.id == term.id)))


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
