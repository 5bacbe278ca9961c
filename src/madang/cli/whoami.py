"""`madang whoami`: which account of which hub this machine acts for."""

import argparse
from typing import Any

from madang.client.failures import hub_address
from madang.client.login import whoami


def add_parser(subparsers: Any) -> None:
    """Add `madang whoami` to the commands."""
    parser = subparsers.add_parser("whoami", help="say who is logged in, and where")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Name, organisations, hub and what the token may do."""
    found = whoami()
    print(found["name"])
    organisations = [str(organisation.get("name")) for organisation in found.get("orgs") or []]
    if organisations:
        print(f"organisations: {', '.join(organisations)}")
    token = (found.get("auth") or {}).get("accessToken") or {}
    print(f"hub: {hub_address()}" + (f", token {token.get('displayName')!r} ({token.get('role')})" if token else ""))
    return 0
