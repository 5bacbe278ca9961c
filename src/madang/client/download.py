"""Taking files of a repository to this machine."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from madang import settings
from madang.client.failures import explaining, hub_address
from madang.client.names import RULE, is_inner_path, is_repository_name
from madang.errors import InputError, MissingFileError


def download(
    repo_id: str,
    files: Iterable[str] = (),
    *,
    repo_type: str = "model",
    revision: str | None = None,
    include: Iterable[str] = (),
    exclude: Iterable[str] = (),
    local_dir: str | os.PathLike[str] | None = None,
    force: bool = False,
    token: str | bool | None = None,
) -> Path:
    """Download a repository, or some of its files; returns the folder they are in (with one file named: the file).

    Files lie in the cache all hub clients share, or in `local_dir`. What is there already is not sent again, unless
    `force` says so. `include` and `exclude` are patterns of paths.

    Raises MissingFileError when the repository or a file named is not there, HubError when the hub refuses.
    """
    if not is_repository_name(repo_id):
        raise InputError(f"{repo_id!r} cannot be the name of a repository: {RULE}.")
    wanted = list(files)
    for name in wanted:
        if not is_inner_path(name):
            raise InputError(f"{name!r} is not the name of a file inside a repository.")
    from huggingface_hub import HfApi
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

    api = HfApi(endpoint=settings.endpoint(), token=token)
    place: Any = {"repo_type": repo_type, "revision": revision, "local_dir": local_dir, "force_download": force}
    with explaining(repo_id, repo_type, revision):
        if not wanted:
            patterns: Any = {"allow_patterns": list(include) or None, "ignore_patterns": list(exclude) or None}
            return Path(api.snapshot_download(repo_id, **patterns, **place))
        found = []
        for name in wanted:
            try:
                found.append(Path(api.hf_hub_download(repo_id, name, **place)))
            except EntryNotFoundError as error:
                if isinstance(error, LocalEntryNotFoundError):
                    raise
                raise MissingFileError(f"{repo_id!r} on {hub_address()} has no file {name!r}.") from error
    return found[0] if len(found) == 1 else Path(os.path.commonpath([path.parent for path in found]))
