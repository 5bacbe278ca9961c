"""The style and the pictures of the pages."""

import hashlib
from importlib.resources import files

from fastapi import Request, Response

from madang.server.errors import NoSuchAddress
from madang.server.routing import Router

router = Router(include_in_schema=False)
TYPES = {"css": "text/css; charset=utf-8", "svg": "image/svg+xml"}
# all of them, read once: they are few and small, and no name in an address leads anywhere else
FILES = {
    file.name: file.read_bytes()
    for file in files("madang.server.web").joinpath("static").iterdir()
    if file.name.rpartition(".")[2] in TYPES
}


@router.api_route("/static/{name:piece}", methods=["GET", "HEAD"])
def static(request: Request, name: str) -> Response:
    if name not in FILES:
        raise NoSuchAddress
    tag = f'"{hashlib.sha256(FILES[name]).hexdigest()[:32]}"'
    headers = {"ETag": tag, "Cache-Control": "public, max-age=600", "X-Content-Type-Options": "nosniff"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(FILES[name], headers=headers, media_type=TYPES[name.rpartition(".")[2]])
