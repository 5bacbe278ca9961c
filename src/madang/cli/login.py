"""`madang login`: let this machine act for you on a hub."""

import argparse
from typing import Any

from madang.client.failures import hub_address
from madang.client.login import login, whoami


def add_parser(subparsers: Any) -> None:
    """Add `madang login` to the commands."""
    parser = subparsers.add_parser(
        "login",
        help="keep a token of a hub on this machine",
        description="Without --token it asks in the terminal or opens the hub's page in the browser. HF_ENDPOINT names "
        "the hub.",
    )
    parser.add_argument("--token", help="an access token, made on the hub's settings page")
    parser.add_argument("--add-to-git-credential", action="store_true", help="git uses the token too")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Log in and say as whom."""
    login(arguments.token, add_to_git_credential=arguments.add_to_git_credential, skip_if_logged_in=False)
    print(f"logged in to {hub_address()} as {whoami()['name']}")
    return 0
