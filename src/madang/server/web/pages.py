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

from madang.server.accounts.caller import Caller
from madang.server.api import forms
from madang.server.api.asking import AnyCaller, check_same_origin, session_cookie, the_hub
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
                return page(request, None, "refused.html", error=error, status=error.status, headers=error.headers)
            except RequestValidationError:
                refusal = InvalidRequest("The form holds something this page has no use for.")
                return page(request, None, "refused.html", error=refusal, status=400)

        return answer


def page(
    request: Request,
    caller: Caller | None,
    template: str,
    *,
    status: int = 200,
    headers: dict[str, str] | None = None,
    **values: Any,
) -> HTMLResponse:
    """A page from a template, in the language of whoever reads it."""
    language = language_of(request.headers.get("accept-language", ""))
    words = WORDS[language]

    def say(key: str, **names: object) -> str:
        return words[key].format(**names)

    def explain(error: Refusal) -> str:
        return words.get(f"error.{type(error).__name__}") or str(error)

    text = templates.get_template(template).render(
        say=say,
        explain=explain,
        when=when,
        language=language,
        caller=caller,
        form_mark=form_mark(the_hub(request), caller),
        address=the_hub(request).settings.address,
        **{"error": None, **values},
    )
    return HTMLResponse(text, status, {**HEADERS, "Content-Language": language, **(headers or {})})


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
        raise Forbidden("This form is of another session. Open the page again and send it from there.")
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


def signed_in(request: Request, secret: str, path: str) -> RedirectResponse:
    """On to a page, with a session that just began."""
    hub, answer = the_hub(request), go(path)
    answer.set_cookie(
        session_cookie(hub),
        secret,
        max_age=60 * 24 * 3600,
        path="/",
        secure=hub.settings.address.startswith("https://"),
        httponly=True,
        samesite="lax",
    )
    return answer


Person = Annotated[Caller, Depends(person)]
PageForm = Annotated[dict[str, str], Depends(page_form)]
