"""What all pages share: language, layout, headers, who looks at them, errors that people can read, safe forms."""

import hmac
from collections.abc import Callable, Coroutine
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import Depends, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse, RedirectResponse
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader, StrictUndefined
from sqlalchemy.engine import Connection

from madang.server.accounts import passwords, sessions
from madang.server.accounts.caller import Account, Caller
from madang.server.api import forms
from madang.server.api.asking import AnyCaller, check_same_origin, client_address, session_cookie, the_hub
from madang.server.clock import iso
from madang.server.errors import Forbidden, InvalidRequest, Refusal
from madang.server.hub import Hub
from madang.server.web.translations import WORDS, language_of

HEADERS = {
    # nothing but this hub's own style and pictures: no script at all
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; "
    "frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    # `no-referrer` would make browsers send forms without saying that they come from here
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Accept-Language, Cookie",
}
HOME = "/"

templates = Environment(
    loader=PackageLoader("madang.server.web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


class SignInFirst(Refusal):
    """A page for people who are signed in."""

    status = 401


class FormOfAnotherSession(Forbidden):
    """The page it stands on was opened before somebody else signed in, or was made by somebody else."""


class Page(APIRoute):
    """A route whose refusals are pages too: `Router(route_class=Page)`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except SignInFirst:
                here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
                wanted = f"?next={quote(here, safe='/')}" if request.method == "GET" else ""
                return RedirectResponse(f"/login{wanted}", 303, {"Cache-Control": "no-store"})
            except Refusal as error:
                return refused(request, error)
            except RequestValidationError:
                return refused(request, InvalidRequest("The form holds something this page has no use for."))

        return answer


def wants_page(request: Request) -> bool:
    """Whether a person reads the answer: browsers ask for HTML, programs for anything."""
    asks = "text/html" in request.headers.get("accept", "")
    return asks and request.method == "GET" and not request.url.path.startswith("/api/")


def refused(request: Request, error: Refusal) -> HTMLResponse:
    """The page that tells a person what did not work. Who looks is known only at addresses that ask for it."""
    return page(request, getattr(request.state, "caller", None), "refused.html", error=error)


def page(
    request: Request,
    caller: Caller | None,
    template: str,
    *,
    error: Refusal | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page from a template, in the language of whoever reads it; with an error, the answer has its status."""
    hub = the_hub(request)
    language = language_of(request.headers.get("accept-language", ""))
    words = WORDS[language]

    def say(key: str, **names: object) -> str:
        return words[key].format(**names)

    def explain(error: Refusal) -> str:
        key = f"error.{type(error).__name__}"
        return say(key, said=error, shortest=passwords.SHORTEST) if key in words else str(error)

    text = templates.get_template(template).render(
        say=say,
        explain=explain,
        when=when,
        language=language,
        caller=caller,
        form_mark=form_mark(hub, caller),
        here=request.url.path,
        address=hub.settings.address,
        open_to_all=hub.settings.sign_up == "open",
        shortest=passwords.SHORTEST,
        error=error,
        **values,
    )
    headers = {**HEADERS, "Content-Language": language}
    if error is None:
        return HTMLResponse(text, 200, headers)
    return HTMLResponse(text, error.status, headers | error.headers)


def when(moment: int | None) -> str:
    """A moment, as people read it."""
    return "—" if moment is None else f"{iso(moment)[:16].replace('T', ' ')} UTC"


def person(caller: AnyCaller) -> Caller:
    """Who looks at a page, signed in with a browser: a token opens no page, so that it can't make other tokens."""
    if caller.session is None:
        raise SignInFirst("Sign in first.")
    return caller


def form_mark(hub: Hub, caller: Caller | None) -> str:
    """What the forms of a session carry; nobody else can know it."""
    return hub.signer.mark("form", str(caller.session)) if caller and caller.session else ""


async def page_form(request: Request, caller: AnyCaller) -> dict[str, str]:
    """The fields of a form that a page of this hub sent. Raises Forbidden for any other."""
    check_same_origin(request)
    fields = await forms.small_form(request)
    mark = form_mark(the_hub(request), caller)
    if mark and not hmac.compare_digest(mark.encode(), fields.get("mark", "").encode()):
        raise FormOfAnotherSession("This form is of another session. Open the page again and send it from there.")
    return fields


def number_in(form: dict[str, str], name: str) -> int:
    """The number of something in a list, from its button. Raises InvalidRequest."""
    text = form.get(name, "")
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise InvalidRequest("The form does not say which one is meant.")
    return int(text)


def go(path: str) -> RedirectResponse:
    """On to a page, after a form was understood."""
    return RedirectResponse(path, 303, {"Cache-Control": "no-store"})


def safe_path(path: str) -> str:
    """Where somebody wanted to go, if that is a page of this hub; else its first page."""
    inside = path.startswith("/") and not path.startswith(("//", "/\\")) and path.isascii() and path.isprintable()
    return path if inside and "\\" not in path else HOME


def begin_session(request: Request, connection: Connection, account: Account) -> str:
    """Sign an account in with the browser that sent the request: the secret for `signed_in`."""
    agent = request.headers.get("user-agent", "")
    return sessions.begin_session(connection, account, agent=agent, address=client_address(request))


def signed_in(request: Request, secret: str, path: str) -> RedirectResponse:
    """On to a page, with a session that just began."""
    answer = go(path)
    answer.set_cookie(value=secret, max_age=sessions.LONGEST // 1000, **_cookie(the_hub(request)))
    return answer


def signed_out(request: Request) -> RedirectResponse:
    """On to the first page, with no session any more."""
    answer = go(HOME)
    answer.delete_cookie(**_cookie(the_hub(request)))
    return answer


def _cookie(hub: Hub) -> dict[str, Any]:
    """The same for a cookie that comes and for one that goes: else browsers keep it."""
    secure = hub.settings.address.startswith("https://")
    return {"key": session_cookie(hub), "path": "/", "secure": secure, "httponly": True, "samesite": "lax"}


Person = Annotated[Caller, Depends(person)]
PageForm = Annotated[dict[str, str], Depends(page_form)]
