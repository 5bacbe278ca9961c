"""Secrets: tokens that are kept only as hashes, addresses that are signed, and who may use a browser's session."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from madang.server.errors import Forbidden

TOKEN_PREFIX = "hf_"  # clients and editors recognise tokens by it


def new_token(prefix: str = TOKEN_PREFIX) -> str:
    """A secret of 34 letters and digits that nobody can guess."""
    letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
    return prefix + "".join(secrets.choice(letters) for _ in range(34))


def token_hash(token: str) -> str:
    """What is kept of a token: long random text needs no slow hash."""
    return hashlib.sha256(token.encode()).hexdigest()


def same_origin(headers: Mapping[str, str], address: str) -> bool:
    """Whether a page of this hub sent the request, and not one of another site, or a Space at another port.

    Browsers say so in `Sec-Fetch-Site`; older ones, and pages without https, in `Origin`. Neither is no.
    """
    site = headers.get("sec-fetch-site")
    if site is not None:
        return site == "same-origin"
    origin = headers.get("origin", "")
    try:
        sent_by = urlsplit(origin).netloc.lower()
    except ValueError:
        return False
    return origin == address or bool(sent_by and sent_by == headers.get("host", "").lower())


class Signer:
    """Makes and checks tickets: a few facts that only this hub can have written, valid until a moment."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def sign(self, purpose: str, seconds: int, **facts: Any) -> str:
        """A ticket for `purpose`, as text that fits into an address."""
        body = json.dumps({**facts, "for": purpose, "until": int(time.time()) + seconds}, separators=(",", ":"))
        text = base64.urlsafe_b64encode(body.encode()).rstrip(b"=")
        return f"{text.decode()}.{self._mac(text)}"

    def read(self, purpose: str, ticket: str) -> dict[str, Any]:
        """The facts of a ticket. Raises Forbidden for one that is not ours, is for something else or is over."""
        text, _, mac = ticket.partition(".")
        if not hmac.compare_digest(self._mac(text.encode()).encode(), mac.encode()):
            raise Forbidden("this address was not made by this hub. Ask it for a new one.")
        facts: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if facts["for"] != purpose:
            raise Forbidden("this address is for something else. Ask for one of the right kind.")
        if facts["until"] < time.time():
            raise Forbidden("this address is no longer valid. Ask for the file again.")
        return facts

    def _mac(self, text: bytes) -> str:
        return hmac.new(self._key, text, hashlib.sha256).hexdigest()

    def mark(self, purpose: str, text: str) -> str:
        """A word that only this hub can put on a text: forms carry one of the session they are for."""
        return hmac.new(self._key, f"{purpose}\0{text}".encode(), hashlib.sha256).hexdigest()
