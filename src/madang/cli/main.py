"""`madang COMMAND …`: finds the command's file and runs it.

A command's file has `add_parser(subparsers)`, which says what it takes and sets `run`, the function that does it and
returns the exit status. Only the file of the command that was asked for is imported.
"""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from madang.errors import MadangError, nearest

COMMANDS = {
    "login": "let this machine act for you on a hub",
    "logout": "forget the token that login kept",
    "whoami": "say who is logged in, and where",
    "upload": "put a file or a folder into a repository",
    "download": "take a repository, or some of its files, to this machine",
    "repo": "make, rename and remove repositories, branches and tags",
    "train": "train a model as a YAML file says, and leave it with a card and a curve",
    "dataset": "look at a dataset, count what is in it, convert it, push it to a hub",
    "cache": "see what prepared datasets take up on this machine, and remove what is old",
    "serve": "run a hub of your own: models, datasets and Spaces, in one folder",
    "hub": "look after a hub of your own: people, tokens, organisations",
}
USAGE = """madang COMMAND …

{commands}

`madang COMMAND --help` says what a command takes."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command in `argv` (that of this process) and return the exit status: 1 after one line about an error."""
    given = list(sys.argv[1:] if argv is None else argv)
    with warnings.catch_warnings():
        warnings.showwarning = _warn
        try:
            return _run(given)
        except (MadangError, OSError) as error:
            if isinstance(error, BrokenPipeError):  # `madang … | head` has seen enough
                _close_quietly()
                return 0
            return _fail(error)
        except KeyboardInterrupt:
            print("madang: interrupted", file=sys.stderr)
            return 130


def _run(given: list[str]) -> int:
    if not given or given[0] in ("-h", "--help", "help"):
        longest = max(map(len, COMMANDS))
        print(USAGE.format(commands="\n".join(f"  {name:{longest}}  {said}" for name, said in COMMANDS.items())))
        return 0
    if given[0] == "--version":
        from madang import __version__

        print(f"madang {__version__}")
        return 0
    name = given[0]
    if name not in COMMANDS:
        print(f"madang: there is no command {name!r}.{nearest(name, COMMANDS)} See madang --help.", file=sys.stderr)
        return 2
    command: Any = import_module(f"madang.cli.{name}")
    parser = argparse.ArgumentParser(prog="madang")
    command.add_parser(parser.add_subparsers())
    arguments = parser.parse_args(given)
    status = arguments.run(arguments)
    sys.stdout.flush()
    return int(status or 0)


def _fail(error: Exception) -> int:
    print(f"madang: {' '.join(str(error).split()) or type(error).__name__}", file=sys.stderr)
    return 1


def _warn(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
    if not issubclass(category, DeprecationWarning):
        print(f"madang: warning: {' '.join(str(message).split())}", file=sys.stderr)


def _close_quietly() -> None:
    """Nothing more can be written; what Python would still try at its end goes nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
