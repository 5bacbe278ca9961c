"""Forms: small, and read no further than that, whatever somebody sends."""

from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, Request

from madang.server.api.bodies import pieces, whole
from madang.server.errors import InvalidRequest

LARGEST = 64 * 1024


async def small_form(request: Request) -> dict[str, str]:
    """The fields of a form, the last of each name. Raises InvalidRequest for what is no form, or too large."""
    body = await whole(pieces(request), LARGEST, InvalidRequest(f"A form has at most {LARGEST:,} bytes."))
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=1000)
    except ValueError:
        raise InvalidRequest("This is no form (application/x-www-form-urlencoded).") from None
    return dict(pairs)


Form = Annotated[dict[str, str], Depends(small_form)]
