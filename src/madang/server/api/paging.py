"""Lists in pages: each names the address of the next one in a `Link` header."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar
from urllib.parse import urlencode

from fastapi import Request
from fastapi.responses import JSONResponse
from pydantic import Field, TypeAdapter

from madang.server.api.asking import the_hub
from madang.server.errors import InvalidRequest

LONGEST = 32 * 1024

Place = TypeVar("Place")
# what cursors are made of: numbers that databases can count to, and names of content
Number = Annotated[int, Field(strict=True, ge=0, lt=2**63)]
Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]


def cursor_of(place: Any) -> str:
    """Where a list goes on, as text that fits into an address."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def place_of(cursor: str, kind: TypeAdapter[Place]) -> Place | None:
    """What `cursor_of` was given; None for the first page. Raises InvalidRequest for the cursor of another list."""
    if not cursor:
        return None
    try:
        if len(cursor) > LONGEST:
            raise ValueError("too long")
        # read first, then checked: names of files may hold halves of characters, which the quicker way does not take
        return kind.validate_python(json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))))
    except (ValueError, RecursionError):
        raise InvalidRequest("the cursor is none of this list's. Begin again at the first page.") from None


def link_to_next(request: Request, place: Any) -> dict[str, str]:
    """The header that announces the next page: the same address, going on at `place`."""
    return link(request, cursor=cursor_of(place))


def link(request: Request, **where: Any) -> dict[str, str]:
    """The header that announces the next page: the same address, but for the parameters that say where it goes on."""
    query = [(key, value) for key, value in request.query_params.multi_items() if key not in where]
    address = f"{the_hub(request).settings.address}{request.url.path}"
    return {"Link": f'<{address}?{urlencode([*query, *where.items()])}>; rel="next"'}


def answer(request: Request, rows: Sequence[tuple[Any, dict[str, Any]]], limit: int) -> JSONResponse:
    """A page of at most `limit` of these items, each of which comes with its place; one more says that it goes on."""
    page = rows[:limit]
    headers = link_to_next(request, page[-1][0]) if len(rows) > limit else {}
    return JSONResponse([item for _, item in page], headers=headers)
