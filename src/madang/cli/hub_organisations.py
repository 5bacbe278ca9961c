"""`madang hub org`: organisations and who belongs to them."""

import argparse
import json
from collections.abc import Callable
from typing import Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.tables import table, terminal_width


def add_parsers(words: Any) -> None:
    """Add the word `org`."""
    organisation = words.add_parser("org", help="make organisations, take people in and let them go")
    actions = organisation.add_subparsers(metavar="ACTION", required=True)

    def action(name: str, said: str, run: Callable[[argparse.Namespace], None], *names: str) -> Any:
        made = actions.add_parser(name, help=said)
        for argument in names:
            made.add_argument(argument)
        add_place(made)
        made.set_defaults(run=run)
        return made

    create = action("create", "make an organisation", _create, "organisation")
    create.add_argument("--admin", required=True, metavar="USER", help="who administers it")
    create.add_argument("--fullname", default="", help="the name for people to read")
    add = action("add", "take a user in, or give a member another role", _add, "organisation", "user")
    add.add_argument("--role", default="read", help="read, contributor, write or admin (read)")
    action("remove", "let a member go", _remove, "organisation", "user")
    listing = action("list", "the organisations, or the members of one", _list)
    listing.add_argument("organisation", nargs="?")
    listing.add_argument("--json", action="store_true", help="for programs")
    action("delete", "remove an organisation that owns no repositories", _delete, "organisation")


def _create(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import user_named
    from madang.server.accounts.organisations import create_organisation

    with opened(arguments) as hub, hub.database.write() as connection:
        first = user_named(connection, arguments.admin)
        made = create_organisation(connection, OPERATOR, arguments.organisation, first, fullname=arguments.fullname)
    print(f"The organisation {made.name} is made; {first.name} administers it.")


def _add(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import organisation_named, user_named
    from madang.server.accounts.organisations import set_role

    with opened(arguments) as hub, hub.database.write() as connection:
        organisation, user = (
            organisation_named(connection, arguments.organisation),
            user_named(connection, arguments.user),
        )
        set_role(connection, OPERATOR, organisation, user, arguments.role)
    print(f"{user.name} is in {organisation.name}: {arguments.role}.")


def _remove(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import organisation_named, user_named
    from madang.server.accounts.organisations import remove_member

    with opened(arguments) as hub, hub.database.write() as connection:
        organisation, user = (
            organisation_named(connection, arguments.organisation),
            user_named(connection, arguments.user),
        )
        remove_member(connection, OPERATOR, organisation, user)
    print(f"{user.name} is no longer in {organisation.name}.")


def _list(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.finding import organisation_named
    from madang.server.accounts.organisations import all_organisations, members_of

    with opened(arguments) as hub, hub.database.read() as connection:
        if arguments.organisation:
            inside = members_of(connection, organisation_named(connection, arguments.organisation))
            header = ["name", "full name", "role"]
            rows = [[member.account.name, member.account.fullname, member.role] for member in inside]
        else:
            header = ["name", "full name", "members"]
            rows = [
                [found.name, found.fullname, str(len(members_of(connection, found)))]
                for found in all_organisations(connection)
            ]
    if arguments.json:
        keys = [name.replace(" ", "") for name in header]
        print(json.dumps([dict(zip(keys, row, strict=True)) for row in rows], ensure_ascii=False))
        return
    for line in table(header, rows, [False, False, not arguments.organisation], terminal_width()):
        print(line)


def _delete(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.audit import OPERATOR
    from madang.server.accounts.finding import organisation_named
    from madang.server.accounts.organisations import delete_organisation

    with opened(arguments) as hub, hub.database.write() as connection:
        found = organisation_named(connection, arguments.organisation)
        delete_organisation(connection, OPERATOR, found)
    print(f"The organisation {found.name} is gone.")
