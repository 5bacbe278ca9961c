"""`madang hub audit`: who did what."""

import argparse
import json
from typing import Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.tables import table, terminal_width
from madang.errors import InputError


def add_parsers(words: Any) -> None:
    """Add the word `audit`."""
    audit = words.add_parser("audit", help="print who did what that matters for permissions, the newest first")
    audit.add_argument("--limit", type=int, default=100, help="how many lines (100); 0 for all")
    audit.add_argument("--json", action="store_true", help="a JSON object in each line, with everything known")
    add_place(audit)
    audit.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Print the log."""
    from madang.server.accounts.audit import all_events
    from madang.server.clock import iso

    if arguments.limit < 0:
        raise InputError(f"--limit takes a number of lines, or 0 for all; {arguments.limit} was given.")
    with opened(arguments) as hub, hub.database.read() as connection:
        events = all_events(connection, limit=arguments.limit or None)
        if arguments.json:
            for event in events:
                print(json.dumps({**vars(event), "at": iso(event.at)}, ensure_ascii=False))
            return
        rows = [
            [
                iso(event.at)[:19].replace("T", " "),
                event.actor or "-",
                event.action,
                " ".join(f"{name}={value}" for name, value in event.details.items()),
                event.address,
            ]
            for event in events
        ]
    for line in table(["at (UTC)", "who", "what", "about", "from"], rows, [False] * 5, terminal_width()):
        print(line)
