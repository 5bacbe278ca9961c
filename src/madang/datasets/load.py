"""A dataset in one line, from files on this machine."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from madang.datasets import find
from madang.datasets.combine import concatenate_datasets
from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.features import Features
from madang.datasets.readers import FORMATS, reader
from madang.errors import InputError, MissingFileError, UnknownKeyError, nearest

_PART = re.compile(r"^\s*([\w.-]+)\s*(?:\[\s*(-?\d+%?)?\s*:\s*(-?\d+%?)?\s*\])?\s*$")


def load_dataset(
    path: str | os.PathLike[str],
    name: str | None = None,
    *,
    data_files: Any = None,
    data_dir: str | os.PathLike[str] | None = None,
    split: str | None = None,
    features: Features | None = None,
    **options: Any,
) -> Any:
    """A DatasetDict of all splits, or the Dataset of one `split`.

    `path` is a format (`"csv"`, `"json"`, `"parquet"`, `"text"`, with `data_files=`: a path or pattern, a list, or
    {split: those}), a file, or a folder whose files are told apart by their names (`train.csv`, `test.csv`, …).
    `split` may slice and add: `"train[:10%]"`, `"train[100:200]+test"`. Further options go to the format's reader.

    >>> load_dataset("csv", data_files="headlines.csv", split="train")  # doctest: +SKIP
    """
    path = os.fspath(path)
    format_name, files = _locate(path, name, data_files, data_dir)
    read = reader(format_name)
    if split is not None:
        needed = {match.group(1) for match in map(_PART.match, split.split("+")) if match}
        files = {key: paths for key, paths in files.items() if key in needed} or files
    splits = DatasetDict()
    for key, paths in files.items():
        made = Dataset(read(paths, **options), split=key)
        splits[key] = made if features is None else made.cast(features)
    return splits if split is None else _choose(splits, split)


def _locate(path: str, name: str | None, data_files: Any, data_dir: Any) -> tuple[str, dict[str, list[str]]]:
    """The format and the files of each split."""
    if path in FORMATS:
        if name is not None:
            raise InputError(f"the format {path!r} has no subset {name!r}; files are given as data_files=.")
        if data_files is None and data_dir is None:
            raise InputError(
                f"load_dataset({path!r}) needs data_files=, the file(s) to read, or data_dir=, their folder."
            )
        return path, find.folder_files(Path(data_dir)) if data_files is None else find.named_files(data_files, data_dir)
    if os.path.isfile(path):
        return find.format_of([path]), {"train": [path]}
    if os.path.isdir(path):
        folder = Path(path) / data_dir if data_dir is not None else Path(path)
        files = find.folder_files(folder) if data_files is None else find.named_files(data_files, folder)
        return find.format_of([name for names in files.values() for name in names]), files
    raise MissingFileError(
        f"{path!r} is neither a file or folder here nor a format ({', '.join(FORMATS)}).{nearest(path, FORMATS)} "
        "This version reads local files only; datasets on a hub have to be downloaded first."
    )


def _choose(splits: Mapping[str, Dataset], wanted: str) -> Dataset:
    """The rows that `train`, `train[:10%]`, `train[100:]+test` … mean. Percents are rounded to the nearest row."""
    parts = []
    for part in wanted.split("+"):
        match = _PART.match(part)
        if match is None:
            raise InputError(
                f"split={wanted!r}: write a split's name, perhaps with rows: 'train', 'train[:100]', 'train[10%:20%]'."
            )
        key, start, stop = match.groups()
        if key not in splits:
            raise UnknownKeyError(f"Unknown split {key!r}. Should be one of {list(splits)}.{nearest(key, splits)}")
        dataset = splits[key]
        if start is not None or stop is not None:
            total = len(dataset)
            rows = range(*slice(_row(start, total), _row(stop, total)).indices(total))
            dataset = dataset.select(rows)
        parts.append(dataset)
    chosen = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
    chosen.split = wanted
    return chosen


def _row(text: str | None, total: int) -> int | None:
    if text is None:
        return None
    return round(float(text[:-1]) / 100 * total) if text.endswith("%") else int(text)
