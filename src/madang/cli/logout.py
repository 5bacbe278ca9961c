"""`madang logout`: forget the tokens on this machine."""

import argparse
from typing import Any

from madang.client.login import logout


def add_parser(subparsers: Any) -> None:
    """Add `madang logout` to the commands."""
    parser = subparsers.add_parser("logout", help="forget the token that `madang login` kept")
    parser.add_argument("--token-name", help="forget only the token of that name")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Forget."""
    logout(arguments.token_name)
    return 0
