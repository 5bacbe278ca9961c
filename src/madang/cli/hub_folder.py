"""Which hub a command is about: its folder, its database, its store of large files, its address."""

import argparse
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.errors import InputError, MissingFileError, UnknownNameError

if TYPE_CHECKING:
    from madang.server.hub import Hub
    from madang.server.settings import ServerSettings

DEFAULT_DATA, DEFAULT_HOST, DEFAULT_PORT = "madang-hub", "127.0.0.1", 8000
SIGN_UP = ("open", "invite", "closed")
ADDRESS = "address"  # the fact by which other commands know where the hub was last served


def add_place(parser: Any) -> None:
    """The options that say which hub: `--data`, and where it does not keep everything in its folder."""
    parser.add_argument("--data", help=f"the folder in which the hub lives (MADANG_DATA; {DEFAULT_DATA})")
    parser.add_argument("--database-url", help="postgresql://… for a database outside the folder (MADANG_DATABASE_URL)")
    parser.add_argument("--storage-url", help="s3://… for large files outside the folder (MADANG_STORAGE_URL)")
    parser.add_argument("--address", help="https://… by which people reach the hub (MADANG_ADDRESS)")


def settings_of(arguments: argparse.Namespace, address: str) -> "ServerSettings":
    """The settings of the hub that the options and the environment describe."""
    from madang.server.settings import ServerSettings

    environment = settings.hub()
    given = {
        "database_url": arguments.database_url or environment.database_url,
        "storage_url": arguments.storage_url or environment.storage_url,
        "sign_up": _sign_up(getattr(arguments, "sign_up", None) or environment.sign_up),
        "rate_limit": whole_number(
            "the rate limit", getattr(arguments, "rate_limit", None) or environment.rate_limit or "0"
        ),
    }
    return ServerSettings.for_folder(
        _folder(arguments), address, **{name: value for name, value in given.items() if value}
    )


@contextmanager
def opened(arguments: argparse.Namespace) -> Iterator["Hub"]:
    """The hub, which must have been served before. Raises MissingFileError."""
    from madang.server.hub import Hub

    known = arguments.address or settings.hub().address
    chosen = settings_of(arguments, known or f"http://{DEFAULT_HOST}:{DEFAULT_PORT}")
    folder = chosen.data
    if chosen.database_url.startswith("sqlite:///") and not Path(chosen.database_url[len("sqlite:///") :]).is_file():
        raise MissingFileError(
            f"there is no hub in {folder}. Name its folder with --data, or start a new one with `madang serve`."
        )
    with explained():
        hub = Hub(chosen)
    try:
        if not known:
            hub.settings = _at(chosen, hub.fact(ADDRESS, chosen.address))
        yield hub
    finally:
        hub.close()


@contextmanager
def explained() -> Iterator[None]:
    """Says in one line why a hub cannot be opened."""
    from sqlalchemy.exc import ArgumentError, OperationalError

    try:
        yield
    except (OperationalError, ArgumentError) as error:
        said = getattr(error, "orig", None) or error
        raise InputError(f"the database of the hub cannot be opened: {said}") from None


def checked_address(text: str) -> str:
    """An address by which people reach a hub. Raises InputError."""
    scheme, _, rest = text.rstrip("/").partition("://")
    if scheme not in ("http", "https") or not rest or any(sign in rest for sign in " /?#@"):
        raise InputError(f"{text!r} is no address of a hub: one looks like https://hub.example.org, without a path.")
    return f"{scheme}://{rest}"


def whole_number(what: str, text: str) -> int:
    """A number from an option or a variable. Raises InputError."""
    if not text.isascii() or not text.isdigit():
        raise InputError(f"{what} must be a whole number, 0 or more; {text!r} is none.")
    return int(text)


def listener(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises InputError for a port that is taken or an address that is not this machine's."""
    # the system would take the rest of a division by 65536 instead
    if port > 65535:
        raise InputError(f"{port} is no port: the highest is 65535. Port 0 takes a free one.")
    try:
        family, kind, number, _, place = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (socket.gaierror, OverflowError, UnicodeError):
        raise InputError(
            f"{host!r} with port {port} is no place to listen at: try --host 127.0.0.1 --port 8000."
        ) from None
    found = socket.socket(family, kind, number)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(place)
        found.listen(2048)
    except OSError as error:
        found.close()
        raise InputError(
            f"cannot listen at port {port} of {host}: {error.strerror}. Choose another one with --port,"
            " or --port 0 for a free one."
        ) from None
    return found


def _folder(arguments: argparse.Namespace) -> Path:
    return Path(arguments.data or settings.hub().data or DEFAULT_DATA).expanduser().resolve()


def _sign_up(text: str) -> str:
    if text and text not in SIGN_UP:
        raise UnknownNameError(f"{text!r} is no way to sign up: it must be one of {', '.join(SIGN_UP)}.")
    return text


def _at(chosen: "ServerSettings", address: str) -> "ServerSettings":
    from dataclasses import replace

    return replace(chosen, address=address)
