"""Addresses: how the hub takes them apart.

A revision or a path inside an address is percent-encoded, slashes included (`refs%2Fpr%2F1`). Servers hand over paths
already decoded, where that slash cannot be told from others: the hub routes on the raw path and decodes each piece.
The kinds of pieces, for routes: `{type:plural}`, `{name:repository}`, `{revision:piece}`, `{path:rest}`,
`{number:number}`.
"""

from urllib.parse import unquote_to_bytes

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import ASGIApp, Receive, Scope, Send

from madang.server.errors import InvalidRequest
from madang.server.repositories.names import PLURALS, SINGULARS


def decoded(piece: str) -> str:
    """A piece of an address as text. Raises InvalidRequest for bytes that are none, and for control characters."""
    try:
        text = unquote_to_bytes(piece).decode()
    except UnicodeDecodeError:
        raise InvalidRequest("the address holds bytes that are no UTF-8.") from None
    if any(sign < " " or sign == "\x7f" for sign in text):
        raise InvalidRequest("the address holds control characters.")
    return text


class Piece(Convertor[str]):
    """What stands between two slashes."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return decoded(value)

    def to_string(self, value: str) -> str:
        return value


class Rest(Piece):
    """Everything up to the end."""

    regex = ".*"


class Number(Convertor[int]):
    """A number that databases can count to."""

    regex = "[0-9]{1,18}"

    def convert(self, value: str) -> int:
        return int(value)

    def to_string(self, value: int) -> str:
        return str(value)


class Name(Piece):
    """`owner/name`, or a name without an owner."""

    regex = "[^/]+(?:/[^/]+)?"


class Plural(Piece):
    """`models`, `datasets` or `spaces`, as the type it stands for."""

    regex = "|".join(SINGULARS)

    def convert(self, value: str) -> str:
        return SINGULARS[value]

    def to_string(self, value: str) -> str:
        return PLURALS[value]


class Prefix(Piece):
    """What addresses of files and git begin with: nothing for models, `datasets/`, `spaces/`."""

    regex = "(?:datasets/|spaces/)?"

    def convert(self, value: str) -> str:
        return SINGULARS.get(value.rstrip("/"), "model")


def register() -> None:
    """Make the kinds of pieces known to routes."""
    pieces = {"piece": Piece, "rest": Rest, "repository": Name, "plural": Plural, "prefix": Prefix}
    for kind, convertor in pieces.items():
        register_url_convertor(kind, convertor())
    register_url_convertor("number", Number())


class RawPaths:
    """Lets the application behind it route on paths as they were sent."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope.get("raw_path"):
            raw = scope["raw_path"].partition(b"?")[0].decode("latin-1")
            scope = {**scope, "path": raw}
        await self.application(scope, receive, send)
