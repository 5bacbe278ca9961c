"""`madang hub export|import`: carry repositories from one building into another."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.hub_progress import progress
from madang.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from madang.server.accounts.caller import Caller
    from madang.server.hub import Hub


def add_parsers(words: Any) -> None:
    """Add the words."""
    export = words.add_parser("export", help="write a repository with its history and discussions into one file")
    export.add_argument("repository", help="owner/name")
    export.add_argument("to", type=Path, help="the file to write")
    export.add_argument("--type", choices=["model", "dataset", "space"], default="model")
    export.set_defaults(run=_export)
    bring = words.add_parser(
        "import",
        help="make repositories from such a file, or from a Hugging Face cache folder",
        description="FROM is a file that `madang hub export` wrote, or a cache folder such as ~/.cache/huggingface/hub."
        " From a cache each repository gets a commit per snapshot, and a tag named like the original commit.",
    )
    bring.add_argument("source", type=Path, metavar="from", help="the file or the folder")
    bring.add_argument("--owner", help="the account or organisation that gets them; as they were named when left out")
    bring.add_argument("--name", help="another name, for one repository")
    bring.add_argument("--as", dest="user", help="the account that imports; the first administrator when left out")
    bring.set_defaults(run=_import)
    for word in (export, bring):
        add_place(word)


def _export(arguments: argparse.Namespace) -> None:
    from madang.server.accounts.caller import Account, Caller, Right
    from madang.server.operations.exporting import export_repository
    from madang.server.repositories.access import find

    with opened(arguments) as hub:
        with hub.database.read() as connection:
            # who may read the hub's folder may read what is in it
            operator = Caller(Account(0, "user", "operator", administrator=True))
            found = find(connection, operator, arguments.type, arguments.repository, Right.ADMIN)
        export_repository(hub, found.repository, arguments.to)
    print(f"{found.repository.name} is in {arguments.to} ({arguments.to.stat().st_size:,} bytes)")


def _import(arguments: argparse.Namespace) -> None:
    from madang.server.operations.cache_import import import_snapshots, snapshots_in
    from madang.server.operations.importing import import_repository

    if not arguments.source.exists():
        raise MissingFileError(f"there is no file and no folder {str(arguments.source)!r}.")
    with opened(arguments) as hub:
        caller = _importer(hub, arguments.user)
        if arguments.source.is_file():
            made = import_repository(hub, caller, arguments.source, arguments.owner, arguments.name)
            print(f"{hub.settings.address}/{made.path}")
            return
        if arguments.name:
            raise InputError("--name is for one repository; a cache folder keeps the names it has.")
        for cached in snapshots_in(arguments.source):
            made = import_snapshots(hub, caller, cached, arguments.owner, progress())
            print(f"{hub.settings.address}/{made.path}")


def _importer(hub: "Hub", name: str | None) -> "Caller":
    """In whose name it is done: someone who may write everywhere."""
    from madang.server.accounts.caller import Caller
    from madang.server.accounts.finding import ACCOUNT, from_row
    from madang.server.accounts.records import accounts

    query = accounts.select().with_only_columns(*ACCOUNT).order_by(accounts.c.id)
    condition = accounts.c.key == name.lower() if name else accounts.c.administrator
    with hub.database.read() as connection:
        row = connection.execute(query.where(condition)).first()
    if row is None:
        who = f"there is no account {name!r}" if name else "this hub has no administrator yet"
        raise InputError(f"{who}: `madang hub user add NAME --admin` makes one.")
    return Caller(from_row(row))
