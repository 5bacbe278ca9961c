"""Which files belong to which split, and what format they are in. All by names, wherever the files lie."""

import os
import posixpath
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from madang.datasets.readers import FORMATS
from madang.datasets.readers.files import DataFile, is_tar, is_zip, members
from madang.datasets.splits import NAME
from madang.errors import DataFilesNotFoundError, InputError, WrongTypeError

# words in the name of a folder or file that say for what it is
KEYWORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test", "testing", "eval", "evaluation"),
}
_ENDINGS = {ending: name for name, endings in FORMATS.items() for ending in endings}
# of formats that as many files have, the first is taken
_FAVOURITES = ("parquet", "arrow", "jsonl", "json", "csv")
_NEVER_DATA = frozenset((
    "README.md", "config.json", "dataset_info.json", "dataset_infos.json", "dummy_data.zip", "dataset_dict.json",
    "state.json",
))  # fmt: skip
_RARELY_DATA = frozenset(("LICENSE.txt", "LICENCE.txt", "requirements.txt"))
_METADATA = frozenset(("metadata.csv", "metadata.jsonl", "metadata.parquet"))
_SHARD = re.compile(r"data/([^/]*)-\d{5}-of-\d{5}[^/]*\.[^/]*")
_MAGIC = re.compile(r"[*?\[]")
_ANY, _NOTHING = re.compile(".*", re.DOTALL), re.compile("(?!)")

Given = Any  # a path or pattern, a list of them, {split: those}, or a list of {"split": …, "path": …}


def by_split(data_files: Given) -> dict[str, list[str]]:
    """Split name -> paths and patterns, from any of the ways to write `data_files`; without a split it is `train`."""
    if isinstance(data_files, Mapping):
        return {str(split): _paths(paths) for split, paths in data_files.items()}
    if isinstance(data_files, (list, tuple)) and any(isinstance(entry, Mapping) for entry in data_files):
        found: dict[str, list[str]] = {}
        for entry in data_files:
            if not isinstance(entry, Mapping) or set(entry) != {"split", "path"}:
                raise InputError(
                    "an entry of data_files is a mapping {'split': <name>, 'path': <path or list of paths>}, "
                    f"not {entry!r}."
                )
            if str(entry["split"]) in found:
                raise InputError(f"Some splits are duplicated in data_files: {entry['split']!r}.")
            found[str(entry["split"])] = _paths(entry["path"])
        return found
    return {"train": _paths(data_files)}


def _paths(given: Any) -> list[str]:
    if isinstance(given, (str, os.PathLike)):
        return [os.fspath(given)]
    if not isinstance(given, Iterable):
        raise WrongTypeError(f"data_files= takes paths, not {type(given).__name__}.")
    return [os.fspath(path) for path in given]


def has_magic(pattern: str) -> bool:
    """Whether `pattern` stands for several files."""
    return _MAGIC.search(pattern) is not None


def matching(pattern: str, names: Iterable[str]) -> list[str]:
    """Those of `names` (paths with `/`) that fit: `*` and `?` stay inside a folder, `**` goes through all below.

    Hidden files, folders that begin with `__` and files that describe a dataset need to be named.
    """
    parts = [None if part == "**" else _part(part, pattern) for part in pattern.split("/")]
    if parts[-1] is None:
        parts.append(_ANY)
    fixed = pattern.rsplit("/", 1)[-1]
    special = _special(pattern)
    return sorted(
        name
        for name in names
        if _fits(name.split("/"), parts)
        and _special(name) == special
        and (posixpath.basename(name) not in _NEVER_DATA or posixpath.basename(name) == fixed)
    )


def _special(path: str) -> tuple[int, int]:
    """How many hidden parts and how many folders beginning with `__` a path names."""
    parts = [part for part in path.split("/") if part.strip(".")]
    return sum(part.startswith(".") for part in parts), sum(part.startswith("__") for part in parts[:-1])


def _fits(names: Sequence[str], parts: Sequence[re.Pattern[str] | None]) -> bool:
    """Whether the parts of a path fit those of a pattern, of which None stands for any number of folders.

    Only the last None is ever tried again, with one folder more, so that no pattern takes long.
    """
    name = part = 0
    again: tuple[int, int] | None = None
    while name < len(names):
        wanted = parts[part] if part < len(parts) else _NOTHING
        if wanted is None:
            part += 1
            again = (name, part)
        elif wanted.fullmatch(names[name]):
            name, part = name + 1, part + 1
        elif again is not None:
            again = (again[0] + 1, again[1])
            name, part = again
        else:
            return False
    return part == len(parts)


def _part(part: str, pattern: str) -> re.Pattern[str]:
    """One part of a pattern, between slashes."""
    fixed = [""]  # what stands between the stars
    for token in re.findall(r"\*+|\?|\[[!^]?\]?[^\]]*\]|.", part, re.DOTALL):
        if token[0] == "*":
            fixed.append("")
        elif token == "?":
            fixed[-1] += "."
        elif token[0] == "[" and len(token) > 1:
            inside = re.sub(r"([\\\[&~|])", r"\\\1", token[1:-1])
            fixed[-1] += "[" + ("^" + inside[1:] if inside[:1] in ("!", "^") else inside) + "]"
        else:
            fixed[-1] += re.escape(token)
    first, *middle = fixed
    last = ".*" + middle.pop() if middle else ""
    try:
        # a star takes no more than it must, and is not asked again: with many of them that would take ages
        return re.compile(first + "".join(f"(?>.*?{one})" for one in middle) + last, re.DOTALL)
    except re.error as error:
        raise InputError(f"{pattern!r} is no pattern: what is in its brackets cannot be ({error}).") from error


def inferred(names: Sequence[str]) -> dict[str, list[str]]:
    """Split name -> those of `names` that belong to it, told by the names of folders and files.

    First `data/<split>-00000-of-00001…`, for any split; then folders, then files whose name has a word like `train`,
    `dev` or `test`; else everything is `train`.
    """
    shards: dict[str, list[str]] = {}
    data = [name for name in matching("**", names) if posixpath.basename(name) not in _RARELY_DATA]
    for name in data:
        match = _SHARD.fullmatch(name)
        if match is not None:
            shards.setdefault(match[1], []).append(name)
    wrong = [split for split in shards if not NAME.fullmatch(split)]
    if wrong:
        raise InputError(f"Split name should match '{NAME.pattern}' but got {wrong[0]!r} from {shards[wrong[0]][0]}.")
    if shards:
        return _ordered(shards)
    data = [name for name in data if _suffix(name) is not None]
    rules: tuple[Callable[[str], str | None], ...] = (_by_folder, _by_file)
    for rule in rules:
        splits: dict[str, list[str]] = {}
        for name in data:
            split = rule(name)
            if split is not None:
                splits.setdefault(split, []).append(name)
        if splits:
            return _ordered(splits)
    return {"train": data} if data else {}


def _ordered(splits: dict[str, list[str]]) -> dict[str, list[str]]:
    order = [*(name for name in KEYWORDS if name in splits), *sorted(set(splits) - set(KEYWORDS))]
    return {name: splits[name] for name in order}


def _by_folder(name: str) -> str | None:
    return next((split for part in name.split("/")[:-1] if (split := _keyword(part))), None)


def _by_file(name: str) -> str | None:
    return _keyword(posixpath.basename(name))


def _keyword(name: str) -> str | None:
    words = set(re.split(r"[-._ 0-9]+", name.lower()))
    return next((split for split, keys in KEYWORDS.items() if words.intersection(keys)), None)


def format_of(splits: Mapping[str, Sequence[DataFile]], where: str) -> str:
    """The format that most files of each split have, by their endings; of an archive, by the files in it.

    Raises InputError when the splits differ, DataFilesNotFoundError when no ending is known.
    """
    found = {split: _most(files) for split, files in splits.items() if files}
    if len(set(found.values())) > 1:
        raise InputError(f"Couldn't infer the same data file format for all splits. Got {found} in {where}.")
    kind = next(iter(found.values()), None)
    if kind is None:
        raise DataFilesNotFoundError(
            f"No (supported) data files found in {where}. The endings that are known: {', '.join(sorted(_ENDINGS))}."
        )
    return kind


def _most(files: Sequence[DataFile]) -> str | None:
    plain = [file for file in files if _base(file) not in _METADATA] or files
    counted = Counter(suffix for file in plain for suffix in file.suffixes)
    favour = {name: -place for place, name in enumerate(_FAVOURITES)}
    for suffix, _ in sorted(counted.items(), key=lambda one: (one[1], favour.get(one[0], -99), one[0]), reverse=True):
        if suffix == "zip" or (suffix == "tar" and any(part in PACKED_TARS for part in counted)):
            return _most([file for archive in plain[:10] if is_archive(archive) for file in members(archive)])
        if suffix in _ENDINGS:
            return _ENDINGS[suffix]
    return None


PACKED_TARS = ("gz", "bz2", "xz")


def is_archive(file: DataFile) -> bool:
    """Whether it holds files to be read as if they lay in a folder."""
    return is_zip(file) or is_tar(file)


def opened(files: Iterable[DataFile], kind: str) -> list[DataFile]:
    """The same with archives replaced by the files in them, but for formats that read archives themselves."""
    found: list[DataFile] = []
    for file in files:
        if is_archive(file) and not (kind == "webdataset" and is_tar(file)):
            found += members(file)
        else:
            found.append(file)
    return found


def of_format(files: Iterable[DataFile], kind: str) -> list[DataFile]:
    """Those of the files that a reader of this format takes; for files that were found and not named."""
    endings = set(FORMATS[kind])
    with_metadata = kind in ("imagefolder", "audiofolder")
    return [
        file
        for file in files
        if endings.intersection(file.suffixes) or is_archive(file) or (with_metadata and _base(file) in _METADATA)
    ]


def _base(file: DataFile) -> str:
    return re.split(r"[/\\]", file.name.split("::")[0])[-1]


def _suffix(name: str) -> str | None:
    """The ending that is known, or None for what is no data."""
    suffixes = posixpath.basename(name).lower().split(".")[1:]
    return next((s for s in suffixes if s in _ENDINGS or s in ("zip", "tar", "tgz")), None)


def local_names(folder: str, *, stay: bool = False) -> list[str]:
    """The files below a folder, as paths relative to it with `/`. Of links to the same folder one is followed, and with
    `stay` none that leads out of `folder`."""
    found = []
    seen: set[str] = set()
    waiting = [folder]
    while waiting:
        start = waiting.pop(0)
        for at, folders, names in os.walk(start):
            if os.path.realpath(at) in seen:
                folders.clear()
                continue
            seen.add(os.path.realpath(at))
            links = [os.path.join(at, name) for name in sorted(folders) if os.path.islink(os.path.join(at, name))]
            waiting += [link for link in links if not stay or is_inside(link, folder)]
            inner = os.path.relpath(at, folder).replace(os.sep, "/")
            found += [name if inner == "." else f"{inner}/{name}" for name in names]
    return found


def is_inside(path: str, folder: str) -> bool:
    """Whether a path leads into a folder, once all links are followed."""
    real, root = os.path.realpath(path), os.path.realpath(folder)
    return os.path.commonpath([real, root]) == root


def local_files(pattern: str, folder: str | None = None) -> list[DataFile]:
    """The files on this machine that a path or a pattern means, relative to `folder`."""
    text = os.path.expanduser(pattern)
    path = os.path.normpath(os.path.join(folder or "", text)) if folder else os.path.normpath(text)
    path = os.path.abspath(path)
    if os.path.isfile(path):
        return [DataFile(path)]
    if not has_magic(text):
        if os.path.isdir(path):
            names = [name for name in matching("**", local_names(path)) if _suffix(name)]
            return [DataFile(os.path.join(path, *name.split("/"))) for name in names]
        DataFile(path).existing()
    posix = path.replace(os.sep, "/")
    start = posix[: _MAGIC.search(posix).start()].rsplit("/", 1)[0] or "/"  # type: ignore[union-attr]
    if not os.path.isdir(start):
        raise DataFilesNotFoundError(f"Couldn't find any data file at {path}: there is no folder {start}.")
    inner = posix[len(start.rstrip("/")) + 1 :]
    names = matching(inner, local_names(start) if "/" in inner or "**" in inner else _entries(start))
    if not names:
        raise DataFilesNotFoundError(f"Couldn't find any data file at {path}: no file fits.")
    return [DataFile(os.path.join(start, *name.split("/"))) for name in names]


def _entries(folder: str) -> list[str]:
    return [entry.name for entry in os.scandir(folder) if entry.is_file()]
