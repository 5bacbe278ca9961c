"""How many requests one account, or one address that nobody signed in from, may send.

A fixed window of five minutes, counted in the memory of this process: several replicas allow as many times the limit.
Every answer says in `RateLimit` and `RateLimit-Policy` what is left; clients that meet 429 wait as long as it says.
"""

import ipaddress
import time
from threading import Lock

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from madang.server.accounts.caller import Caller
from madang.server.accounts.errors import TooManyAttempts
from madang.server.errors import TooManyRequests

WINDOW = 300
SIGN_IN_WINDOW = 15 * 60
SIGN_INS_PER_ACCOUNT = 20
SIGN_INS_PER_ADDRESS = 40


class FixedWindow:
    """Counts per key within windows of some seconds; the counts of a window that is over are forgotten."""

    def __init__(self, limit: int, seconds: int) -> None:
        self.limit, self.seconds = limit, seconds
        self._lock = Lock()
        self._window = 0
        self._counts: dict[str, int] = {}

    def take(self, key: str) -> int:
        """Count one for the key: how many are left, below 0 when it was too many."""
        window = int(time.time()) // self.seconds
        with self._lock:
            if window != self._window:
                self._window, self._counts = window, {}
            count = self._counts[key] = self._counts.get(key, 0) + 1
        return self.limit - count

    def forget(self, key: str) -> None:
        """Begin again with a key."""
        with self._lock:
            self._counts.pop(key, None)

    def seconds_left(self) -> int:
        """Until the next window begins."""
        return self.seconds - int(time.time()) % self.seconds


class RequestLimit:
    """The limit of a hub on requests."""

    def __init__(self, limit: int) -> None:
        self.window = FixedWindow(limit, WINDOW)

    def count(self, caller: Caller) -> dict[str, str]:
        """Count a request: the headers that tell the caller what is left. Raises TooManyRequests."""
        if self.window.limit <= 0:
            return {}
        left = self.window.take(_key(caller))
        seconds = self.window.seconds_left()
        headers = {
            "RateLimit": f'"api";r={max(left, 0)};t={seconds}',
            "RateLimit-Policy": f'"fixed window";"api";q={self.window.limit};w={WINDOW}',
        }
        if left < 0:
            whose = "your account" if caller.signed_in else "your address; sign in for a count of your own"
            raise TooManyRequests(
                f"More than {self.window.limit} requests in {WINDOW // 60} minutes from {whose}."
                f" Wait {seconds} seconds.",
                headers={**headers, "Retry-After": str(seconds)},
            )
        return headers


class SignInAttempts:
    """How often passwords may be tried: per account, and per address."""

    def __init__(self) -> None:
        self.accounts = FixedWindow(SIGN_INS_PER_ACCOUNT, SIGN_IN_WINDOW)
        self.addresses = FixedWindow(SIGN_INS_PER_ADDRESS, SIGN_IN_WINDOW)

    def count(self, name: str, address: str) -> None:
        """Count one before the password is looked at. Raises TooManyAttempts."""
        # in this order: whoever was sent away cannot fill the memory with names
        if self.addresses.take(network(address)) < 0 or self.accounts.take(name.lower()[:96]) < 0:
            seconds = self.accounts.seconds_left()
            raise TooManyAttempts(
                f"Too many attempts to sign in. Try again in {seconds // 60 + 1} minutes, or ask for a one-time link.",
                headers={"Retry-After": str(seconds)},
            )

    def succeeded(self, name: str) -> None:
        """The password was right: the account begins anew (its address does not: it may be trying others)."""
        self.accounts.forget(name.lower()[:96])


class RateLimitHeaders:
    """Puts what `RequestLimit` said about a request on its answer."""

    def __init__(self, application: ASGIApp) -> None:
        self.application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.application(scope, receive, send)
        state = scope.setdefault("state", {})

        async def told(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] != 429:
                said = [(name.lower().encode(), text.encode()) for name, text in state.get("rate_limit", {}).items()]
                message["headers"] = [*message.get("headers", ()), *said]
            await send(message)

        return await self.application(scope, receive, told)


def network(address: str) -> str:
    """What counts as one address: with IPv6 everybody has billions, so the network they are in."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if parsed.version == 6:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def _key(caller: Caller) -> str:
    return f"account {caller.account.id}" if caller.account else f"address {network(caller.address)}"
