"""`madang repo`: make, rename and remove repositories on a hub, their branches and tags."""

import argparse
from collections.abc import Callable
from typing import Any

from madang.cli.upload import add_place
from madang.client.login import whoami
from madang.client.repositories import RemoteRepository
from madang.errors import InputError


def add_parser(subparsers: Any) -> None:
    """Add `madang repo` to the commands."""
    parser = subparsers.add_parser("repo", help="make, rename and remove repositories, branches and tags")
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, said: str, run: Callable[[RemoteRepository, argparse.Namespace], None]) -> Any:
        made = actions.add_parser(name, help=said)
        made.add_argument("repository", help="owner/name, or name alone for your own")
        add_place(made)
        made.set_defaults(do=run)
        return made

    create = action("create", "make a repository and print its address", _create)
    create.add_argument("--private", action="store_true", default=None, help="only you and your group see it")
    create.add_argument("--exist-ok", action="store_true", help="be content with one that is there")
    create.add_argument("--space-sdk", choices=["gradio", "streamlit", "docker", "static"], help="for a Space")
    delete = action("delete", "remove a repository with everything in it", _delete)
    delete.add_argument("--yes", action="store_true", help="do not ask")
    move = action("move", "give it another name or owner; the old name keeps leading to it", _move)
    move.add_argument("to", help="the new owner/name")
    change = action("settings", "change who may see it", _settings)
    change.add_argument("--visibility", choices=["public", "private"])
    change.add_argument("--gated", choices=["auto", "manual", "off"], help="readers must ask to be let in")
    action("refs", "list branches and tags with their commits", _refs)
    for name in ("branch", "tag"):
        made = action(f"create-{name}", f"make a {name} at --revision", _create_ref)
        made.add_argument("ref", metavar=name)
        if name == "tag":
            made.add_argument("--message", help="what the tag says")
        action(f"delete-{name}", f"remove a {name}", _delete_ref).add_argument("ref", metavar=name)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Do what was asked."""
    name = _full_name(arguments.repository, arguments.token)
    arguments.do(RemoteRepository(name, arguments.type, arguments.token), arguments)
    return 0


def _full_name(name: str, token: str | None) -> str:
    """`owner/name`; a name alone is that of one's own repository."""
    return name if "/" in name else f"{whoami(token)['name']}/{name}"


def _create(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    sdk = arguments.space_sdk
    if repository.type == "space" and sdk is None:
        raise InputError("a Space needs --space-sdk: gradio, streamlit, docker or static.")
    print(repository.create(private=arguments.private, exist_ok=arguments.exist_ok, space_sdk=sdk))


def _delete(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    if not arguments.yes:
        answer = input(f"Everything in the {repository.type} {repository.name} will be lost. Type its name to go on: ")
        if answer.strip() != repository.name:
            raise InputError("nothing was removed: that was another name.")
    repository.delete()


def _move(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    repository.move(_full_name(arguments.to, arguments.token))


def _settings(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    if arguments.visibility is None and arguments.gated is None:
        raise InputError("say what to change: --visibility or --gated.")
    private = None if arguments.visibility is None else arguments.visibility == "private"
    repository.change(private=private, gated=False if arguments.gated == "off" else arguments.gated)


def _refs(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    for name, commit in repository.refs():
        print(f"{commit}  {name}")


def _create_ref(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    if arguments.action == "create-branch":
        repository.create_branch(arguments.ref, revision=arguments.revision)
    else:
        repository.create_tag(arguments.ref, revision=arguments.revision, message=arguments.message)


def _delete_ref(repository: RemoteRepository, arguments: argparse.Namespace) -> None:
    if arguments.action == "delete-branch":
        repository.delete_branch(arguments.ref)
    else:
        repository.delete_tag(arguments.ref)
