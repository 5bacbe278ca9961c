"""What the card of a repository says of its subsets, and how that changes when rows are pushed or deleted."""

import copy
import glob
import json
import posixpath
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from madang.datasets.features import Features
from madang.datasets.find import has_magic, matching
from madang.datasets.info import CARD_FILE, DEFAULT_CONFIG, DatasetInfo, DatasetInfosDict, SplitDict, SplitInfo
from madang.errors import InputError

SHARD = re.compile(r"(?P<split>\w+(?:\.\w+)*)-\d{5}-of-\d{5}[^/]*\.parquet")


@dataclass(frozen=True)
class Pushed:
    """What goes into one subset: splits and the bytes of their files, in which folder, with which features."""

    config_name: str
    data_dir: str
    features: Features
    splits: Sequence[SplitInfo]
    file_bytes: Sequence[int]
    # whether the subset has these splits only from now on
    replaces: bool
    set_default: bool | None = None


@dataclass(frozen=True)
class Before:
    """What was in the repository: its card's YAML, its dataset_infos.json, the files of the subset and of `data/`."""

    metadata: Mapping[str, Any]
    old_infos: Mapping[str, Any] | None
    sizes: Mapping[str, int]
    data_files: Iterable[str] = ()


def with_subset(before: Before, pushed: Pushed) -> dict[str, Any]:
    """The YAML of the card with a pushed subset in it. Everything else in it stays as it is.

    Raises InputError when the other splits of the subset have other features, or when there can be no new default.
    """
    metadata = copy.deepcopy(dict(before.metadata))
    configs = _configs(metadata)
    if not configs and (splits := _unlisted_splits(before.data_files)):
        # pushed by a release that wrote no configs: without an entry, these files would vanish behind the new one
        configs = [_entry(DEFAULT_CONFIG, {split: [f"data/{split}-*"] for split in splits})]
    entry = next((one for one in configs if one.get("config_name") == pushed.config_name), None)
    files = {} if entry is None or pushed.replaces else _by_split(entry.get("data_files"))
    files |= {split.name: [f"{pushed.data_dir}/{split.name}-*"] for split in pushed.splits}
    if entry is None:
        configs.append(entry := {"config_name": pushed.config_name})
    entry["data_files"] = _entry(pushed.config_name, files)["data_files"]
    if pushed.set_default and pushed.config_name != DEFAULT_CONFIG:
        _make_default(configs, entry)
    metadata = DatasetInfosDict({pushed.config_name: new_info(before, pushed)}).into_card(metadata)
    return {**metadata, "configs": configs}


def new_info(before: Before, pushed: Pushed) -> DatasetInfo:
    """The subset's info: that of before with the pushed splits in it, or of these alone."""
    known = DatasetInfosDict.from_card(before.metadata).get(pushed.config_name)
    if known is None and before.old_infos and pushed.config_name in before.old_infos:
        known = DatasetInfo.from_dict(before.old_infos[pushed.config_name])
    info = DatasetInfo(config_name=pushed.config_name, splits=SplitDict(), download_size=0, dataset_size=0)
    if known is not None and not pushed.replaces:
        info = known.copy()
        info.splits = info.splits or SplitDict()
    assert info.splits is not None
    new = {split.name for split in pushed.splits}
    others = [name for name in info.splits if name not in new]
    if others and info.features is not None and info.features != pushed.features:
        raise InputError(
            "Features of the new split don't match the features of the existing splits on the hub "
            f"({', '.join(others)}): {pushed.features} != {info.features}"
        )
    gone = sum(size for path, size in before.sizes.items() if split_of(path, pushed.data_dir) in new)
    info.features, info.download_checksums = pushed.features, None
    info.download_size = max(0, (info.download_size or 0) - (0 if pushed.replaces else gone)) + sum(pushed.file_bytes)
    for split in pushed.splits:
        info.splits.pop(split.name, None)
        info.splits.add(split)
    info.dataset_size = sum(split.num_bytes for split in info.splits.values())
    info.size_in_bytes = info.download_size + info.dataset_size
    return info


def new_old_infos(before: Before, pushed: Pushed) -> str | None:
    """dataset_infos.json, when there was one that names the subset: what reads it must not see old sizes."""
    if not before.old_infos or pushed.config_name not in before.old_infos:
        return None
    return json.dumps({**before.old_infos, pushed.config_name: new_info(before, pushed).to_dict()})


def without_subset(before: Mapping[str, Any], config_name: str) -> dict[str, Any]:
    """The YAML of the card without one subset."""
    metadata = copy.deepcopy(dict(before))
    if config_name in metadata.get("config_names", []):
        metadata["config_names"].remove(config_name)
    infos: Any = metadata.pop("dataset_info", None)
    infos = [infos] if isinstance(infos, Mapping) else infos or []
    left = {
        "configs": [one for one in _configs(metadata) if one.get("config_name") != config_name],
        "dataset_info": [one for one in infos if one.get("config_name", DEFAULT_CONFIG) != config_name],
    }
    metadata.pop("configs", None)
    if len(left["dataset_info"]) == 1:
        left["dataset_info"] = left["dataset_info"][0]
    return {**metadata, **{name: value for name, value in left.items() if value}}


def files_of(metadata: Mapping[str, Any], config_name: str, files: Iterable[str]) -> list[str]:
    """Those of `files` that the card counts to a subset and to no other: no card, no hidden files.

    A subset of which the card names neither files nor a folder is the folder of its name.
    """
    files = [
        path for path in files if path != CARD_FILE and not any(part[0] == "." for part in path.split("/") if part)
    ]
    configs = _configs(metadata)
    others = [one for one in configs if one["config_name"] != config_name]
    entry = next((one for one in configs if one["config_name"] == config_name), {"config_name": config_name})
    claimed = {path for one in others for path in _claimed(one, files)}
    return [path for path in _claimed(entry, files) if path not in claimed]


def _claimed(entry: Mapping[str, Any], files: Sequence[str]) -> list[str]:
    """Those of `files` that an entry of the card stands for."""
    folder = _inside(str(entry.get("data_dir") or ""))
    patterns = [_inside(pattern) for some in _by_split(entry.get("data_files")).values() for pattern in some]
    if not patterns:
        folder, patterns = folder or str(entry["config_name"]), ["**"]
    start = f"{glob.escape(folder)}/" if folder else ""
    found = {
        path
        for pattern in patterns
        for wanted in ([pattern] if has_magic(pattern) else [pattern, f"{pattern}/**"])
        for path in matching(start + wanted, files)
    }
    return sorted(found)


def _inside(path: str) -> str:
    """A path in a repository without what says nothing: ./data/ -> data."""
    return posixpath.normpath(path).strip("/") if path.strip("./") else ""


def config_names(metadata: Mapping[str, Any]) -> list[str]:
    """The subsets that the card names."""
    return [str(one.get("config_name")) for one in _configs(metadata)]


def split_of(path: str, data_dir: str) -> str | None:
    """The split that a file in the subset's folder is a shard of, by its name."""
    folder, _, name = path.rpartition("/")
    found = re.match(r"(\w+(?:\.\w+)*)-", name) if folder == data_dir else None
    return found[1] if found else None


def _configs(metadata: Mapping[str, Any]) -> list[dict[str, Any]]:
    configs = metadata.get("configs") or []
    if isinstance(configs, list) and all(isinstance(one, str) for one in configs):
        return []  # names alone, as cards of scripts had them
    if not isinstance(configs, list) or not all(isinstance(one, Mapping) and "config_name" in one for one in configs):
        raise InputError(
            "`configs` in the card of the repository must be a list of mappings, each with a `config_name`, but it is "
            f"{configs!r}. Correct README.md there first."
        )
    return [dict(one) for one in configs]


def _entry(config_name: str, files: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    listed = [{"split": split, "path": paths[0] if len(paths) == 1 else list(paths)} for split, paths in files.items()]
    return {"config_name": config_name, "data_files": listed}


def _by_split(data_files: Any) -> dict[str, list[str]]:
    """`data_files` of a config in any of its spellings, as split -> patterns."""
    if data_files is None:
        return {}
    found: dict[str, list[str]] = {}
    for one in data_files if isinstance(data_files, list) else [data_files]:
        split, paths = (one.get("split", "train"), one.get("path")) if isinstance(one, Mapping) else ("train", one)
        found.setdefault(str(split), []).extend(map(str, paths if isinstance(paths, list) else [paths]))
    return found


def _make_default(configs: Sequence[dict[str, Any]], entry: dict[str, Any]) -> None:
    if any(one["config_name"] == DEFAULT_CONFIG for one in configs):
        raise InputError(
            "There exists a configuration named 'default'. To set a different configuration as default, rename the "
            "'default' one first."
        )
    for one in configs:
        one.pop("default", None)
    entry["default"] = True


def _unlisted_splits(files: Iterable[str]) -> list[str]:
    found = (SHARD.fullmatch(path.removeprefix("data/")) for path in files if path.startswith("data/"))
    return list(dict.fromkeys(match["split"] for match in found if match))
