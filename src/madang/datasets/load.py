"""A dataset in one line: from a hub, from files and folders, from the web."""

import logging
import os
from pathlib import Path
from typing import Any

from madang.datasets import cache
from madang.datasets import plan as plans
from madang.datasets.builder import DatasetBuilder, DownloadConfig, DownloadMode, VerificationMode
from madang.datasets.readers import FORMATS
from madang.errors import DatasetNotFoundError, InputError, nearest

__all__ = ["DownloadConfig", "DownloadMode", "VerificationMode", "from_files", "load_dataset", "load_dataset_builder"]

_log = logging.getLogger(__name__)


def load_dataset(
    path: str | os.PathLike[str],
    name: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data_files: Any = None,
    split: Any = None,
    cache_dir: str | os.PathLike[str] | None = None,
    features: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    verification_mode: Any = None,
    ignore_verifications: Any = "deprecated",
    keep_in_memory: bool | None = None,
    save_infos: bool = False,
    revision: Any = None,
    token: str | bool | None = None,
    use_auth_token: Any = "deprecated",
    task: Any = "deprecated",
    streaming: bool = False,
    num_proc: int | None = None,
    storage_options: dict[str, Any] | None = None,
    trust_remote_code: bool | None = None,
    **options: Any,
) -> Any:
    """A DatasetDict of all splits, or the Dataset of one `split`.

    `path` is the name of a repository on the hub (`"klue/klue"`, with the subset as `name`), a folder whose files are
    told apart by their names (`train.csv`, `test.csv`, …) or by its README.md, a file, or a format (`"csv"`, `"json"`,
    `"parquet"`, `"text"`, `"imagefolder"`, …) with `data_files=`: a path, address or pattern, a list, or
    {split: those}. `data_dir` is a folder within. Further options go to the format's reader.

    `split` may slice and add: `"train[:10%]"`, `"train[100:200]+test"`; a list gives a list. `features` says what the
    columns hold. `streaming=True` gives an IterableDataset, which reads while one goes through it. The data is
    converted once and memory-mapped from the cache (`cache_dir`, else HF_DATASETS_CACHE) ever after;
    `keep_in_memory=True` reads it into memory and leaves nothing there. `num_proc` files are read at a time.

    Raises DatasetNotFoundError, DataFilesNotFoundError, UnreachableHubError for what is not there or cannot be reached,
    UnknownNameError for a subset and UnknownKeyError for a split that is not among those there are, and
    DatasetGenerationError, naming file, line and column, for data that cannot be read.

    >>> load_dataset("csv", data_files="headlines.csv", split="train")  # doctest: +SKIP
    """
    if streaming and num_proc is not None:
        raise StreamInParallelError(
            "streaming=True reads while one goes through the rows, so num_proc= has nothing to do. A torch DataLoader "
            "with num_workers reads several files at a time."
        )
    if ignore_verifications != "deprecated":
        verification_mode = VerificationMode.NO_CHECKS if ignore_verifications else VerificationMode.ALL_CHECKS
    if task not in ("deprecated", None):
        _log.warning("task= has no effect: rename the columns with rename_columns.")
    if save_infos:
        _log.warning("save_infos= has no effect: push_to_hub writes what is known of a dataset into its card.")
    builder = _builder(
        path,
        name,
        data_dir,
        data_files,
        cache_dir,
        features,
        download_config,
        download_mode,
        revision,
        token,
        use_auth_token,
        storage_options,
        trust_remote_code,
        **options,
    )
    if streaming:
        return builder.as_streaming_dataset(split)
    if num_proc is not None and num_proc < 1:
        raise InputError(f"num_proc= must be a whole number above 0, not {num_proc}.")
    if keep_in_memory and not Path(builder.cache_dir).exists():
        builder.keep_nothing()
    made = builder.as_dataset(split, verification_mode, keep_in_memory, num_proc=num_proc)
    if keep_in_memory:
        builder.forget()
    return made


def load_dataset_builder(
    path: str | os.PathLike[str],
    name: str | None = None,
    data_dir: str | os.PathLike[str] | None = None,
    data_files: Any = None,
    cache_dir: str | os.PathLike[str] | None = None,
    features: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    revision: Any = None,
    token: str | bool | None = None,
    use_auth_token: Any = "deprecated",
    storage_options: dict[str, Any] | None = None,
    trust_remote_code: bool | None = None,
    **options: Any,
) -> DatasetBuilder:
    """What `load_dataset` would read, looked at without reading: `.info`, `.config`, `.name`, `.cache_dir`."""
    builder = _builder(
        path,
        name,
        data_dir,
        data_files,
        cache_dir,
        features,
        download_config,
        download_mode,
        revision,
        token,
        use_auth_token,
        storage_options,
        trust_remote_code,
        **options,
    )
    builder.note_local_files()
    return builder


def _builder(
    path: str | os.PathLike[str],
    name: str | None,
    data_dir: str | os.PathLike[str] | None,
    data_files: Any,
    cache_dir: str | os.PathLike[str] | None,
    features: Any,
    download_config: Any,
    download_mode: Any,
    revision: Any,
    token: str | bool | None,
    use_auth_token: Any,
    storage_options: dict[str, Any] | None,
    trust_remote_code: bool | None,
    **options: Any,
) -> DatasetBuilder:
    if use_auth_token not in ("deprecated", None) and token is None:
        token = use_auth_token
    if trust_remote_code:
        _log.warning("trust_remote_code=True has no effect: programs of others are never run.")
    if data_files is not None and not data_files:
        raise InputError(f"Empty 'data_files': {data_files!r}. It should be either non-empty or None (default).")
    config = download_config if download_config is not None else DownloadConfig()
    ignored = getattr(config, "without_effect", ())
    if ignored:
        _log.warning("of the DownloadConfig, %s have no effect.", ", ".join(ignored))
    token = token if token is not None else getattr(config, "token", None)
    mode = DownloadMode(download_mode) if download_mode is not None else None
    if getattr(config, "force_download", False):
        mode = DownloadMode.FORCE_REDOWNLOAD
    if mode is DownloadMode.FORCE_REDOWNLOAD:
        from madang.datasets import urls

        urls._fresh.clear()
    path, name = os.fspath(path), None if name is None else str(name)
    access = _access(config, token, storage_options, cache_dir)
    plan = _plan(path, name, data_dir, data_files, revision, cache_dir, dict(options), access)
    if features is not None:
        plan.features = features
    return DatasetBuilder(plan, cache_dir=cache_dir, mode=mode)


def _access(
    config: Any, token: str | bool | None, storage_options: dict[str, Any] | None, cache_dir: Any
) -> plans.Access:
    """How to come by files, of a DownloadConfig and what was said beside it."""
    beside = os.path.join(os.path.expanduser(cache_dir), "downloads") if cache_dir is not None else ""
    retries = getattr(config, "max_retries", DownloadConfig.max_retries)
    return plans.Access(
        token,
        storage_options or getattr(config, "storage_options", None) or {},
        str(getattr(config, "cache_dir", None) or beside),
        offline=bool(getattr(config, "local_files_only", False)),
        retries=None if retries == DownloadConfig.max_retries else retries,
        bar=not getattr(config, "disable_tqdm", False),
    )


def _plan(
    path: str,
    name: str | None,
    data_dir: Any,
    data_files: Any,
    revision: Any,
    cache_dir: Any,
    options: dict[str, Any],
    access: plans.Access,
) -> plans.Plan:
    expanded = os.path.expanduser(path)
    if path in FORMATS:
        return plans.of_format(path, name, data_dir, data_files, options, access)
    if os.path.isdir(expanded):
        return plans.of_folder(expanded, name, data_dir, data_files, options, access)
    if os.path.isfile(expanded):
        return plans.of_file(expanded, name, options)
    if path.startswith("hf://"):
        from madang.datasets.hub import split_address

        path, found, inner = split_address(path)
        revision, data_files = revision or found, inner or data_files
    elif path.startswith((".", "/", "~")) or path.count("/") > 1 or "\\" in path or "://" in path:
        raise DatasetNotFoundError(
            f"Couldn't find any data file at {os.path.abspath(path) if '://' not in path else path}: there is no such "
            f"folder or file. {_advice(path)}"
        )
    data_dir = os.fspath(data_dir) if data_dir is not None else None
    revision = str(revision) if revision is not None else None
    if "." in path and "/" not in path and path.rsplit(".", 1)[-1] in _endings():
        raise DatasetNotFoundError(f"Unable to find {path!r}: there is no such file. {_advice(path)}")

    def prepared(label: str) -> set[str]:
        root = Path(cache_dir) if cache_dir is not None else cache.root()
        folder = root / label
        return {entry.name.rsplit("-", 1)[0] for entry in folder.iterdir()} if folder.is_dir() else set()

    try:
        return plans.of_repository(path, name, data_dir, data_files, revision, options, access, prepared)
    except DatasetNotFoundError as error:
        close = nearest(path, FORMATS)
        if close:
            raise DatasetNotFoundError(f"{error} It is no format either.{close}") from error
        raise


def _endings() -> set[str]:
    return {ending for endings in FORMATS.values() for ending in endings}


def _advice(path: str) -> str:
    if "://" in path:
        return f"An address goes into data_files=: load_dataset('csv', data_files={path!r})."
    return "Datasets on a hub are named 'owner/name'."


class StreamInParallelError(InputError, NotImplementedError):
    """num_proc= for a stream."""


def from_files(
    cls: Any,
    format: str,  # noqa: A002
    paths: Any,
    *,
    split: Any = None,
    features: Any = None,
    cache_dir: str | os.PathLike[str] | None = None,
    keep_in_memory: bool | None = False,
    num_proc: int | None = None,
    storage_options: dict[str, Any] | None = None,
    **options: Any,
) -> Any:
    """One Dataset of files in a format: what `Dataset.from_csv` and its like do."""
    name = str(split) if split is not None else "train"
    files = None if format == "sql" else {name: paths}
    wanted = "train" if format == "sql" else name
    made = load_dataset(
        format,
        data_files=files,
        split=wanted,
        features=features,
        cache_dir=cache_dir,
        keep_in_memory=keep_in_memory,
        num_proc=num_proc,
        storage_options=storage_options,
        **options,
    )
    if cls is not type(made):
        made.__class__ = cls
    return made
