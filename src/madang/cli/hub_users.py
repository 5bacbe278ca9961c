"""`madang hub user` and `madang hub invite`: who may come in."""

import argparse
import getpass
import json
import sys
from collections.abc import Callable
from typing import Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.tables import table, terminal_width
from madang.errors import InputError


def add_parsers(words: Any) -> None:
    """Add the words `user` and `invite`."""
    user = words.add_parser("user", help="add, list, disable and delete people; give them passwords and links")
    actions = user.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, said: str, run: Callable[[argparse.Namespace], None], *, named: bool = True) -> Any:
        made = actions.add_parser(name, help=said)
        if named:
            made.add_argument("name", help="the user's name")
        add_place(made)
        made.set_defaults(run=run)
        return made

    add = action("add", "make an account, and a link by which its owner signs in", _add)
    add.add_argument("--fullname", default="", help="the name for people to read")
    add.add_argument("--email")
    add.add_argument("--admin", action="store_true", help="may administer the whole hub")
    add.add_argument("--password", action="store_true", help="ask for a password instead of making a link")
    listing = action("list", "who has an account", _list, named=False)
    listing.add_argument("--json", action="store_true", help="for programs")
    link = action("link", "print an address that signs in once, to give to its owner", _link)
    link.add_argument("--days", type=int, default=1, help="how long it works (1)")
    action("password", "set a password; all sessions end (from standard input when that is no terminal)", _password)
    disable = action("disable", "shut somebody out; what is theirs stays", _disable)
    disable.add_argument("--undo", action="store_true", help="let them in again")
    admin = action("admin", "let somebody administer the whole hub", _admin)
    admin.add_argument("--undo", action="store_true", help="no longer")
    action("delete", "remove an account that owns no repositories", _delete)

    invite = words.add_parser("invite", help="print an address by which somebody makes an account, once")
    invite.add_argument("--days", type=int, default=7, help="how long it works (7)")
    invite.add_argument("--org", help="the organisation of which they become a member")
    invite.add_argument("--role", default="read", help="as what: read, contributor, write or admin (read)")
    add_place(invite)
    invite.set_defaults(run=_invite)


def _add(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import links, passwords, users
    from madang.server.accounts.audit import OPERATOR

    password = passwords.prepare(_asked_password(), arguments.name) if arguments.password else None
    with opened(arguments) as hub, hub.database.write() as connection:
        made = users.create_user(
            connection,
            OPERATOR,
            arguments.name,
            fullname=arguments.fullname,
            email=arguments.email,
            password=password,
            administrator=arguments.admin,
        )
        secret = None if password else links.sign_in_link(connection, OPERATOR, made)
        address = hub.settings.address
    print(f"The account {made.name} is made.")
    if secret is not None:
        print(f"It is signed in to, once and within a day, at {address}/login/once/{secret}")


def _list(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import users
    from madang.server.clock import iso

    with opened(arguments) as hub, hub.database.read() as connection:
        found = users.all_users(connection)
    if arguments.json:
        print(json.dumps([{**vars(user), "created_at": iso(user.created_at)} for user in found], ensure_ascii=False))
        return
    rows = [
        [
            user.name,
            user.fullname,
            user.email or "",
            "disabled" if user.disabled else "administrator" if user.administrator else "",
            iso(user.created_at)[:10],
        ]
        for user in found
    ]
    for line in table(["name", "full name", "e-mail", "status", "since"], rows, [False] * 5, terminal_width()):
        print(line)


def _link(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import links
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named

    with opened(arguments) as hub, hub.database.write() as connection:
        secret = links.sign_in_link(connection, OPERATOR, user_named(connection, arguments.name), days=arguments.days)
        print(f"{hub.settings.address}/login/once/{secret}")


def _password(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import passwords, users
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named

    kept = passwords.prepare(_asked_password(), arguments.name)
    with opened(arguments) as hub, hub.database.write() as connection:
        users.set_password(connection, OPERATOR, user_named(connection, arguments.name), kept)
    print(f"{arguments.name} has a new password; all sessions have ended.")


def _disable(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import users
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named

    with opened(arguments) as hub, hub.database.write() as connection:
        change = users.enable if arguments.undo else users.disable
        change(connection, OPERATOR, user_named(connection, arguments.name))
    print(f"{arguments.name} can {'come in again' if arguments.undo else 'no longer come in'}.")


def _admin(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import users
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named

    with opened(arguments) as hub, hub.database.write() as connection:
        user = user_named(connection, arguments.name)
        users.set_administrator(connection, OPERATOR, user, administrator=not arguments.undo)
    print(f"{arguments.name} {'no longer administers' if arguments.undo else 'administers'} this hub.")


def _delete(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import users
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named

    with opened(arguments) as hub, hub.database.write() as connection:
        users.delete_user(connection, OPERATOR, user_named(connection, arguments.name))
    print(f"The account {arguments.name} is gone.")


def _invite(arguments: argparse.Namespace) -> None:
    from madang.server.accounts import links
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import organisation_named

    with opened(arguments) as hub, hub.database.write() as connection:
        organisation = organisation_named(connection, arguments.org) if arguments.org else None
        secret = links.invitation(
            connection, OPERATOR, days=arguments.days, organisation=organisation, role=arguments.role
        )
        print(f"{hub.settings.address}/join/{secret}")


def _asked_password() -> str:
    """A password typed twice, or the first line of standard input. Raises InputError."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    first = getpass.getpass("Password: ")
    if getpass.getpass("The same again: ") != first:
        raise InputError("the two passwords are not the same.")
    return first
