"""Datasets as folders: save_to_disk and load_from_disk.

    folder/data-00000-of-00002.arrow …   the rows, Arrow's stream format; read by mapping them into memory
    folder/state.json                    the names of these files, the split, the format, the fingerprint
    folder/dataset_info.json             features and what else is known
A DatasetDict is a folder with dataset_dict.json and one such folder per split. The datasets package reads and writes
the same.
"""

import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from madang import settings
from madang.client.names import is_inner_path
from madang.datasets.info import INFO_FILE, DatasetInfo, MissingInfoError
from madang.datasets.shards import embedded, shard_count, spans
from madang.errors import InputError, MadangError, WrongTypeError

if TYPE_CHECKING:
    from madang.datasets.dataset import Dataset
    from madang.datasets.dictionary import DatasetDict

STATE_FILE = "state.json"
SPLITS_FILE = "dataset_dict.json"
ROWS = 10_000  # rows that are in memory at a time while saving
Place = str | os.PathLike[str]
Options = Mapping[str, Any] | None


class OverwriteError(MadangError, PermissionError):
    """A dataset was to be saved over the files it is read from."""


# saving ---------------------------------------------------------------------------------------------------------------


def save(
    dataset: "Dataset",
    dataset_path: Place,
    max_shard_size: int | str | None = None,
    num_shards: int | None = None,
    num_proc: int | None = None,
    storage_options: Options = None,
) -> None:
    """Save a dataset as a folder of Arrow files of about `max_shard_size` ('500MB'), or `num_shards` of them.

    Rows are written in their order now (shuffled, filtered …), with the content of the files that images and sounds lie
    in. `num_proc` threads write that many files at a time. The folder appears when everything is written; an earlier
    one stays until then. Raises PermissionError (OverwriteError) when the rows are read from that very folder.
    """
    pieces = shard_count(dataset, max_shard_size, num_shards, num_proc)
    with _filled(dataset_path, dataset.cache_files, storage_options) as folder:
        _write(dataset, folder, pieces, num_proc or 1)


def save_dict(
    datasets: "DatasetDict",
    dataset_dict_path: Place,
    max_shard_size: int | str | None = None,
    num_shards: Mapping[str, int] | None = None,
    num_proc: int | None = None,
    storage_options: Options = None,
) -> None:
    """Save all splits as folders in one folder. `num_shards` is a dict of split -> number; the rest as for `save`."""
    if num_shards is not None and not isinstance(num_shards, Mapping):
        raise InputError(
            "Please provide one `num_shards` per dataset in the dataset dictionary, e.g. {'train': 128, 'test': 4}"
        )
    for name in datasets:
        if not is_inner_path(str(name)) or "/" in str(name):
            raise InputError(f"{name!r} cannot be the name of a split's folder.")
    counts = {
        name: shard_count(dataset, max_shard_size, (num_shards or {}).get(name), num_proc)
        for name, dataset in datasets.items()
    }
    sources = [file for dataset in datasets.values() for file in dataset.cache_files]
    with _filled(dataset_dict_path, sources, storage_options) as folder:
        (folder / SPLITS_FILE).write_text(json.dumps({"splits": [str(name) for name in datasets]}), encoding="utf-8")
        for name, dataset in datasets.items():
            (folder / str(name)).mkdir()
            _write(dataset, folder / str(name), counts[name], num_proc or 1)


def _write(dataset: "Dataset", folder: Path, pieces: int, threads: int) -> None:
    """All files of one dataset, into a folder that nobody reads yet."""
    state = _state(dataset, pieces)
    information = dataset.info.to_dict()
    files = [folder / file["filename"] for file in state["_data_files"]]
    runs = list(spans(len(dataset), pieces))
    if threads > 1 and pieces > 1:
        with ThreadPoolExecutor(min(threads, pieces)) as pool:
            list(pool.map(lambda file, run: _write_rows(dataset, file, *run), files, runs))
    else:
        for file, run in zip(files, runs, strict=True):
            _write_rows(dataset, file, *run)
    for name, content in ((STATE_FILE, dict(sorted(state.items()))), (INFO_FILE, dict(sorted(information.items())))):
        (folder / name).write_text(json.dumps(content, indent=2), encoding="utf-8")


def _write_rows(dataset: "Dataset", file: Path, start: int, stop: int) -> None:
    from madang.datasets.writer import ArrowWriter

    features = dataset.features
    with ArrowWriter(file, features) as writer:
        for table in dataset.select(range(start, stop)).arrow_batches(ROWS):
            writer.write_table(embedded(table, features))


def _state(dataset: "Dataset", pieces: int) -> dict[str, Any]:
    shown = dataset._format
    for name, value in dict(shown.options).items():
        try:
            json.dumps(value)
        except TypeError as error:
            raise WrongTypeError(
                f"{error}\nThe format kwargs must be JSON serializable, but key '{name}' isn't. Save the dataset "
                "without its format: dataset.with_format(None)."
            ) from None
    return {
        "_data_files": [{"filename": f"data-{number:05}-of-{pieces:05}.arrow"} for number in range(pieces)],
        "_fingerprint": dataset._fingerprint,
        "_format_columns": None if shown.columns is None else list(shown.columns),
        "_format_kwargs": dict(shown.options),
        "_format_type": shown.kind,
        "_output_all_columns": shown.others,
        "_split": None if dataset.split is None else str(dataset.split),
    }


@contextmanager
def _filled(target: Place, sources: list[dict[str, str]], storage_options: Options) -> Iterator[Path]:
    """An empty folder that becomes `target` when the block ends without an error; a URL is uploaded to then."""
    named = os.fspath(target)
    if _is_remote(named):
        import fsspec

        with tempfile.TemporaryDirectory(prefix="madang-save-") as folder:
            yield Path(folder)
            system, root = fsspec.core.url_to_fs(named, **(storage_options or {}))
            for file in sorted(path for path in Path(folder).rglob("*") if path.is_file()):
                there = f"{root.rstrip('/')}/{file.relative_to(folder).as_posix()}"
                system.makedirs(os.path.dirname(there), exist_ok=True)
                system.put_file(os.fspath(file), there)
            for name in (STATE_FILE, INFO_FILE, SPLITS_FILE):  # of a dataset of the other kind that was there
                there = f"{root.rstrip('/')}/{name}"
                if not (Path(folder) / name).exists() and system.exists(there):
                    system.rm_file(there)
        return
    path = _local(named).resolve()
    for source in sources:
        if path in Path(source["filename"]).resolve().parents:
            raise OverwriteError(
                f"Tried to overwrite {path} but a dataset can't overwrite itself: its rows are read from "
                "there. Save it to another folder."
            )
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".part", dir=path.parent) as aside:
        part = Path(aside) / "new"
        part.mkdir()
        yield part
        for file in part.rglob("*"):
            if file.is_file():
                with open(file, "rb") as opened:
                    os.fsync(opened.fileno())
        _swap(part, path, Path(aside) / "old")


def _swap(part: Path, path: Path, old: Path) -> None:
    """Put the folder `part` in the place of `path`. Files there that are none of a saved dataset stay."""
    if not path.exists():
        os.replace(part, path)
        return
    # a folder this process works in keeps its identity: only its files are replaced
    if path not in (Path.cwd(), *Path.cwd().parents) and all(_is_ours(entry) for entry in path.iterdir()):
        os.replace(path, old)
        os.replace(part, path)
        return
    for entry in [entry for entry in path.iterdir() if _is_ours(entry)]:
        old.mkdir(exist_ok=True)
        os.replace(entry, old / entry.name)
    # what makes the folder a dataset comes last
    for entry in sorted(part.iterdir(), key=lambda entry: entry.name in (STATE_FILE, SPLITS_FILE)):
        if (path / entry.name).exists():
            raise InputError(f"{path / entry.name} is in the way, and is no dataset that was saved before: move it.")
        os.replace(entry, path / entry.name)


def _is_ours(entry: Path) -> bool:
    """Whether a saved dataset may have left this: its files, results kept beside them, folders of splits."""
    if entry.is_dir() and not entry.is_symlink():
        inside = {inner.name for inner in entry.iterdir()}
        return {STATE_FILE, INFO_FILE} <= inside and all(_is_ours(inner) for inner in entry.iterdir())
    if entry.name in (STATE_FILE, INFO_FILE, SPLITS_FILE):
        return True
    return entry.name.startswith(("data-", "cache-", "dataset.arrow")) and entry.name.endswith(".arrow")


# loading --------------------------------------------------------------------------------------------------------------


def load_from_disk(
    dataset_path: Place, keep_in_memory: bool | None = None, storage_options: Options = None
) -> "Dataset | DatasetDict":
    """The Dataset or DatasetDict that was saved to a folder (or a URL), its rows mapped into memory from there.

    `keep_in_memory=True` reads them at once, for folders that will go away. Raises FileNotFoundError when there is no
    such folder or nothing was saved to it.
    """
    folder = _fetched(dataset_path, storage_options)
    if not folder.exists():
        raise MissingInfoError(f"Directory {os.fspath(dataset_path)} not found")
    if (folder / INFO_FILE).is_file() and (folder / STATE_FILE).is_file():
        return _dataset(folder, keep_in_memory)
    if (folder / SPLITS_FILE).is_file():
        return _dictionary(folder, keep_in_memory)
    advice = ""
    if folder.is_dir() and any(entry.suffix in (".csv", ".json", ".jsonl", ".parquet") for entry in folder.iterdir()):
        advice = f" It holds data files: load_dataset({os.fspath(dataset_path)!r}) reads these."
    raise MissingInfoError(
        f"Directory {os.fspath(dataset_path)} is neither a `Dataset` directory nor a `DatasetDict` directory.{advice}"
    )


def load_one_from_disk(
    dataset_path: Place, keep_in_memory: bool | None = None, storage_options: Options = None
) -> "Dataset":
    """The Dataset in a folder: `Dataset.load_from_disk`. A folder with splits is refused."""
    folder = _fetched(dataset_path, storage_options)
    missing = [name for name in (INFO_FILE, STATE_FILE) if not (folder / name).is_file()]
    if missing:
        said = f"No such file: {', nor '.join(repr(os.fspath(folder / name)) for name in missing)}. Expected to load a "
        if (folder / SPLITS_FILE).is_file():
            raise MissingInfoError(
                f"{said}`Dataset` object, but got a `DatasetDict`. Please use either `load_from_disk` or "
                "`DatasetDict.load_from_disk` instead."
            )
        raise MissingInfoError(f"{said}`Dataset` object but provided path is not a `Dataset`.")
    return _dataset(folder, keep_in_memory)


def load_dict_from_disk(
    dataset_dict_path: Place, keep_in_memory: bool | None = None, storage_options: Options = None
) -> "DatasetDict":
    """The DatasetDict in a folder: `DatasetDict.load_from_disk`. A folder with one dataset is refused."""
    folder = _fetched(dataset_dict_path, storage_options)
    if not (folder / SPLITS_FILE).is_file():
        said = f"No such file: {os.fspath(folder / SPLITS_FILE)!r}. Expected to load a `DatasetDict` object, but "
        if (folder / INFO_FILE).is_file() and (folder / STATE_FILE).is_file():
            raise MissingInfoError(
                f"{said}got a `Dataset`. Please use either `load_from_disk` or `Dataset.load_from_disk` instead."
            )
        raise MissingInfoError(f"{said}provided path is not a `DatasetDict`.")
    return _dictionary(folder, keep_in_memory)


def _dictionary(folder: Path, keep_in_memory: bool | None) -> "DatasetDict":
    from madang.datasets.dictionary import DatasetDict

    names = _read(folder / SPLITS_FILE).get("splits", [])
    for name in names:
        if not isinstance(name, str) or not is_inner_path(name):
            raise InputError(f"{folder / SPLITS_FILE} names a split outside its folder: {name!r}.")
    return DatasetDict({name: load_one_from_disk(folder / name, keep_in_memory) for name in names})


def _dataset(folder: Path, keep_in_memory: bool | None) -> "Dataset":
    from madang.datasets.dataset import Dataset

    state, information = _read(folder / STATE_FILE), DatasetInfo.from_dict(_read(folder / INFO_FILE))
    if state.get("_indices_data_files") or state.get("_indices_files"):
        raise InputError(
            f"{folder} was saved by an early release of the datasets package, with its rows chosen by a further file. "
            "Load and save it with release 2 of that package."
        )
    files = [folder / _inner(file["filename"], folder) for file in state.get("_data_files") or []]
    for file in files:
        if not file.is_file():
            raise MissingInfoError(f"{folder} is not complete: {STATE_FILE} names {file.name}, which is not there.")
    if keep_in_memory is None:
        keep_in_memory = 0 < sum(file.stat().st_size for file in files) < settings.datasets_in_memory_limit()
    known: dict[str, Any] = {"split": state.get("_split"), "info": information}
    if not files or keep_in_memory:
        import pyarrow as pa

        from madang.datasets.memory_map import open_arrow

        schema = information.features.arrow_schema if information.features is not None else pa.schema([])
        tables = [open_arrow(file, in_memory=True) for file in files] or [schema.empty_table()]
        made = Dataset(pa.concat_tables(tables), fingerprint=state.get("_fingerprint"), **known)
    else:
        known["features"] = information.features
        made = Dataset._from_arrow_files(files, fingerprint=state.get("_fingerprint"), **known)
    if state.get("_format_type") is None and state.get("_format_columns") is None:
        return made
    return made.with_format(
        state.get("_format_type"),
        columns=state.get("_format_columns"),
        output_all_columns=bool(state.get("_output_all_columns")),
        **(state.get("_format_kwargs") or {}),
    )


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InputError(f"{path} is no JSON file ({error}); save the dataset again.") from error
    if not isinstance(found, dict):
        raise InputError(f"{path} holds {type(found).__name__}, not a JSON object; save the dataset again.")
    return found


def _inner(name: Any, folder: Path) -> str:
    """The name of a file, when it lies in the folder: these files come from others."""
    if not isinstance(name, str) or not is_inner_path(name):
        raise InputError(f"{folder / STATE_FILE} names a file outside its folder: {name!r}.")
    return name


def _is_remote(named: str) -> bool:
    return "://" in named and not named.startswith("file://")


def _local(named: str) -> Path:
    return Path(named.removeprefix("file://")).expanduser()


def _fetched(place: Place, storage_options: Options) -> Path:
    """The folder itself, or a copy of a remote one, which lasts as long as this process."""
    named = os.fspath(place)
    if not _is_remote(named):
        return _local(named)
    import atexit

    import fsspec

    system, root = fsspec.core.url_to_fs(named, **(storage_options or {}))
    if not system.exists(root):
        raise MissingInfoError(f"Directory {named} not found")
    folder = Path(tempfile.mkdtemp(prefix="madang-load-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    root = root.rstrip("/")
    for file in system.find(root):
        inner = file.removeprefix(root).lstrip("/")
        if not is_inner_path(inner):
            raise InputError(f"{named} holds a file whose name leads out of it: {inner!r}.")
        (folder / inner).parent.mkdir(parents=True, exist_ok=True)
        system.get_file(file, os.fspath(folder / inner))
    return folder
