"""The items of a list, as clients parse them: which fields were asked for, and their values."""

from typing import Any

from sqlalchemy.engine import Connection, Row

from madang.server.errors import InvalidRequest
from madang.server.repositories import describing
from madang.server.repositories.properties import check_expand, describe_row
from madang.server.search.questions import Question

# What costs nothing to say. Without being asked for, items have no card and no config: clients rely on that.
SHORT = ("author", "private", "likes", "downloads", "tags", "createdAt", "lastModified", "trendingScore", "disabled")
SHORT_OF_TYPE = {
    "model": ("gated", "pipeline_tag", "library_name"),
    "dataset": ("gated", "description"),
    "space": ("sdk",),
}
FULL = ("sha", "siblings", "cardData", "usedStorage")


def fields_of(question: Question) -> tuple[str, ...]:
    """What each item says beside its id. Raises InvalidRequest for fields that items of this type never have."""
    check_expand(question.type, question.expand)
    if question.expand:
        if question.full or question.card or question.config:
            raise InvalidRequest("expand names all fields of the answer: leave out full, cardData and config.")
        return question.expand
    named = [*SHORT, *SHORT_OF_TYPE[question.type]]
    if question.full:
        named += FULL
    if question.card:
        named.append("cardData")
    if question.config:
        named.append("config")
    if question.type == "space" and (question.linked or question.full):
        named += ("models", "datasets")
    if question.type == "model":
        named.append("modelId")
    return tuple(dict.fromkeys(named))


def item(connection: Connection, row: "Row[Any]", fields: tuple[str, ...]) -> dict[str, Any]:
    """One repository of a list."""
    answer = describe_row(row, fields)
    if "modelId" in fields:
        answer["modelId"] = row.name
    describing.fill(connection, row, answer, fields)
    return answer
