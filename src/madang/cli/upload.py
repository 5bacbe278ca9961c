"""`madang upload`: put a file or a folder into a repository."""

import argparse
from typing import Any

from madang.client.push import upload


def add_parser(subparsers: Any) -> None:
    """Add `madang upload` to the commands."""
    parser = subparsers.add_parser(
        "upload",
        help="put a file or a folder into a repository",
        description="The repository is made when it is not there. Files that the repository has already are not sent.",
    )
    parser.add_argument("repository", help="owner/name, or name alone for your own")
    parser.add_argument("path", nargs="?", default=".", help="the file or folder here; this folder when left out")
    parser.add_argument("path_in_repo", nargs="?", help="where it goes; the root when left out")
    add_place(parser)
    parser.add_argument("--private", action="store_true", default=None, help="make a new repository private")
    parser.add_argument("--message", "--commit-message", dest="message", help="what the commit says")
    parser.add_argument("--include", nargs="+", default=[], metavar="PATTERN", help="send only files that fit")
    parser.add_argument("--exclude", nargs="+", default=[], metavar="PATTERN", help="send no files that fit")
    parser.add_argument("--delete", nargs="+", default=[], metavar="PATTERN", help="remove these from the repository")
    parser.add_argument("--create-pr", action="store_true", help="propose it as a pull request")
    parser.set_defaults(run=run)


def add_place(parser: argparse.ArgumentParser) -> None:
    """The options that say which repository is meant; `madang download` and `madang repo` take them too."""
    parser.add_argument("--type", "--repo-type", dest="type", choices=["model", "dataset", "space"], default="model")
    parser.add_argument("--revision", help="a branch, a tag or a commit; main when left out")
    parser.add_argument("--token", help="instead of the one that `madang login` kept")


def run(arguments: argparse.Namespace) -> int:
    """Send, and print the address of the commit."""
    address = upload(
        arguments.path,
        arguments.repository,
        arguments.path_in_repo,
        repo_type=arguments.type,
        revision=arguments.revision,
        private=arguments.private,
        commit_message=arguments.message,
        include=arguments.include,
        exclude=arguments.exclude,
        delete=arguments.delete,
        create_pr=arguments.create_pr,
        token=arguments.token,
    )
    print(address)
    return 0
