"""Cards, looked at before they are uploaded."""

from typing import Annotated

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from pydantic import Field

from madang.server.api.bodies import Body
from madang.server.repositories.cards import check_card
from madang.server.repositories.names import TYPES
from madang.server.routing import Router

router = Router(tags=["repositories"])


class Card(Body):
    content: Annotated[str, Field(max_length=8 * 1024 * 1024)]
    type: Annotated[str, Field(alias="repoType")] = "model"


@router.post("/api/validate-yaml")
def validate(request: Request, card: Card) -> Response:
    """What is wrong with a card: as JSON, or line by line for people (`Accept: text/plain`)."""
    # kinds of repositories that this hub does not have take what a model takes
    findings = check_card(card.content, card.type if card.type in TYPES else "model")
    status = 400 if findings.errors else 200
    if "text/plain" in request.headers.get("accept", ""):
        lines = [f"- Error: {message}" for message in findings.errors]
        lines += [f"- Warning: {message}" for message in findings.warnings]
        return PlainTextResponse("\n".join(lines), status)
    answer = {
        "errors": [{"message": message} for message in findings.errors],
        "warnings": [{"message": message} for message in findings.warnings],
    }
    return JSONResponse(answer, status)
