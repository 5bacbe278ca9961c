"""`madang hub`: look after a hub of your own, in whose folder you are.

Its words come from the files named in PARTS; each adds some with `add_parsers(words)`.
"""

from importlib import import_module
from typing import Any

PARTS = ("hub_users", "hub_tokens", "hub_organisations", "hub_audit", "hub_upkeep", "hub_carrying")


def add_parser(subparsers: Any) -> None:
    """What the command takes."""
    parser = subparsers.add_parser("hub", help="look after a hub of your own")
    words = parser.add_subparsers(metavar="WORD", required=True)
    for part in PARTS:
        module: Any = import_module(f"madang.cli.{part}")
        module.add_parsers(words)
