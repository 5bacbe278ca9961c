"""Dataset repositories on a hub (`HF_ENDPOINT`, and no other): which commit, which files, what the card says.

Beside the layout that all hub clients share, the cache gets two notes of ours:
datasets--owner--name/trees/<commit>.json      the content ids of files, by folder: what is cached is named by them
<HF_DATASETS_CACHE>/names/<name>               text: today's full name of a repository that was asked for otherwise
"""

import contextlib
import json
import posixpath
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from madang import settings
from madang.client.cache import CachedRepository, cached_repository
from madang.client.failures import explained, hub_address, hub_failures, is_no_answer
from madang.client.names import RULE, is_inner_path, is_repository_name
from madang.client.source import Source
from madang.datasets import cache
from madang.datasets.readers.files import DataFile
from madang.errors import DatasetNotFoundError, HubError, InputError, MadangError, UnreachableHubError
from madang.notices import notice
from madang.writing import write_text

PARQUET_BRANCH = "refs/convert/parquet"


@dataclass(frozen=True)
class HubFile(DataFile):
    """A file of a repository at one commit: downloaded when it is first needed, or read piece by piece."""

    source: Source = field(repr=False, compare=False)
    inside: str
    blob: str = ""
    lazy: bool = False

    def identity(self) -> tuple[Any, ...]:
        return (self.blob or self.source.commit,)

    def key(self) -> tuple[Any, ...]:
        # without the commit: the same content in another one is the same
        return (f"hf://datasets/{self.source.name}/{self.inside}", *self.identity())

    def existing(self) -> str:
        return str(self.source.require(self.inside))

    def path(self) -> str | None:
        return None if self.lazy else self.existing()

    def lazily(self) -> DataFile:
        return replace(self, lazy=True)

    def open(self) -> pa.NativeFile:
        if self.lazy and not self._is_here():
            from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

            from madang.datasets.urls import RangeReader

            place = f"{quote(self.source.name)}/resolve/{quote(self.source.commit or 'main', safe='')}"
            address = f"{hub_address()}/datasets/{place}/{quote(self.inside)}"
            return pa.PythonFile(RangeReader(address, build_hf_headers(token=self.source.token)), "r")
        return pa.OSFile(self.existing())

    def _is_here(self) -> bool:
        from huggingface_hub import try_to_load_from_cache

        found = try_to_load_from_cache(
            self.source.name,
            self.inside,
            cache_dir=self.source.cache_dir,
            revision=self.source.commit,
            repo_type="dataset",
        )
        return isinstance(found, str) or self.source.local_files_only


@dataclass
class Repository:
    """A dataset repository at one commit."""

    source: Source
    names: list[str]

    @property
    def name(self) -> str:
        """`owner/name`, as it is called today."""
        return self.source.name

    def text(self, path: str) -> str | None:
        """The content of a small text file, or None when there is no such file."""
        found = self.source.path(path) if path in self.names else None
        return None if found is None else found.read_text(encoding="utf-8", errors="replace")

    def files(self, names: Iterable[str]) -> list[DataFile]:
        """Files by name, with what identifies their content."""
        names = list(names)
        blobs = self._blobs(names)
        at = f"hf://datasets/{self.name}@{self.source.commit}"
        return [HubFile(f"{at}/{name}", self.source, name, blobs.get(name, "")) for name in names]

    def _blobs(self, names: list[str]) -> dict[str, str]:
        """Content ids by name. One question for the folder that holds all; a second time they are noted here."""
        notes = self._cached().folder / "trees" / f"{self.source.commit}.json"
        known: dict[str, str] = {}
        with contextlib.suppress(OSError, ValueError):
            known = {str(name): str(blob) for name, blob in json.loads(notes.read_text(encoding="utf-8")).items()}
        if all(name in known for name in names) or self.source.local_files_only:
            return known
        folders = {posixpath.dirname(name) for name in names}
        folder = posixpath.commonpath(folders) if "" not in folders else ""
        try:
            known |= _tree(self.source, folder, recursive=len(folders) > 1)
        except hub_failures():
            return {}  # the commit tells them apart as well, only less finely
        with contextlib.suppress(OSError):
            notes.parent.mkdir(parents=True, exist_ok=True)
            write_text(notes, json.dumps(known))
        return known

    def _cached(self) -> CachedRepository:
        return cached_repository(self.name, "dataset", self.source.cache_dir)


def _tree(source: Source, folder: str, *, recursive: bool) -> dict[str, str]:
    from huggingface_hub import HfApi

    found = HfApi(endpoint=settings.endpoint()).list_repo_tree(
        source.name,
        folder or None,
        recursive=recursive,
        revision=source.commit,
        repo_type="dataset",
        token=source.token,
    )
    return {entry.path: str(entry.blob_id) for entry in found if hasattr(entry, "blob_id")}


def open_repository(
    name: str, revision: str | None = None, token: str | bool | None = None, *, local_files_only: bool = False
) -> Repository:
    """The dataset repository called `name` at `revision`; one request finds the commit and lists the files.

    A name without an owner, or of before a renaming, is followed to where the repository is now. Where the hub gives no
    answer, or working offline was asked for, what was downloaded before is used.

    Raises DatasetNotFoundError for a repository or revision that is not there, UnreachableHubError when the hub cannot
    be asked and nothing of it is here.
    """
    if not is_repository_name(name):
        raise DatasetNotFoundError(
            f"Dataset {name!r} is neither a folder or file here nor a possible name of a repository: {RULE}."
        )
    if revision is not None and not is_inner_path(revision):
        raise InputError(f"revision={revision!r} is not the name of a branch, a tag or a commit.")
    source = Source(name, repo_type="dataset", token=token)
    source.local_files_only = local_files_only or settings.datasets_offline()
    if source.local_files_only:
        _from_cache(
            source,
            revision,
            UnreachableHubError(
                f"Couldn't reach {name!r} on the Hub: working offline was asked for (HF_HUB_OFFLINE, or "
                "local_files_only=True), and nothing of it was downloaded before. Load it once while the hub can be "
                "asked."
            ),
        )
    else:
        _ask(source, revision)
    names = _names(source)
    return Repository(source, names)


def _names(source: Source) -> list[str]:
    if source.files is None:
        if source.local_files_only:
            folder = _cached(source).folder / "snapshots" / str(source.commit)
            found = (path for path in folder.rglob("*") if path.is_file())
            return sorted(path.relative_to(folder).as_posix() for path in found)
        try:
            source.files = frozenset(_tree(source, "", recursive=True))
        except hub_failures() as error:
            raise explained(error, source.name, "dataset") from error
        _cached(source).remember("main", str(source.commit), source.files)
    # a hub's list is somebody else's: no name may lead out of the folder that files are kept in
    return sorted(name for name in source.files if is_inner_path(name))


def _ask(source: Source, revision: str | None) -> None:
    """Take name, commit and list of files from the hub, or from the cache when there is no answer."""
    from huggingface_hub import HfApi, constants, errors

    asked = source.name
    try:
        found: Any = HfApi(endpoint=settings.endpoint()).dataset_info(
            asked, revision=revision, token=source.token, timeout=constants.HF_HUB_ETAG_TIMEOUT
        )
        if not isinstance(found.sha, str):
            raise HubError(f"what {hub_address()} answered is not what a hub says of a dataset.")
    except errors.GatedRepoError as error:
        raise _not_found(source, revision, error) from error
    except (errors.RevisionNotFoundError, errors.RepositoryNotFoundError) as error:
        raise _not_found(source, revision, error) from error
    except hub_failures() as error:
        if not is_no_answer(error):
            raise explained(error, asked, "dataset", revision) from error
        reason = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no reason given'}"
        unreachable = UnreachableHubError(f"Couldn't reach {asked!r} on the Hub ({reason}), at {hub_address()}.")
        unreachable.__cause__ = error
        source.local_files_only = True
        _from_cache(source, revision, unreachable)
        notice(f"{unreachable} Using the latest cached version of the dataset: commit {str(source.commit)[:12]}.")
        return
    if isinstance(found.id, str) and is_repository_name(found.id) and found.id != asked:
        source.name = found.id
        _remember_name(asked, found.id)
    listed = getattr(found, "siblings", None)
    source.commit, source.files = found.sha, frozenset(file.rfilename for file in listed) if listed else None
    _cached(source).remember(revision or "main", found.sha, source.files)


def _not_found(source: Source, revision: str | None, error: Exception) -> MadangError:
    from huggingface_hub import errors

    name, hub = source.name, hub_address()
    if isinstance(error, errors.RevisionNotFoundError):
        return DatasetNotFoundError(f"Revision {revision!r} doesn't exist for dataset {name!r} on the Hub ({hub}).")
    if isinstance(error, errors.GatedRepoError):
        return DatasetNotFoundError(
            f"Dataset {name!r} is a gated dataset on the Hub ({hub}): open its page and accept the conditions there, "
            "then login(token='…') or pass token='…'."
        )
    return DatasetNotFoundError(
        f"Dataset {name!r} doesn't exist on the Hub or cannot be accessed ({hub}). Check the spelling; for a private "
        "one login(token='…') or pass token='…'."
    )


def _cached(source: Source) -> CachedRepository:
    return cached_repository(source.name, "dataset", source.cache_dir)


def _from_cache(source: Source, revision: str | None, otherwise: Exception) -> None:
    """Use what was downloaded before, or raise `otherwise`."""
    for name in [source.name, *_other_names(source.name)]:
        kept = cached_repository(name, "dataset", source.cache_dir)
        commit = kept.commit_of(revision or "main")
        if commit is not None:
            source.name, source.commit, source.files = name, commit, kept.files(commit)
            return
    raise otherwise


def _other_names(asked: str) -> list[str]:
    """What a repository may be called now, from earlier answers: noted, or the only one downloaded of that name."""
    with contextlib.suppress(OSError):
        noted = _note_of(asked).read_text(encoding="utf-8").strip()
        if is_repository_name(noted):
            return [noted]
    if "/" in asked:
        return []
    from huggingface_hub import constants

    folders = list(Path(constants.HF_HUB_CACHE).glob(f"datasets--*--{asked}"))
    names = ["/".join(folder.name.split("--")[1:]) for folder in folders]
    return names if len(names) == 1 else []


def _note_of(name: str) -> Path:
    return cache.root() / "names" / name.replace("/", "--")


def _remember_name(asked: str, found: str) -> None:
    with contextlib.suppress(OSError):
        _note_of(asked).parent.mkdir(parents=True, exist_ok=True)
        write_text(_note_of(asked), found)


def split_address(address: str) -> tuple[str, str | None, str]:
    """Repository, revision and inner path (or pattern) of `hf://datasets/owner/name@revision/path`.

    A revision with slashes in it (`refs/convert/parquet`) is written with `%2F`, or as one of these that all hubs have.
    """
    from urllib.parse import unquote

    rest = address.removeprefix("hf://")
    if not rest.startswith("datasets/"):
        raise InputError(f"{address!r} is no address of a dataset: hf://datasets/owner/name/path is one.")
    rest = rest.removeprefix("datasets/")
    owner, _, tail = rest.partition("/")
    name, _, path = tail.partition("/")
    name, at, revision = name.partition("@")
    if at and revision == "refs":
        parts = path.split("/")
        revision, path = "/".join(["refs", *parts[:2]]), "/".join(parts[2:])
    return f"{owner}/{name}", unquote(revision) if at else None, path


def prefetch(files: Iterable[DataFile]) -> None:
    """Download several files of repositories at once, so that none has to wait for the one before."""
    wanted = [file for file in files if isinstance(file, HubFile) and not file.lazy and not file._is_here()]
    if len(wanted) < 2:
        return
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(8, len(wanted)), thread_name_prefix="madang-download") as pool:
        for _ in pool.map(HubFile.existing, wanted):
            pass
