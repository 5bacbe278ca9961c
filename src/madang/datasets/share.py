"""Datasets into repositories on a hub: push_to_hub.

A split becomes Parquet files `data/train-00000-of-00002.parquet` (`<subset>/…` for subsets with a name), and the
README.md says which files are which split. Each file is uploaded as soon as it is written; one commit at the end makes
them visible together with the card and removes the split's files of before. Doing it again after an interruption
uploads only what has not arrived: the same rows give the same bytes, and a hub that has these does not ask for them.
"""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.client.failures import explained, hub_address, hub_failures
from madang.client.names import RULE, is_inner_path, is_repository_name
from madang.client.push import open_for_writing
from madang.datasets.card_subsets import (
    Before,
    Pushed,
    config_names,
    files_of,
    new_old_infos,
    split_of,
    with_subset,
    without_subset,
)
from madang.datasets.features import Features
from madang.datasets.info import CARD_FILE, DEFAULT_CONFIG, OLD_INFOS_FILE, SplitInfo
from madang.datasets.output import described, features_of, rows_in_group, tables_of, write_parquet
from madang.datasets.progress import bar
from madang.datasets.shards import bytes_of, embedded, is_stream, shard_count, spans
from madang.datasets.splits import NAME
from madang.errors import HubError, InputError, unknown_name

if TYPE_CHECKING:
    from huggingface_hub import CommitInfo, CommitOperationAdd, HfApi

# Files that go inside a commit (a hub without large-file storage) are held back until there is this much of them: a
# commit that breaks off is sent again as a whole.
BYTES_PER_COMMIT = 64_000_000
FILES_PER_COMMIT = 50
ATTEMPTS = 10
_OVERTAKEN = (409, 412)  # another commit was quicker, or is being made


# the two calls --------------------------------------------------------------------------------------------------------


def push_dataset(
    dataset: Any,
    repo_id: str,
    config_name: str = DEFAULT_CONFIG,
    set_default: bool | None = None,
    split: str | None = None,
    data_dir: str | None = None,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool | None = False,
    max_shard_size: int | str | None = None,
    num_shards: int | None = None,
    embed_external_files: bool = True,
    num_proc: int | None = None,
    branch: str | None = None,
) -> "CommitInfo":
    """Push one split (a Dataset or an IterableDataset) to a repository; its other splits and subsets stay.

    The repository, `private` or not, and the branch `revision` are made when they do not exist. `split` is the
    dataset's own name or 'train'. With `create_pr` the change is proposed as a pull request. `num_proc` files are
    written and uploaded at a time. Returns what huggingface_hub tells of the commit.

    Raises HubError when the hub refuses or cannot be reached; what was uploaded until then is not uploaded again.
    """
    name = split if split is not None else str(dataset.split) if dataset.split is not None else "train"
    where = _Where(repo_id, config_name, data_dir, revision if revision is not None else branch, bool(create_pr))
    how = _How(max_shard_size, {name: num_shards}, embed_external_files, num_proc)
    words = _Words(commit_message, commit_description)
    return _push({name: described(dataset)}, where, how, words, private, token, set_default, replaces=False)


def push_dataset_dict(
    datasets: Mapping[Any, Any],
    repo_id: str,
    config_name: str = DEFAULT_CONFIG,
    set_default: bool | None = None,
    data_dir: str | None = None,
    commit_message: str | None = None,
    commit_description: str | None = None,
    private: bool | None = None,
    token: str | bool | None = None,
    revision: str | None = None,
    create_pr: bool | None = False,
    max_shard_size: int | str | None = None,
    num_shards: Mapping[str, int] | None = None,
    embed_external_files: bool = True,
    num_proc: int | None = None,
    branch: str | None = None,
) -> "CommitInfo":
    """Push all splits of a DatasetDict or IterableDatasetDict as one subset, which has these splits from then on.

    `num_shards` is a dict of split -> number; the rest as for `push_dataset`.
    """
    if not datasets:
        raise InputError("there is nothing to push: this DatasetDict is empty.")
    if num_shards is not None and not isinstance(num_shards, Mapping):
        raise InputError(
            "Please provide one `num_shards` per dataset in the dataset dictionary, e.g. {'train': 128, 'test': 4}"
        )
    named = {str(name): described(dataset) for name, dataset in datasets.items()}
    where = _Where(repo_id, config_name, data_dir, revision if revision is not None else branch, bool(create_pr))
    how = _How(max_shard_size, {name: (num_shards or {}).get(name) for name in named}, embed_external_files, num_proc)
    words = _Words(commit_message, commit_description)
    return _push(named, where, how, words, private, token, set_default, replaces=True)


def delete_from_hub(
    repo_id: str, config_name: str, revision: str | None = None, token: str | bool | None = None
) -> "CommitInfo":
    """Propose, as a pull request, to delete a subset from a repository: its files, and what the card says of it."""
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi

    from madang.datasets.card import join_card

    if not is_repository_name(repo_id):
        raise InputError(f"{repo_id!r} cannot be the name of a repository: {RULE}.")
    api = HfApi(endpoint=settings.endpoint(), token=token)
    with _told(repo_id, revision):
        metadata, body = _card(api, repo_id, revision)
        files = files_of(metadata, config_name, api.list_repo_files(repo_id, repo_type="dataset", revision=revision))
        if not files and config_name not in config_names(metadata):
            raise unknown_name("subset", config_name, config_names(metadata))
        card = join_card(without_subset(metadata, config_name), body).encode()
        return api.create_commit(
            repo_id,
            [*(CommitOperationDelete(path) for path in files), CommitOperationAdd(CARD_FILE, card)],
            commit_message=f"Delete '{config_name}' config",
            commit_description=f"Delete '{config_name}' config.",
            repo_type="dataset",
            revision=revision,
            create_pr=True,
        )


# how ------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Where:
    """The place in a repository."""

    repo_id: str
    config_name: str
    data_dir: str | None
    revision: str | None
    create_pr: bool

    @property
    def folder(self) -> str:
        return self.data_dir or (self.config_name if self.config_name != DEFAULT_CONFIG else "data")


@dataclass(frozen=True)
class _How:
    """Into how many files splits are cut, and how many at a time."""

    max_shard_size: int | str | None
    num_shards: Mapping[str, int | None]
    embeds: bool
    num_proc: int | None


@dataclass(frozen=True)
class _Words:
    message: str | None
    description: str | None


def _push(
    datasets: Mapping[str, Any],
    where: _Where,
    how: _How,
    words: _Words,
    private: bool | None,
    token: str | bool | None,
    set_default: bool | None,
    *,
    replaces: bool,
) -> "CommitInfo":
    features = _checked(datasets, where, how)
    shards = {name: _shards(dataset, how, how.num_shards.get(name)) for name, dataset in datasets.items()}
    api, repo_id = open_for_writing(
        where.repo_id, private=private, token=token, revision=where.revision, repo_type="dataset"
    )
    where = replace(where, repo_id=repo_id)
    empty = [SplitInfo(name) for name in datasets]
    pushed = Pushed(where.config_name, where.folder, features, empty, [0] * len(empty), replaces, set_default)
    with _told(repo_id, where.revision):
        before, _, _ = _before(api, where)
        with_subset(before, pushed)  # what cannot be pushed is refused before anything is uploaded
        with TemporaryDirectory(prefix="madang-push-") as folder:
            uploads = _Uploads(api, where, words, Path(folder))
            splits, sizes = [], []
            for name, made in shards.items():
                split, size = uploads.send(name, made, features, how)
                splits.append(replace(split, num_bytes=_bytes(datasets[name], split.num_bytes)))
                sizes.append(size)
            return uploads.finish(replace(pushed, splits=splits, file_bytes=sizes))


def _checked(datasets: Mapping[str, Any], where: _Where, how: _How) -> Features:
    """The features of all splits; what could not be pushed is refused."""
    if where.config_name == "data":
        raise InputError("`config_name` cannot be 'data'. Please, choose another name for configuration.")
    if where.create_pr and where.revision not in (None, "main"):
        raise InputError(f"create_pr=True proposes a change to the main branch; leave out revision={where.revision!r}.")
    if not is_inner_path(where.folder):
        raise InputError(f"{where.folder!r} cannot be a folder in a repository; give data_dir= another name.")
    for name in datasets:
        if not NAME.fullmatch(name):
            raise InputError(f"Split name should match '^{NAME.pattern}$' but got '{name}'.")
    if how.max_shard_size is not None and any(number is not None for number in how.num_shards.values()):
        raise InputError("Failed to push_to_hub: please specify either max_shard_size or num_shards, but not both.")
    found = {name: features_of(dataset) for name, dataset in datasets.items()}
    (first, features), *others = found.items()
    for name, other in others:
        if other != features:
            raise InputError(
                "All datasets in `DatasetDict` should have the same features but features for "
                f"'{first}' and '{name}' don't match: {features} != {other}"
            )
    return features


def _shards(dataset: Any, how: _How, num_shards: int | None) -> list[Callable[[], Any]]:
    """What gives the rows of one file after the other: runs of rows of a table, shards of a stream."""
    if is_stream(dataset):
        wanted = min(num_shards or dataset.num_shards, dataset.num_shards)
        return [lambda i=i: dataset.shard(wanted, i) for i in range(wanted)]  # type: ignore[misc]
    pieces = num_shards or shard_count(dataset, how.max_shard_size, None, how.num_proc)
    return [lambda a=a, b=b: dataset.select(range(a, b)) for a, b in spans(len(dataset), pieces)]  # type: ignore[misc]


def _bytes(dataset: Any, counted: int) -> int:
    return counted if is_stream(dataset) else bytes_of(dataset)


# uploading ------------------------------------------------------------------------------------------------------------


@dataclass
class _Shard:
    addition: "CommitOperationAdd"
    rows: int
    row_bytes: int
    file_bytes: int

    @property
    def waits(self) -> bool:
        """Whether its content goes inside the commit; else it is in the hub's large-file storage by now."""
        return self.addition.path_or_fileobj != b""


class _Uploads:
    """The files of one push: those uploaded wait for the commit by name, those that go inside it with their content."""

    def __init__(self, api: "HfApi", where: _Where, words: _Words, folder: Path) -> None:
        self.api, self.where, self.words, self.folder = api, where, words, folder
        self.additions: list[CommitOperationAdd] = []
        self.paths: set[str] = set()
        self.waiting_bytes = self.parts = 0
        self.proposal: CommitInfo | None = None

    def send(
        self, split: str, shards: Sequence[Callable[[], Any]], features: Features, how: _How
    ) -> tuple[SplitInfo, int]:
        """Write and upload one file after the other, `num_proc` at a time."""
        info, size, at_once = SplitInfo(split), 0, max(1, how.num_proc or 1)
        names = [f"{self.where.folder}/{split}-{n:05}-of-{len(shards):05}.parquet" for n in range(len(shards))]

        def one(name: str, shard: Callable[[], Any]) -> _Shard:
            return self._upload(name, shard(), features, how.embeds)

        with ThreadPoolExecutor(at_once) as pool, bar(len(shards), f"Uploading {split}", "files") as advance:
            for start in range(0, len(shards), at_once):
                stop = start + at_once
                for done in pool.map(one, names[start:stop], shards[start:stop]):
                    info.num_examples += done.rows
                    info.num_bytes += done.row_bytes
                    size += done.file_bytes
                    self._keep(done)
                    advance(1)
        return info, size

    def _upload(self, name: str, dataset: Any, features: Features, embeds: bool) -> _Shard:
        from huggingface_hub import CommitOperationAdd

        file = self.folder / name.replace("/", "-")
        rows = row_bytes = 0

        def tables() -> Iterator[Any]:
            nonlocal rows, row_bytes
            for table in tables_of(dataset, group):
                rows += table.num_rows
                row_bytes += table.nbytes
                yield embedded(table, features) if embeds else table

        group = rows_in_group(dataset)
        write_parquet(str(file), features, tables(), group)
        file_bytes = file.stat().st_size
        addition = CommitOperationAdd(name, str(file))
        try:
            self.api.preupload_lfs_files(
                self.where.repo_id,
                [addition],
                repo_type="dataset",
                revision=self._branch,
                create_pr=self.where.create_pr and self.proposal is None,
            )
        except RuntimeError as error:  # of the transfer itself, which knows no better type
            if isinstance(error, hub_failures()):
                raise
            raise HubError(f"{hub_address()} did not take {name}: {error.__cause__ or error}") from error
        if addition.path_or_fileobj == b"":
            file.unlink()
        return _Shard(addition, rows, row_bytes, file_bytes)

    @property
    def _branch(self) -> str | None:
        return self.proposal.pr_revision if self.proposal is not None else self.where.revision

    def _keep(self, shard: _Shard) -> None:
        self.additions.append(shard.addition)
        self.paths.add(shard.addition.path_in_repo)
        self.waiting_bytes += shard.file_bytes if shard.waits else 0
        waiting = sum(addition.path_or_fileobj != b"" for addition in self.additions)
        if self.waiting_bytes >= BYTES_PER_COMMIT or waiting >= FILES_PER_COMMIT:
            self.parts += 1
            self._commit(self.additions, f"{self._message} (part {self.parts})", None)
            for addition in self.additions:
                if isinstance(addition.path_or_fileobj, str):
                    Path(addition.path_or_fileobj).unlink(missing_ok=True)
            self.additions, self.waiting_bytes = [], 0

    def finish(self, pushed: Pushed) -> "CommitInfo":
        """The commit that makes everything visible: files, card, and without the split's files of before."""
        from huggingface_hub import CommitOperationAdd, CommitOperationDelete

        from madang.datasets.card import join_card

        for attempt in range(ATTEMPTS):
            before, body, head = _before(self.api, replace(self.where, revision=self._branch))
            card = join_card(with_subset(before, pushed), body)
            operations: list[Any] = [*self.additions, CommitOperationAdd(CARD_FILE, card.encode())]
            if (old := new_old_infos(before, pushed)) is not None:
                operations.append(CommitOperationAdd(OLD_INFOS_FILE, old.encode()))
            new = {split.name for split in pushed.splits}
            operations += [
                CommitOperationDelete(path)
                for path in before.sizes
                if path not in self.paths and _is_replaced(path, pushed, new)
            ]
            try:
                commit = self._commit(operations, self._message, head)
            except hub_failures() as error:
                if _status(error) not in _OVERTAKEN or attempt == ATTEMPTS - 1:
                    raise
                _wait(attempt)
                continue
            return commit if self.proposal is None else replace(commit, pr_url=self.proposal.pr_url)
        raise AssertionError("the last attempt raises")

    @property
    def _message(self) -> str:
        return self.words.message if self.words.message is not None else "Upload dataset"

    def _commit(self, operations: Sequence[Any], message: str, head: str | None) -> "CommitInfo":
        """One commit; without `head`, it is made on whatever the branch holds by then."""
        for attempt in range(ATTEMPTS):
            try:
                commit = self.api.create_commit(
                    self.where.repo_id,
                    list(operations),
                    commit_message=message,
                    commit_description=self.words.description,
                    repo_type="dataset",
                    revision=self._branch,
                    create_pr=self.where.create_pr and self.proposal is None,
                    parent_commit=head,
                )
            except hub_failures() as error:
                if head is not None or _status(error) != 409 or attempt == ATTEMPTS - 1:
                    raise
                _wait(attempt)
                continue
            if head is None and commit.pr_url is not None:
                self.proposal = commit
            return commit
        raise AssertionError("the last attempt raises")


def _is_replaced(path: str, pushed: Pushed, new: set[str]) -> bool:
    """Whether a file in the subset's folder belongs to what is pushed anew. Files of other kinds are nobody's."""
    split = split_of(path, pushed.data_dir)
    return split is not None and (split in new or (pushed.replaces and path.endswith(".parquet")))


def _before(api: "HfApi", where: _Where) -> tuple[Before, str, str]:
    """What the repository holds now, the text of its card, and the commit that is so."""
    import json

    from huggingface_hub.errors import EntryNotFoundError

    repo_id = where.repo_id
    head = api.repo_info(repo_id, repo_type="dataset", revision=where.revision).sha
    if head is None:
        raise HubError(f"the hub does not say which commit {repo_id!r} is at.")

    def sizes(folder: str) -> dict[str, int]:
        try:
            found = api.list_repo_tree(repo_id, folder, repo_type="dataset", revision=head)
            return {entry.path: entry.size for entry in found if hasattr(entry, "size")}
        except EntryNotFoundError:
            return {}

    there = {
        one.path for one in api.get_paths_info(repo_id, [CARD_FILE, OLD_INFOS_FILE], repo_type="dataset", revision=head)
    }
    metadata, body = _card(api, repo_id, head) if CARD_FILE in there else ({}, "")
    old = None
    if OLD_INFOS_FILE in there:
        path = api.hf_hub_download(repo_id, OLD_INFOS_FILE, repo_type="dataset", revision=head)
        old = json.loads(Path(path).read_text(encoding="utf-8"))
    own = sizes(where.folder)
    unlisted = () if metadata.get("configs") else own if where.folder == "data" else sizes("data")
    return Before(metadata, old, own, unlisted), body, head


def _card(api: "HfApi", repo_id: str, revision: str | None) -> tuple[dict[str, Any], str]:
    from huggingface_hub.errors import EntryNotFoundError

    from madang.datasets.card import split_card

    try:
        path = api.hf_hub_download(repo_id, CARD_FILE, repo_type="dataset", revision=revision)
    except EntryNotFoundError:
        return {}, ""
    return split_card(Path(path).read_bytes().decode("utf-8"))


@contextlib.contextmanager
def _told(repo_id: str, revision: str | None) -> Iterator[None]:
    """Refusals of the hub as Madang's own errors."""
    try:
        yield
    except hub_failures() as error:
        raise explained(error, repo_id, "dataset", revision) from error


def _status(error: BaseException) -> int:
    return int(getattr(getattr(error, "response", None), "status_code", 0))


def _wait(attempt: int) -> None:
    time.sleep(min(30.0, 0.1 * 2**attempt) * (1 + random.random()))
