"""Lists in pages: each names the address of the next one in a `Link` header."""

import base64
import binascii
import json
from typing import Any
from urllib.parse import urlencode

from fastapi import Request

from madang.server.api.asking import the_hub
from madang.server.errors import InvalidRequest

LONGEST = 32 * 1024


def cursor_of(place: Any) -> str:
    """Where a list goes on, as text that fits into an address."""
    text = json.dumps(place, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def place_of(cursor: str) -> Any:
    """What `cursor_of` was given. Raises InvalidRequest for text that it never made."""
    try:
        if len(cursor) > LONGEST:
            raise ValueError("too long")
        return json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, binascii.Error, RecursionError):
        raise InvalidRequest("the cursor is none of this hub's. Begin again at the first page.") from None


def text_of(cursor: str) -> str:
    """The text a list goes on after; nothing for the first page."""
    place = place_of(cursor) if cursor else ""
    if not isinstance(place, str):
        raise InvalidRequest("the cursor is of another list. Begin again at the first page.")
    return place


def link_to_next(request: Request, place: Any) -> dict[str, str]:
    """The header that announces the next page: the same address, going on at `place`."""
    query = [(key, value) for key, value in request.query_params.multi_items() if key != "cursor"]
    address = f"{the_hub(request).settings.address}{request.url.path}"
    return {"Link": f'<{address}?{urlencode([*query, ("cursor", cursor_of(place))])}>; rel="next"'}
