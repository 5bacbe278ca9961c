"""The first page: what this is, and how a program reaches it."""

from fastapi import Request, Response

from madang.server.api.asking import AnyCaller
from madang.server.routing import Router
from madang.server.web.pages import Page, page

router = Router(route_class=Page, include_in_schema=False)


@router.get("/")
def home(request: Request, caller: AnyCaller) -> Response:
    return page(request, caller, "home.html")
