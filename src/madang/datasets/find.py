"""Which files belong to which split, and what format they are in."""

import glob
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from madang.datasets.readers import FORMATS
from madang.errors import InputError, MissingFileError

# words in the name of a folder or file that say for what it is
KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_ENDINGS = {ending: name for name, endings in FORMATS.items() for ending in endings}
_NO_DATA = {
    "README.md",
    "config.json",
    "dataset_info.json",
    "dataset_infos.json",
    "dataset_dict.json",
    "LICENSE.txt",
    "requirements.txt",
}
_SHARD = re.compile(r"^(\w+(?:\.\w+)*)-\d{5}-of-\d{5}.*\..+$")

Given = str | os.PathLike[str] | Sequence[str | os.PathLike[str]]


def named_files(
    data_files: Given | Mapping[str, Given], folder: str | os.PathLike[str] | None = None
) -> dict[str, list[str]]:
    """Split name -> paths, from `data_files`: paths or patterns, perhaps by split; without one they are `train`."""
    by_split = data_files if isinstance(data_files, Mapping) else {"train": data_files}
    return {str(split): _expand(given, folder) for split, given in by_split.items()}


def _expand(given: Given, folder: str | os.PathLike[str] | None) -> list[str]:
    patterns = [given] if isinstance(given, (str, os.PathLike)) else list(given)
    found = []
    for pattern in patterns:
        text = os.fspath(pattern)
        if "://" in text:
            raise InputError(f"{text!r}: this version reads files on this machine only. Download it first.")
        text = os.path.join(folder, text) if folder is not None else os.path.expanduser(text)
        if os.path.exists(text) or not glob.has_magic(text):
            found.append(text)  # a file that is not there is reported when it is read
            continue
        matches = sorted(match for match in glob.glob(text, recursive=True) if os.path.isfile(match))
        if not matches:
            raise MissingFileError(f"Couldn't find any data file at {os.path.abspath(text)}")
        found += matches
    return found


def folder_files(folder: Path) -> dict[str, list[str]]:
    """Split name -> paths of the data files in a folder, told apart by the names of files and folders."""
    files = [path for path in sorted(folder.rglob("*")) if _is_data(path.relative_to(folder)) and path.is_file()]
    if not files:
        raise MissingFileError(f"Couldn't find any data file at {folder}: none ends in {', '.join(sorted(_ENDINGS))}.")
    for rule in (_by_shard_name, _by_folder_name, _by_file_name):
        splits: dict[str, list[str]] = {}
        for path in files:
            split = rule(path.relative_to(folder))
            if split is not None:
                splits.setdefault(split, []).append(str(path))
        if splits:
            order = [*(name for name in KEYWORDS if name in splits), *sorted(set(splits) - set(KEYWORDS))]
            return {name: splits[name] for name in order}
    return {"train": [str(path) for path in files]}


def format_of(paths: Sequence[str]) -> str:
    """The most frequent format among the endings of `paths`."""
    counted = Counter(_ENDINGS[ending] for path in paths if (ending := Path(path).suffix[1:].lower()) in _ENDINGS)
    if not counted:
        raise InputError(
            f"the format of {paths[0]} is not known by its ending; known endings: {', '.join(sorted(_ENDINGS))}."
        )
    return counted.most_common(1)[0][0]


def _is_data(path: Path) -> bool:
    hidden = any(part.startswith(".") or part.startswith("__") for part in path.parts)
    return not hidden and path.name not in _NO_DATA and path.suffix[1:].lower() in _ENDINGS


def _by_shard_name(path: Path) -> str | None:
    match = _SHARD.match(path.name)
    return match.group(1) if match and path.parent.name == "data" else None


def _by_folder_name(path: Path) -> str | None:
    return next((split for part in path.parts[:-1] if (split := _keyword(part))), None)


def _by_file_name(path: Path) -> str | None:
    return _keyword(path.stem)


def _keyword(name: str) -> str | None:
    words = re.split(r"[-._ 0-9]+", name.lower())
    return next((split for split, keys in KEYWORDS.items() if any(key in words for key in keys)), None)
