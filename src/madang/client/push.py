"""Putting files into a repository on a hub."""

import os
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.client.failures import explaining, hub_failures
from madang.client.names import RULE, is_repository_name
from madang.errors import InputError, MissingFileError

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
        with explaining(repo_id, repo_type, revision):
            commit = api.upload_folder(
                repo_id=repo_id,
                folder_path=folder,
                repo_type=repo_type,
                commit_message=commit_message,
                revision=revision,
                create_pr=create_pr,
            )
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
    with explaining(repo_id, revision=revision):
        commit = api.upload_folder(
            repo_id=repo_id,
            folder_path=os.fspath(folder),
            path_in_repo=path_in_repo,
            commit_message=commit_message,
            revision=revision,
            ignore_patterns=list(ignore),
            delete_patterns=list(delete) or None,
        )
    return str(commit.commit_url)


def upload(
    path: str | os.PathLike[str],
    repo_id: str,
    path_in_repo: str | None = None,
    *,
    repo_type: str = "model",
    revision: str | None = None,
    private: bool | None = None,
    commit_message: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    delete: Iterable[str] = (),
    create_pr: bool = False,
    token: str | bool | None = None,
) -> str:
    """Put a file or a folder into a repository, which is made when it is not there; returns the address of the commit.

    A file goes to `path_in_repo`, or to the root under its own name; a folder's files go below `path_in_repo`.
    `include` and `exclude` are patterns of the files in a folder that are sent or not, `delete` of files in
    the repository that go in the same commit. With `create_pr` all is proposed as a pull request, whose address is
    returned.

    Raises MissingFileError when there is nothing at `path`, otherwise as `push_saved`.
    """
    path = Path(path)
    if not path.exists():
        raise MissingFileError(f"there is no file and no folder {str(path)!r} to upload.")
    api, repo_id = open_for_writing(
        repo_id, private=private, token=token, revision=None if create_pr else revision, repo_type=repo_type
    )
    target: Any = {"repo_id": repo_id, "repo_type": repo_type, "revision": revision, "create_pr": create_pr}
    with explaining(repo_id, repo_type, revision):
        if path.is_file():
            message = commit_message or f"Upload {path.name}"
            commit = api.upload_file(
                path_or_fileobj=path, path_in_repo=path_in_repo or path.name, commit_message=message, **target
            )
        else:
            commit = api.upload_folder(
                folder_path=path,
                path_in_repo=path_in_repo,
                commit_message=commit_message or f"Upload {path.resolve().name}",
                allow_patterns=list(include) or None,
                ignore_patterns=list(exclude) or None,
                delete_patterns=list(delete) or None,
                **target,
            )
    return str(commit.pr_url or commit.commit_url)


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
    with explaining(repo_id, repo_type, revision):
        repo_id = _made(api, repo_id, repo_type, private)
        if revision is not None and revision != "main" and not revision.startswith("refs/"):
            api.create_branch(repo_id, branch=revision, repo_type=repo_type, exist_ok=True)
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
