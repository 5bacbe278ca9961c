"""`madang hub token`: tokens for people, scripts and other machines."""

import argparse
import json
import sys
from collections.abc import Callable
from typing import Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.tables import table, terminal_width


def add_parsers(words: Any) -> None:
    """Add the word `token`."""
    token = words.add_parser("token", help="make, list and revoke access tokens")
    actions = token.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, said: str, run: Callable[[argparse.Namespace], None]) -> Any:
        made = actions.add_parser(name, help=said)
        add_place(made)
        made.set_defaults(run=run)
        return made

    create = action("create", "print a new token of a user: the only time it is seen", _create)
    create.add_argument("user")
    create.add_argument("--name", default="command line", help="what it is for")
    create.add_argument("--role", default=None, choices=["read", "write"], help="read is the default")
    create.add_argument(
        "--scope",
        action="append",
        default=[],
        metavar="TYPE:NAME=PERMISSION,…",
        help="a fine-grained token instead: model:alice/bert=repo.write, org:lab=repo.content.read; may be repeated",
    )
    create.add_argument("--days", type=int, help="after so many days it ends; without, never")
    listing = action("list", "whose tokens there are, and when they were used", _list)
    listing.add_argument("user", nargs="?")
    listing.add_argument("--json", action="store_true", help="for programs")
    action("revoke", "end a token", _revoke).add_argument("id", type=int, help="its number in the list")


def _create(arguments: argparse.Namespace) -> None:
    from madang.errors import InputError
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named
    from madang.server.accounts.scopes import parse_scope
    from madang.server.accounts.tokens import give_token

    if arguments.role and arguments.scope:
        raise InputError("a token has either a role, or scopes: leave one of --role and --scope out.")
    scopes = [parse_scope(text) for text in arguments.scope]
    role = "fineGrained" if scopes else arguments.role or "read"
    with opened(arguments) as hub, hub.database.write() as connection:
        user = user_named(connection, arguments.user)
        secret = give_token(connection, OPERATOR, user, arguments.name, role, scopes, days=arguments.days)
    print(f"A token ({role}) of {user.name}. Keep it: it is shown only now.", file=sys.stderr)
    print(secret)


def _list(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.finding import user_named
    from madang.server.accounts.tokens import tokens_of
    from madang.server.clock import iso

    with opened(arguments) as hub, hub.database.read() as connection:
        found = tokens_of(connection, user_named(connection, arguments.user) if arguments.user else None)

    def when(moment: int | None) -> str | None:
        return None if moment is None else iso(moment)

    if arguments.json:
        times = [
            {name: when(getattr(token, name)) for name in ("created_at", "used_at", "expires_at")} for token in found
        ]
        print(
            json.dumps([{**vars(token), **told} for token, told in zip(found, times, strict=True)], ensure_ascii=False)
        )
        return
    rows = [
        [
            str(token.id),
            token.owner,
            token.name,
            token.role,
            (when(token.used_at) or "never")[:16],
            (when(token.expires_at) or "never")[:10],
        ]
        for token in found
    ]
    header = ["id", "user", "name", "role", "last used", "ends"]
    for line in table(header, rows, [True, *[False] * 5], terminal_width()):
        print(line)


def _revoke(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.tokens import revoke_token

    with opened(arguments) as hub, hub.database.write() as connection:
        gone = revoke_token(connection, OPERATOR, arguments.id)
    print(f"The token {gone.name!r} of {gone.owner} works no more.")
