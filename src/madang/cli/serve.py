"""`madang serve`: a hub of your own, from one command."""

import argparse
from pathlib import Path
from typing import Any


def add_parser(subparsers: Any) -> None:
    """What the command takes."""
    parser = subparsers.add_parser("serve", help="run a hub of your own")
    parser.add_argument("--host", default="127.0.0.1", help="the network address to listen at; 0.0.0.0 for all")
    parser.add_argument("--port", type=int, default=8000, help="the port to listen at; 0 takes a free one")
    parser.add_argument("--data", type=Path, default=Path("madang-hub"), help="the folder in which the hub lives")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Serve until interrupted."""
    from madang.server.app import create_application
    from madang.server.hub import Hub
    from madang.server.serving import server_for
    from madang.server.settings import ServerSettings

    address = f"http://{arguments.host}:{arguments.port}"
    hub = Hub(ServerSettings.for_folder(arguments.data, address))
    server_for(create_application(hub), arguments.host, arguments.port).run()
    return 0
