"""Putting files into a repository on a hub."""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from madang import settings
from madang.client.failures import explained, hub_failures
from madang.client.names import RULE, is_repository_name
from madang.errors import InputError

if TYPE_CHECKING:
    from huggingface_hub import HfApi


def push_saved(
    save: Callable[[Path], object],
    repo_id: str,
    *,
    commit_message: str,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool = False,
    repo_type: str = "model",
) -> str:
    """Let `save` fill a temporary folder and upload it to `repo_id`; returns the address of the commit.

    The repository, `private` or not, and the branch `revision` are made when they do not exist; a repository that does
    keeps its visibility, and files in it that `save` does not write stay. 'name' alone is the caller's own. With
    `create_pr` the files are proposed as a pull request, whose address is returned.

    Raises InputError for a name no hub accepts, HubError when the hub refuses or cannot be reached.
    """
    if create_pr and revision not in (None, "main"):
        raise InputError(f"create_pr=True proposes a change to the main branch; leave out revision={revision!r}.")
    # made before anything is saved: who is not logged in learns it at once
    api, repo_id = open_for_writing(repo_id, private=private, token=token, revision=revision, repo_type=repo_type)
    with tempfile.TemporaryDirectory(prefix="madang-push-") as folder:
        save(Path(folder))
        try:
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=os.fspath(folder),
                repo_type=repo_type,
                commit_message=commit_message,
                revision=revision,
                create_pr=create_pr,
            )
        except hub_failures() as error:
            raise explained(error, repo_id, repo_type, revision) from error
    return str(commit.pr_url or commit.commit_url)


def push_folder(
    folder: str | os.PathLike[str],
    repo_id: str,
    *,
    commit_message: str,
    path_in_repo: str = "",
    ignore: Iterable[str] = (),
    delete: Iterable[str] = (),
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
) -> str:
    """Upload what is in `folder` to `path_in_repo` of the model repository `repo_id`; returns the commit's address.

    `ignore` and `delete` are patterns (`optimizer*`): of files here that are not sent, and of files there, below
    `path_in_repo`, that go in the same commit unless they are sent anew. Otherwise as `push_saved`.
    """
    api, repo_id = open_for_writing(repo_id, private=private, token=token, revision=revision)
    try:
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=os.fspath(folder),
            path_in_repo=path_in_repo,
            commit_message=commit_message,
            revision=revision,
            ignore_patterns=list(ignore),
            delete_patterns=list(delete) or None,
        )
    except hub_failures() as error:
        raise explained(error, repo_id, "model", revision) from error
    return str(commit.commit_url)


def open_for_writing(
    repo_id: str,
    *,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    repo_type: str = "model",
) -> tuple["HfApi", str]:
    """The hub's interface, and the full name of the repository, which exists from now on, with the branch `revision`.

    Raises as `push_saved` does.
    """
    if not is_repository_name(repo_id):
        raise InputError(f"{repo_id!r} cannot be the name of a repository: {RULE}.")
    from huggingface_hub import HfApi

    api = HfApi(endpoint=settings.endpoint(), token=token)
    try:
        repo_id = _made(api, repo_id, repo_type, private)
        if revision is not None and revision != "main" and not revision.startswith("refs/"):
            api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
    except hub_failures() as error:
        raise explained(error, repo_id, repo_type, revision) from error
    return api, repo_id


def _made(api: "HfApi", repo_id: str, repo_type: str, private: bool | None) -> str:
    """The full name of the repository, which exists now."""
    try:
        return str(api.create_repo(repo_id, repo_type=repo_type, private=private, exist_ok=True).repo_id)
    except ValueError as error:
        if isinstance(error, hub_failures()):
            raise
        # It is somebody else's and there. huggingface_hub 2.4 stumbles over its address when HF_ENDPOINT was set after
        # that package was imported; whether we may write is for the upload to find out.
        return repo_id
