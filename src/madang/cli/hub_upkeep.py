"""`madang hub migrate|backup|restore|check|gc`: keep a hub in order."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang.cli.hub_folder import add_place, opened
from madang.cli.hub_progress import progress
from madang.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from madang.server.operations.copying import Copied


def add_parsers(words: Any) -> None:
    """Add the words."""
    migrate = words.add_parser("migrate", help="bring the database to what this release of Madang expects")
    migrate.set_defaults(run=_migrate)
    backup = words.add_parser(
        "backup",
        help="copy the whole hub into a folder, while it is in use",
        description="The copy is a hub of its own: `madang serve --data COPY` serves it. Repeated into the same folder,"
        " only large files that are not there yet are copied.",
    )
    backup.add_argument("to", type=Path, help="the folder for the copy")
    backup.set_defaults(run=_backup)
    restore = words.add_parser(
        "restore",
        help="fill an empty hub from such a copy",
        description="With --database-url and --storage-url it also moves a hub to PostgreSQL and S3, or back.",
    )
    restore.add_argument("source", type=Path, metavar="from", help="the folder that `madang hub backup` made")
    restore.set_defaults(run=_restore)
    check = words.add_parser("check", help="say whether everything is there and is what its name says; changes nothing")
    check.add_argument("--deep", action="store_true", help="read all large files, too")
    check.set_defaults(run=_check)
    collect = words.add_parser(
        "gc", help="free large files that nothing names any more and whose time of grace is over"
    )
    collect.set_defaults(run=_collect)
    for word in (migrate, backup, restore, check, collect):
        add_place(word)


def _migrate(arguments: argparse.Namespace) -> None:
    from madang.cli.hub_folder import explained, settings_of
    from madang.server.database import Database
    from madang.server.migrations import migrating

    with explained():
        database = Database(settings_of(arguments, "http://localhost").database_url)
        before, after = migrating.upgrade(database)
        database.close()
    print(f"the database was at {before or 'nothing'} and is at {after} now." if before != after else "nothing to do.")


def _backup(arguments: argparse.Namespace) -> None:
    from madang.server.hub import Hub
    from madang.server.operations.copying import copy_hub
    from madang.server.settings import ServerSettings

    target = arguments.to.expanduser().resolve()
    with opened(arguments) as source:
        if target == source.settings.data:
            raise InputError(f"the hub itself lives in {target}: name another folder for the copy.")
        # written aside, then swapped in: a backup that is interrupted leaves the one before it
        fresh = target / "hub.sqlite3.new"
        for old in target.glob("hub.sqlite3.new*"):
            old.unlink()
        copy = Hub(
            replace(ServerSettings.for_folder(target, source.settings.address), database_url=f"sqlite:///{fresh}")
        )
        try:
            copied = copy_hub(source, copy, progress())
        finally:
            copy.close()
        for stale in ("-wal", "-shm"):
            (target / f"hub.sqlite3{stale}").unlink(missing_ok=True)
        fresh.replace(target / "hub.sqlite3")
    print(f"{_told(copied)} copied to {target}")


def _restore(arguments: argparse.Namespace) -> None:
    from madang.cli.hub_folder import explained, settings_of
    from madang.server.hub import Hub
    from madang.server.operations.copying import copy_hub
    from madang.server.settings import ServerSettings

    source = arguments.source.expanduser().resolve()
    if not (source / "hub.sqlite3").is_file():
        raise MissingFileError(f"{source} holds no copy of a hub: there is no hub.sqlite3 in it.")
    with explained():
        copy = Hub(ServerSettings.for_folder(source, "http://localhost"))
        chosen = settings_of(arguments, "http://localhost")
        if chosen.data == source:
            raise InputError("name another folder with --data than the copy to restore from.")
        target = Hub(chosen)
    try:
        copied = copy_hub(copy, target, progress())
    finally:
        copy.close()
        target.close()
    print(f"{_told(copied)} restored to {chosen.data}")


def _check(arguments: argparse.Namespace) -> int:
    from madang.server.operations.checking import check_hub

    found = 0
    with opened(arguments) as hub:
        for problem in check_hub(hub, deep=arguments.deep, progress=progress()):
            found += 1
            print(problem)
    print(f"{found} problems." if found else "everything is there.")
    return 1 if found else 0


def _collect(arguments: argparse.Namespace) -> None:
    from madang.server.operations.collecting import collect_all

    with opened(arguments) as hub:
        collected = collect_all(hub)
    print(f"{collected.files:,} files of {collected.bytes:,} bytes were freed.")


def _told(copied: "Copied") -> str:
    return f"rows: {copied.rows:,}, large files: {copied.files:,} ({copied.bytes:,} bytes);"
