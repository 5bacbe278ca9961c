"""Where files come from: a folder on this machine, or a repository on a hub at one commit."""

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from madang import settings
from madang.client.cache import CachedRepository, cached_repository
from madang.client.failures import explained, hub_address, hub_failures, is_no_answer
from madang.client.names import RULE, is_inner_path, is_repository_name
from madang.errors import HubError, InputError, MissingFileError
from madang.notices import notice


@dataclass
class Source:
    """A folder or a repository from which single files are taken by name.

    A repository's revision is resolved to a commit once, when the source is opened; every file then comes from
    that same commit, and a file that is already in the cache for it costs no request.
    """

    name: str
    folder: Path | None = None
    commit: str | None = None
    subfolder: str = ""
    repo_type: str = "model"
    token: str | bool | None = field(default=None, repr=False)  # secrets stay out of logs
    cache_dir: str | None = None
    local_files_only: bool = False
    # the names of all files of the commit; None where the hub never listed them
    files: frozenset[str] | None = None

    def __fspath__(self) -> str:
        """What it was opened with, so that an open source can be handed on in place of a name or path."""
        return self.name

    @property
    def place(self) -> str:
        """The beginning of a sentence about what is or is not there."""
        if self.folder is not None:
            return f"the folder {self.folder}"
        return f"{'the cached copy of ' * self.local_files_only}the repository {self.name!r}"

    def path(self, filename: str) -> Path | None:
        """The local path of `filename`, downloaded when needed; None when the source has no such file.

        Raises HubError when the hub fails in the middle, and MissingFileError when the repository has the file but
        the cache does not and no request may be made: neither means that there is no such file.
        """
        name = f"{self.subfolder}/{filename}" if self.subfolder else filename
        if not is_inner_path(name):
            raise InputError(f"{name!r} is not the name of a file inside a model's folder.")
        if self.folder is not None:
            found = self.folder / name
            return found if found.is_file() else None
        if self.files is not None and name not in self.files:
            return None
        return self._fetched(name)

    def require(self, filename: str) -> Path:
        """Like `path`, but a file that is not there is an error naming it."""
        found = self.path(filename)
        if found is None:
            inside = f" in {self.subfolder!r}" if self.subfolder else ""
            raise MissingFileError(f"{self.place} has no file {filename!r}{inside}.")
        return found

    def _fetched(self, name: str) -> Path | None:
        """The cached file, or a fresh download; None when the commit is known to have no such file."""
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(
            self.name, name, cache_dir=self.cache_dir, revision=self.commit, repo_type=self.repo_type
        )
        if isinstance(found, str):
            return Path(found)
        if found is not None:  # a mark that the hub said before: no such file
            return None
        if not self.local_files_only:
            return self._downloaded(name)
        if self.files is not None:
            raise MissingFileError(
                f"{self.name!r} has a file {name!r}, but it was never downloaded, and now the cache alone is used. "
                f"Load it once while {hub_address()} can be asked."
            )
        return None

    def _downloaded(self, name: str) -> Path | None:
        from huggingface_hub import hf_hub_download
        from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError

        try:
            found = hf_hub_download(
                self.name,
                name,
                repo_type=self.repo_type,
                revision=self.commit,
                token=self.token,
                cache_dir=self.cache_dir,
                endpoint=settings.endpoint(),
            )
        except EntryNotFoundError as error:
            # the "local" kind says that the hub could not be asked, not that it has no such file
            if isinstance(error, LocalEntryNotFoundError):
                raise explained(error, self.name, self.repo_type, self.commit) from error
            return None
        except hub_failures() as error:
            raise explained(error, self.name, self.repo_type, self.commit) from error
        return Path(found)


def open_source(
    name_or_path: str | os.PathLike[str] | Source,
    *,
    revision: str | None = None,
    subfolder: str | None = None,
    token: str | bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
    local_files_only: bool = False,
    repo_type: str = "model",
    use_auth_token: str | bool | None = None,
) -> Source:
    """Open a local folder, or the repository called `name_or_path` on the hub (`HF_ENDPOINT`) at `revision`.

    One request finds the commit; none is made when `revision` is a commit that is in the cache, or when working
    offline. Where the hub gives no answer, a cached copy is used, with a warning. An open source is given back.
    `use_auth_token` is the older name of `token`.

    Raises MissingFileError when there is neither a folder nor a repository, naming the hub that was asked, and
    HubError when the hub refuses or cannot be asked and nothing is cached.
    """
    if isinstance(name_or_path, Source):
        return name_or_path
    name, inside = os.fspath(name_or_path), (subfolder or "").strip("/")
    if inside and not is_inner_path(inside):
        raise InputError(f"subfolder={subfolder!r} leads out of the model's folder.")
    folder = os.path.expanduser(name)
    if os.path.isdir(folder):
        return Source(name, folder=Path(folder), subfolder=inside)
    if name.startswith((".", "/", "~")) or name.count("/") > 1 or "\\" in name:
        raise MissingFileError(
            f"there is no folder {name!r}. Give the path of a saved model, or 'owner/name' on a hub."
        )
    if not is_repository_name(name):
        raise MissingFileError(f"{name!r} is neither a folder here nor a possible name of a repository: {RULE}.")
    if revision is not None and not is_inner_path(revision):
        raise InputError(f"revision={revision!r} is not the name of a branch, a tag or a commit.")
    source = Source(
        name,
        subfolder=inside,
        repo_type=repo_type,
        token=use_auth_token if token is None else token,
        cache_dir=os.path.expanduser(cache_dir) if cache_dir is not None else None,
        local_files_only=local_files_only or settings.offline(),
    )
    _resolve(source, revision)
    return source


def _resolve(source: Source, revision: str | None) -> None:
    """Fix the commit: from the cache when the revision is one already, else by one request, else what the cache has."""
    cached = cached_repository(source.name, source.repo_type, source.cache_dir)
    commit = cached.commit_of(revision or "main")
    if commit is not None and (source.local_files_only or commit == revision):
        source.commit, source.files = commit, cached.files(commit)
    elif source.local_files_only:
        at = f" at revision {revision!r}" if revision else ""
        raise MissingFileError(
            f"{source.name!r}{at} is neither a folder here nor in the cache, and working offline was asked for."
        )
    else:
        _ask(source, revision, cached, commit)


def _ask(source: Source, revision: str | None, cached: CachedRepository, commit: str | None) -> None:
    """Take commit and list of files from the hub; `commit` is what the cache has for when there is no answer."""
    try:
        source.commit, source.files = _answer(source, revision)
    except hub_failures() as error:
        why = explained(error, source.name, source.repo_type, revision)
        if commit is None:
            raise why from error
        if not is_no_answer(error):
            raise type(why)(f"{why} A copy of it is in the cache: local_files_only=True uses that.") from error
        notice(f"{why} The cached copy is used, which may be older: commit {commit[:12]}.")
        source.commit, source.files, source.local_files_only = commit, cached.files(commit), True
    else:
        cached.remember(revision or "main", source.commit, source.files)


def _answer(source: Source, revision: str | None) -> tuple[str, frozenset[str] | None]:
    from huggingface_hub import HfApi, constants

    try:
        found: Any = HfApi(endpoint=settings.endpoint()).repo_info(
            source.name,
            repo_type=source.repo_type,
            revision=revision,
            token=source.token,
            timeout=constants.HF_HUB_ETAG_TIMEOUT,  # without one, a hub that hangs would hang us
        )
        commit = found.sha
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, hub_failures()):
            raise
        commit, found = None, error
    if commit is None:
        raise HubError(f"what {hub_address()} answered is not what a hub says of a repository ({found!r:.200}).")
    listed = getattr(found, "siblings", None)
    return str(commit), frozenset(file.rfilename for file in listed) if listed else None
