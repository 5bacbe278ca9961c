"""`madang cache`: what prepared datasets take on this machine, and removing what is no longer used."""

import argparse
from typing import Any

from madang.datasets import cache
from madang.datasets.sizes import read_size, readable
from madang.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add `madang cache` to the commands."""
    parser = subparsers.add_parser(
        "cache",
        help="list and prune prepared datasets",
        description="Prepared datasets and results kept for later runs. The folder is HF_DATASETS_CACHE, else datasets "
        "in HF_HOME. MADANG_DATASETS_CACHE_MAX_BYTES=20GB keeps it below that size by itself.",
    )
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    actions.add_parser("list", help="every entry with its size and when it was used last; the latest comes last")
    actions.add_parser("size", help="what everything takes together")
    prune = actions.add_parser("prune", help="remove what was not used for longest, until the rest fits")
    prune.add_argument(
        "--max", required=True, type=_size, metavar="SIZE", help="what may stay, as 20GB or 500MB; 0 removes all"
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked; the exit code."""
    {"list": _list, "size": _total, "prune": _prune}[arguments.action](arguments)
    return 0


def _size(text: str) -> int:
    try:
        return read_size(text)
    except InputError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _list(arguments: argparse.Namespace) -> None:
    entries = cache.entries()
    for entry in entries:
        used = "in use now" if cache.is_in_use(entry) else f"{entry.last_used.astimezone():%Y-%m-%d %H:%M}"
        print(f"{readable(entry.bytes):>12}  {used:<16}  {entry.name}")
    print(f"{_counted(len(entries))}, {readable(sum(entry.bytes for entry in entries))}, in {cache.root()}")


def _total(arguments: argparse.Namespace) -> None:
    held = sum(entry.bytes for entry in cache.entries())
    total = cache.size()
    print(f"{readable(held)} in {cache.root()}")
    if total > held:
        print(f"{readable(total - held)} beside that were put there by something else; prune leaves them.")


def _prune(arguments: argparse.Namespace) -> None:
    gone = cache.prune(arguments.max)
    for entry in gone:
        print(f"removed {readable(entry.bytes):>12}  {entry.name}")
    left = cache.entries()
    held = sum(entry.bytes for entry in left)
    freed = readable(sum(entry.bytes for entry in gone))
    print(f"removed {_counted(len(gone))}, {freed}; {_counted(len(left))} left, {readable(held)}.")
    if held > arguments.max:
        print("What is left is in use by running programs.")


def _counted(count: int) -> str:
    return "1 entry" if count == 1 else f"{count} entries"
