"""The sessions of whoever looks: where they are signed in, and how to end that."""

from fastapi import Request, Response

from madang.server.accounts.sessions import end_session, sessions_of
from madang.server.api.asking import TheHub
from madang.server.routing import Router
from madang.server.web.pages import Page, PageForm, Person, go, number_in, page

router = Router(route_class=Page, include_in_schema=False)


# the first that is named: browsers also name those before them, whose pages they want to get
BROWSERS = {
    "Whale/": "Whale",
    "SamsungBrowser/": "Samsung Internet",
    "Edg": "Edge",
    "OPR/": "Opera",
    "Firefox/": "Firefox",
    "FxiOS/": "Firefox",
    "Chrome/": "Chrome",
    "CriOS/": "Chrome",
    "Safari/": "Safari",
}
SYSTEMS = {
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Windows": "Windows",
    "Mac OS X": "macOS",
    "CrOS": "ChromeOS",
    "Linux": "Linux",
}


@router.get("/settings/sessions")
def show(request: Request, hub: TheHub, caller: Person) -> Response:
    assert caller.account is not None
    with hub.database.read() as connection:
        found = sessions_of(connection, caller.account)
    return page(request, caller, "sessions.html", sessions=found, browser=browser_name)


@router.post("/settings/sessions/end")
def end(hub: TheHub, caller: Person, form: PageForm) -> Response:
    assert caller.account is not None
    with hub.database.write() as connection:
        end_session(connection, caller, caller.account, number_in(form, "id"))
    return go("/settings/sessions")


def browser_name(agent: str) -> str:
    """`Firefox, Linux`: how people call what sends this `User-Agent`; what is unknown is shown as it is."""
    named = (next((name for sign, name in known.items() if sign in agent), None) for known in (BROWSERS, SYSTEMS))
    return ", ".join(filter(None, named)) or agent or "—"
