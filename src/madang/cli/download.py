"""`madang download`: take a repository, or some of its files, to this machine."""

import argparse
from typing import Any

from madang.cli.upload import add_place
from madang.client.download import download


def add_parser(subparsers: Any) -> None:
    """Add `madang download` to the commands."""
    parser = subparsers.add_parser("download", help="take a repository, or some of its files, to this machine")
    parser.add_argument("repository", help="owner/name")
    parser.add_argument("files", nargs="*", help="paths in the repository; all files when left out")
    add_place(parser)
    parser.add_argument("--include", nargs="+", default=[], metavar="PATTERN", help="only files that fit")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="PATTERN", help="no files that fit")
    parser.add_argument("--local-dir", metavar="FOLDER", help="put the files here; the shared cache when left out")
    parser.add_argument("--force", action="store_true", help="send also what is here already")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Download, and print where the files are."""
    place = download(
        arguments.repository,
        arguments.files,
        repo_type=arguments.type,
        revision=arguments.revision,
        include=arguments.include,
        exclude=arguments.exclude,
        local_dir=arguments.local_dir,
        force=arguments.force,
        token=arguments.token,
    )
    print(place)
    return 0
