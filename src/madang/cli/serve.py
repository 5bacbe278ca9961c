"""`madang serve`: a hub of your own, from one command."""

import argparse
import signal
import socket
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.cli.hub_folder import (
    ADDRESS,
    DEFAULT_HOST,
    DEFAULT_PORT,
    SIGN_UP,
    add_place,
    checked_address,
    explained,
    listener,
    settings_of,
    whole_number,
)
from madang.errors import InputError

if TYPE_CHECKING:
    from madang.server.hub import Hub
    from madang.server.settings import ServerSettings

EVERYWHERE = ("0.0.0.0", "::")


def add_parser(subparsers: Any) -> None:
    """What the command takes."""
    parser = subparsers.add_parser("serve", help="run a hub of your own")
    add_place(parser)
    parser.add_argument("--host", help=f"where to listen; 0.0.0.0 for all networks (MADANG_HOST; {DEFAULT_HOST})")
    parser.add_argument("--port", help=f"the port to listen at; 0 takes a free one (MADANG_PORT; {DEFAULT_PORT})")
    parser.add_argument("--sign-up", choices=SIGN_UP, help="who may make an account (MADANG_SIGN_UP; invite)")
    parser.add_argument("--rate-limit", help="requests in five minutes, 0 for no limit (MADANG_RATE_LIMIT; 0)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    environment = settings.hub()
    host = arguments.host or environment.host or DEFAULT_HOST
    port = whole_number("the port", arguments.port or environment.port or str(DEFAULT_PORT))
    named = arguments.address or environment.address
    with listener(host, port) as place:
        here = f"http://{_reachable(host)}:{place.getsockname()[1]}"
        hub = _open(settings_of(arguments, checked_address(named) if named else here))
        try:
            hub.remember(ADDRESS, hub.settings.address)
            _announce(hub, here, others=host in EVERYWHERE and not named)
            _serve(hub, place)
        finally:
            hub.close()
    return 0


def _open(chosen: "ServerSettings") -> "Hub":
    from madang.server.hub import Hub

    try:
        with explained():
            return Hub(chosen)
    except OSError as error:
        raise InputError(
            f"the hub cannot live in {chosen.data}: {error.strerror or error}. Name a folder with --data that you may"
            " write to."
        ) from None


def _announce(hub: "Hub", here: str, *, others: bool) -> None:
    """Say where the hub is, and how the first person comes in."""
    from madang.server.accounts import links, users
    from madang.server.accounts.audit import OPERATOR

    address = hub.settings.address
    print(f"Madang hub: {address}" + (f" (listening at {here})" if here != address else ""))
    print(f"Clients reach it with HF_ENDPOINT={address}")
    if others:
        print("Other machines reach it only after you say by which name: --address http://NAME:PORT")
    with hub.database.write() as connection:
        secret = None if users.has_administrator(connection) else links.first_link(connection, OPERATOR)
    if secret is not None:
        print(f"The administrator signs in, once and within a day, at {address}/join/{secret}")
    print("Stop it with Ctrl-C.", flush=True)


def _serve(hub: "Hub", place: socket.socket) -> None:
    from madang.server.app import create_application
    from madang.server.serving import server_for

    # the server ends quietly at either signal, and then raises it again
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server_for(create_application(hub)).run(sockets=[place])
    except KeyboardInterrupt:
        print("The hub has stopped.")


def _reachable(host: str) -> str:
    if host in EVERYWHERE:
        return DEFAULT_HOST
    return f"[{host}]" if ":" in host else host
