"""Answering a question: which repositories, in which order, and where the next page begins."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from madang.server.accounts.caller import Caller
from madang.server.accounts.records import accounts, members
from madang.server.repositories.access import visible_to
from madang.server.repositories.records import repositories
from madang.server.search import sizes, text
from madang.server.search.index import is_term, possible
from madang.server.search.questions import Question
from madang.server.search.records import terms, texts
from madang.server.search.walking import (
    MOST_TESTED,
    Condition,
    Place,
    Source,
    Term,
    Walked,
    matches,
    walk,
)

# A search walks so far before it asks the index: a word that many repositories have is found on the way.
TESTED_FIRST = 400
# Fewer than this may have been met by chance: no rate is drawn from them.
ENOUGH_FOR_A_RATE = 4
# So many proposals of an index are tested one by one; when there are more, a walk meets them soon enough.
MOST_PROPOSALS = 2000


@dataclass(frozen=True)
class Page:
    """Rows of `repositories` in order, and where the next page begins; None: this was the last."""

    rows: "list[Row[Any]]"
    stop: Place | None


def page(connection: Connection, caller: Caller, question: Question) -> Page:
    """The repositories a question asks for, as far as the caller may know of them."""
    sources = sources_of(connection, caller, question)
    walked = _walk(connection, sources, question) if sources else Walked([], None)
    if not walked.places:
        return Page([], walked.stop)
    numbers = [found.repository_id for found in walked.places]
    # checked once more where it is decided, not where it was copied to
    query = sa.select(repositories).where(repositories.c.id.in_(numbers), visible_to(caller))
    rows = {row.id: row for row in connection.execute(query)}
    return Page([rows[number] for number in numbers if number in rows], walked.stop)


def _walk(connection: Connection, sources: list[Source], question: Question) -> Walked:
    """Along the order, or by the index of the full text: whichever is short."""
    enough = max(MOST_TESTED, 4 * question.limit)
    size = sum(source.size for source in sources)

    def go_on(begun: Walked, tested: int, among: list[int] | None = None) -> Walked:
        missing = question.limit - len(begun.places)
        more = walk(connection, sources, question.order, after=begun.stop, limit=missing, tested=tested, among=among)
        return Walked(begun.places + more.places, more.stop)

    nothing = Walked([], question.after)
    if size <= TESTED_FIRST or not (question.names or question.words):
        return go_on(nothing, enough)
    first = min(enough, max(TESTED_FIRST, 2 * question.limit))
    rest = max(1, enough - first)
    walked = go_on(nothing, first)
    fills = len(walked.places) >= ENOUGH_FOR_A_RATE and len(walked.places) * enough >= question.limit * first
    if fills and _wants_more(walked, question):
        # at this rate the page fills before the walk ends
        walked, rest = go_on(walked, rest), 0
    if not _wants_more(walked, question):
        return walked
    among = proposals(connection, question) if size > enough else None
    if among is not None and question.limit * size >= len(among) ** 2:
        return go_on(walked, rest, among)
    # no index, or so many answers that a walk fills the page sooner than all of them could be tested
    return go_on(walked, rest) if rest else walked


def _wants_more(walked: Walked, question: Question) -> bool:
    return walked.stop is not None and len(walked.places) < question.limit


def proposals(connection: Connection, question: Question) -> list[int] | None:
    """Few repositories among which all answers are; None when the index does not know so few."""
    wanted = text.grams(" ".join(question.words), whole=False)
    wanted |= text.grams(" ".join(question.names), whole=False, name=True)
    return text.proposals(connection, wanted, MOST_PROPOSALS) if wanted else None


def sources_of(connection: Connection, caller: Caller, question: Question) -> list[Source]:
    """The lists to walk: the public repositories, and the private ones of accounts the caller has to do with."""
    wanted = wanted_terms(question)
    if not all(possible(name) for _, name in wanted):
        return []
    own = owners(connection, caller)
    touched = {} if question.parameters is None else dict(sizes.touched(*question.parameters))
    named = [("all", ""), *wanted, *(("author", name) for name in own), *(("size", name) for name in touched)]
    found = find_terms(connection, question.type, named)
    if ("all", "") not in found or any(term not in found for term in wanted):
        return []
    narrowed = tuple(found[term] for term in wanted)
    tests = conditions(connection, question)
    within = conditions(connection, replace(question, parameters=None))
    ranges = [
        (found["size", name], within if whole else tests) for name, whole in touched.items() if ("size", name) in found
    ]

    def source(terms: tuple[Term, ...], private: bool, *allowed: Condition) -> Source:
        # every repository is one of all: that is only asked when there is nothing else to ask
        undivided = Source(terms or (found["all", ""],), private, (*tests, *allowed))
        if not touched:
            return undivided
        parts = tuple(Source((*terms, size), private, (*rest, *allowed)) for size, rest in ranges)
        divided = replace(undivided, parts=parts)
        return divided if divided.size < undivided.size else undivided

    if caller.token is not None and caller.token.role == "fineGrained":
        sides = [(name, private) for name in own for private in (False, True)]
    elif caller.account is not None and caller.account.administrator:
        return [source(narrowed, private) for private in (False, True)]
    else:
        sides = [(name, True) for name in own]
    allowed = matches(repositories, repositories.c.id, visible_to(caller))
    limited = [
        source((*narrowed, found["author", name]), private, allowed)
        for name, private in sides
        if ("author", name) in found
    ]
    everything = caller.token is None or caller.token.role != "fineGrained"
    return [source(narrowed, False), *limited] if everything else limited


def wanted_terms(question: Question) -> list[tuple[str, str]]:
    """The terms that every answer has, as field and name."""
    found = [("tag", tag) for tag in question.tags]
    found += [("model", name) for name in question.models] + [("dataset", name) for name in question.datasets]
    if question.pipeline_tag is not None:
        found.append(("tag", question.pipeline_tag))
    if question.author is not None:
        found.append(("author", question.author.lower()))
    if question.gated:
        found.append(("gated", "true"))
    return list(dict.fromkeys(found))


def owners(connection: Connection, caller: Caller) -> list[str]:
    """Accounts whose private repositories the caller may know of; for a token with scopes: those its scopes name."""
    if caller.token is not None and caller.token.role == "fineGrained":
        named = {
            str(scope.get("entity", {}).get("name", "")).lower().partition("/")[0] for scope in caller.token.scopes
        }
        return sorted(name for name in named if name and possible(name))
    if caller.account is None or caller.account.administrator:
        return []
    organisations = sa.select(members.c.organisation_id).where(members.c.account_id == caller.account.id)
    query = sa.select(accounts.c.key).where(accounts.c.id.in_(organisations)).order_by(accounts.c.key)
    return [caller.account.name.lower(), *connection.scalars(query)]


def find_terms(connection: Connection, type: str, wanted: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Term]:
    """Those of these terms (field, name) that some repository of the type has."""
    query = sa.select(terms.c.field, terms.c.name, terms.c.id, terms.c.public, terms.c.hidden)
    rows = connection.execute(query.where(is_term(type, wanted)))
    return {(field, name): Term(*counted) for field, name, *counted in rows}


def conditions(connection: Connection, question: Question) -> tuple[Condition, ...]:
    """What is asked beside terms."""
    found: list[Condition] = []
    facts: list[Condition] = []
    if question.pipeline_tag is not None:
        facts.append(repositories.c.pipeline_tag == question.pipeline_tag)
    if question.gated is False:
        facts.append(repositories.c.gated == sa.literal(""))
    if question.parameters is not None:
        facts.append(repositories.c.parameters.between(*question.parameters))
    if facts:
        found.append(matches(repositories, repositories.c.id, *facts))
    inside = sa.func.instr if connection.dialect.name == "sqlite" else sa.func.strpos
    held = [inside(texts.c.name, word) > 0 for word in question.names]
    held += [inside(texts.c.text, word) > 0 for word in question.words]
    if held:
        found.append(matches(texts, texts.c.repository_id, *held))
    return tuple(found)
