"""What is known of a dataset beside its rows: description, licence, features, sizes of its splits.

It lies as `dataset_info.json` beside Arrow files and, in part, under `dataset_info` in the README.md of a repository.
"""

import copy
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from functools import total_ordering
from pathlib import Path
from typing import Any, ClassVar

from madang.datasets.features import Features
from madang.errors import InputError, MissingFileError, UnknownKeyError, nearest
from madang.notices import notice
from madang.writing import write_text

INFO_FILE = "dataset_info.json"
LICENSE_FILE = "LICENSE"
CARD_FILE = "README.md"
OLD_INFOS_FILE = "dataset_infos.json"
DEFAULT_CONFIG = "default"


@total_ordering
@dataclass(eq=False)
class Version:
    """The version of a dataset: three numbers, `1.2.0`. Compares with other versions and with strings."""

    version_str: str
    description: str | None = None
    major: int | str | None = None
    minor: int | str | None = None
    patch: int | str | None = None

    def __post_init__(self) -> None:
        self.major, self.minor, self.patch = _numbers(self.version_str)

    def __repr__(self) -> str:
        return ".".join(str(number) for number in self.tuple)

    __str__ = __repr__

    @property
    def tuple(self) -> tuple[Any, Any, Any]:
        """The three numbers."""
        return self.major, self.minor, self.patch

    def __eq__(self, other: object) -> bool:
        try:
            return self.tuple == _as_version(other).tuple
        except (ValueError, TypeError):
            return False

    def __lt__(self, other: object) -> bool:
        return self.tuple < _as_version(other).tuple

    def __hash__(self) -> int:
        return hash(str(self))

    def to_dict(self) -> dict[str, Any]:
        """The form kept in files."""
        found = {"version_str": self.version_str, "major": self.major, "minor": self.minor, "patch": self.patch}
        return found if self.description is None else {**found, "description": self.description}

    @classmethod
    def from_dict(cls, given: Mapping[str, Any]) -> "Version":
        """The version that `to_dict` described."""
        return cls(given["version_str"], given.get("description"))


def _numbers(text: str) -> tuple[int, int, int]:
    parts = str(text).split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        raise InputError(f"Invalid version '{text}'. Format should be x.y.z with {{x,y,z}} being digits.")
    return int(parts[0]), int(parts[1]), int(parts[2])


def _as_version(other: object) -> Version:
    if isinstance(other, Version):
        return other
    if isinstance(other, str):
        return Version(other)
    raise TypeError(f"{other!r} ({type(other).__name__}) cannot be compared to a version.")


@dataclass
class SplitInfo:
    """The size of one split: bytes (as Arrow, in memory) and rows."""

    name: str = ""
    num_bytes: int = 0
    num_examples: int = 0
    shard_lengths: list[int] | None = None
    original_shard_lengths: list[int] | None = None
    dataset_name: str | None = None

    def __repr__(self) -> str:
        return _shown(self)

    def to_dict(self) -> dict[str, Any]:
        """The form kept in files; the name of the dataset is always there, as older readers expect."""
        found = {"name": self.name, "num_bytes": self.num_bytes, "num_examples": self.num_examples}
        for name in ("shard_lengths", "original_shard_lengths"):
            if getattr(self, name) is not None:
                found[name] = getattr(self, name)
        return {**found, "dataset_name": self.dataset_name}


def _split_info(given: Any) -> SplitInfo:
    if isinstance(given, SplitInfo):
        return given
    known = {one.name for one in fields(SplitInfo)}
    return SplitInfo(**{name: value for name, value in given.items() if name in known})


class SplitDict(dict[str, SplitInfo]):
    """The splits of a dataset by name."""

    def __init__(self, *given: Any, dataset_name: str | None = None, **named: Any) -> None:
        super().__init__(*given, **named)
        self.dataset_name = dataset_name

    def __getitem__(self, key: object) -> SplitInfo:
        if str(key) not in self:
            raise UnknownKeyError(
                f"Unknown split {str(key)!r}.{nearest(str(key), self)} Should be one of {list(self)}."
            )
        return super().__getitem__(str(key))

    def __setitem__(self, key: str, value: SplitInfo) -> None:
        if str(key) != value.name:
            raise InputError(f"Cannot add elem. (key mismatch: '{key}' != '{value.name}')")
        super().__setitem__(str(key), value)

    def add(self, split_info: SplitInfo) -> None:
        """Add a split that is not there yet."""
        if split_info.name in self:
            raise InputError(f"Split {split_info.name} already present")
        split_info.dataset_name = self.dataset_name
        super().__setitem__(split_info.name, split_info)

    @property
    def total_num_examples(self) -> int:
        """Rows of all splits together."""
        return sum(split.num_examples for split in self.values())

    @classmethod
    def from_split_dict(
        cls, split_infos: Mapping[str, Any] | Iterable[Any], dataset_name: str | None = None
    ) -> "SplitDict":
        """From what files hold: dicts or SplitInfo, in a list or by name."""
        given = list(split_infos.values() if isinstance(split_infos, Mapping) else split_infos)
        infos = [_split_info(one) for one in given]
        made = cls(dataset_name=dataset_name or (infos[0].dataset_name if infos else None))
        for info in infos:
            made.add(info)
        return made

    def to_split_dict(self) -> list[SplitInfo]:
        """The splits as a list, each under the name it has here."""
        infos = [copy.deepcopy(info) for info in self.values()]
        for name, info in zip(self, infos, strict=True):
            info.name = name
        return infos

    def copy(self) -> "SplitDict":
        """Splits of one's own to change."""
        return SplitDict.from_split_dict(self.to_split_dict(), self.dataset_name)

    def to_dict(self) -> dict[str, Any]:
        """The form kept in dataset_info.json."""
        return {name: info.to_dict() for name, info in self.items()}

    def _to_yaml_list(self) -> list[dict[str, Any]]:
        """The form kept in a README.md."""
        kept = ("name", "num_bytes", "num_examples")
        return [{name: getattr(info, name) for name in kept} for info in self.to_split_dict()]

    @classmethod
    def _from_yaml_list(cls, given: Any) -> "SplitDict":
        needed = {"name", "num_examples", "num_bytes"}
        if not isinstance(given, list) or not all(isinstance(one, Mapping) and needed <= set(one) for one in given):
            raise InputError(
                "the `splits` in the YAML must be a list of mappings with name, num_examples and num_bytes, "
                f"but they are {given!r}."
            )
        return cls.from_split_dict(given)


@dataclass
class DatasetInfo:
    """What is known of a dataset: description, citation, homepage, licence, features, splits and sizes in bytes."""

    description: str = field(default_factory=str)
    citation: str = field(default_factory=str)
    homepage: str = field(default_factory=str)
    license: str = field(default_factory=str)
    features: Features | None = None
    post_processed: dict[str, Any] | None = None
    supervised_keys: dict[str, str] | None = None
    task_templates: list[Any] | None = None
    builder_name: str | None = None
    dataset_name: str | None = None
    config_name: str | None = None
    version: Any = None
    splits: SplitDict | None = None
    download_checksums: dict[str, Any] | None = None
    download_size: int | None = None
    post_processing_size: int | None = None
    dataset_size: int | None = None
    size_in_bytes: int | None = None

    _INCLUDED_INFO_IN_YAML: ClassVar[list[str]] = [
        "config_name",
        "download_size",
        "dataset_size",
        "features",
        "splits",
    ]

    def __post_init__(self) -> None:
        if self.features is not None and not isinstance(self.features, Features):
            self.features = Features.from_dict(self.features)
        if self.version is not None and not isinstance(self.version, Version):
            read = Version.from_dict if isinstance(self.version, Mapping) else Version
            self.version = read(self.version)
        if self.splits is not None and not isinstance(self.splits, SplitDict):
            self.splits = SplitDict.from_split_dict(self.splits)
        if isinstance(self.supervised_keys, (tuple, list)):
            self.supervised_keys = dict(zip(("input", "output"), self.supervised_keys, strict=False))

    def __repr__(self) -> str:
        return _shown(self)

    def to_dict(self) -> dict[str, Any]:
        """The form kept in dataset_info.json: the four texts, and what else is known."""
        found: dict[str, Any] = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if value is not None:
                found[one.name] = value.to_dict() if hasattr(value, "to_dict") else copy.deepcopy(value)
        return found

    @classmethod
    def from_dict(cls, dataset_info_dict: Mapping[str, Any]) -> "DatasetInfo":
        """From what files hold; keys that are not known here are left out."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in dataset_info_dict.items() if name in known})

    @classmethod
    def from_merge(cls, dataset_infos: Iterable["DatasetInfo | None"]) -> "DatasetInfo":
        """The info of several datasets put together: the same one, or the texts of all and nothing else."""
        infos = [info.copy() for info in dataset_infos if info is not None]
        if infos and all(info == infos[0] for info in infos):
            return infos[0]
        texts: dict[str, Any] = {}
        for name in ("description", "citation", "homepage", "license"):
            texts[name] = "\n\n".join(dict.fromkeys(getattr(info, name) for info in infos)).strip()
        return cls(**texts)

    def update(self, other_dataset_info: "DatasetInfo", ignore_none: bool = True) -> None:
        """Take over everything that `other_dataset_info` knows."""
        for one in fields(self):
            value = getattr(other_dataset_info, one.name)
            if value is not None or not ignore_none:
                setattr(self, one.name, copy.deepcopy(value))

    def copy(self) -> "DatasetInfo":
        """An info of one's own to change."""
        return copy.deepcopy(self)

    def write_to_directory(
        self,
        dataset_info_dir: str | os.PathLike[str],
        pretty_print: bool = False,
        storage_options: Mapping[str, Any] | None = None,
    ) -> None:
        """Write `dataset_info.json`, and `LICENSE` when there is one, into a folder or under a URL."""
        texts = {INFO_FILE: json.dumps(self.to_dict(), indent=4 if pretty_print else None)}
        if self.license:
            texts[LICENSE_FILE] = self.license
        folder = os.fspath(dataset_info_dir)
        for name, text in texts.items():
            if "://" in folder:
                import fsspec

                with fsspec.open(f"{folder}/{name}", "w", encoding="utf-8", **(storage_options or {})) as file:
                    file.write(text)
            else:
                write_text(Path(folder) / name, text)

    @classmethod
    def from_directory(
        cls, dataset_info_dir: str | os.PathLike[str], storage_options: Mapping[str, Any] | None = None
    ) -> "DatasetInfo":
        """The info that `dataset_info.json` in a folder, or under a URL, holds."""
        folder = os.fspath(dataset_info_dir)
        if not folder:
            raise InputError("from_directory needs the folder that dataset_info.json lies in, and got an empty name.")
        if "://" in folder:
            import fsspec

            with fsspec.open(f"{folder}/{INFO_FILE}", "r", encoding="utf-8", **(storage_options or {})) as file:
                return cls.from_dict(json.load(file))
        path = Path(folder) / INFO_FILE
        if not path.is_file():
            raise MissingInfoError(f"there is no {INFO_FILE} in {folder}.")
        return cls.from_dict(json.loads(path.read_text(encoding="utf-8")))

    def _to_yaml_dict(self) -> dict[str, Any]:
        """The form kept in a README.md: names, sizes, features, splits."""
        found = {}
        for one in fields(self):
            value = getattr(self, one.name)
            if one.name in self._INCLUDED_INFO_IN_YAML and value is not None:
                found[one.name] = value._to_yaml_list() if hasattr(value, "_to_yaml_list") else value
        return found

    @classmethod
    def _from_yaml_dict(cls, given: Mapping[str, Any]) -> "DatasetInfo":
        """From what a README.md holds; splits that cannot be understood are left out with a warning."""
        found = copy.deepcopy(dict(given))
        if found.get("features") is not None:
            found["features"] = Features._from_yaml_list(found["features"])
        if found.get("splits") is not None:
            try:
                found["splits"] = SplitDict._from_yaml_list(found["splits"])
            except ValueError as error:
                del found["splits"]
                notice(f"a part of dataset_info in the dataset's card is left out: {error}")
        return cls.from_dict(found)


class MissingInfoError(MissingFileError, FileNotFoundError):
    """A folder without the file that says what its dataset is."""


class DatasetInfosDict(dict[str, DatasetInfo]):
    """The infos of a repository by the name of the subset, as its README.md (or dataset_infos.json) holds them."""

    @classmethod
    def from_card(cls, metadata: Mapping[str, Any]) -> "DatasetInfosDict":
        """From the YAML of a README.md: one mapping, or a list with a `config_name` in each."""
        given = metadata.get("dataset_info")
        listed = [given] if isinstance(given, Mapping) else given if isinstance(given, list) else []
        infos = cls()
        for one in listed:
            if not isinstance(one, Mapping):
                raise InputError(f"an entry of dataset_info in the dataset's card is no mapping: {one!r}.")
            name = str(one.get("config_name", DEFAULT_CONFIG))
            infos[name] = DatasetInfo._from_yaml_dict({**one, "config_name": name})
            if isinstance(given, list) and "config_name" not in one:
                infos[name].config_name = None
        return infos

    def into_card(self, metadata: Mapping[str, Any]) -> dict[str, Any]:
        """The YAML of a README.md with these infos in it; those of other subsets stay as they are."""
        given = metadata.get("dataset_info")
        listed = [given] if isinstance(given, Mapping) else given if isinstance(given, list) else []
        entries = {one.get("config_name", DEFAULT_CONFIG): dict(one) for one in listed}
        entries |= {name: info._to_yaml_dict() for name, info in self.items()}
        named = [{**{"config_name": name}, **entry, "config_name": name} for name, entry in sorted(entries.items())]
        if not named:
            return dict(metadata)
        only = named[0]
        if len(named) == 1 and only["config_name"] == DEFAULT_CONFIG:
            del only["config_name"]
        return {**metadata, "dataset_info": only if len(named) == 1 else named}

    @classmethod
    def from_directory(cls, dataset_infos_dir: str | os.PathLike[str]) -> "DatasetInfosDict":
        """From the README.md in a folder, else from its dataset_infos.json, else nothing."""
        from madang.datasets.card import split_card

        card, old = Path(dataset_infos_dir) / CARD_FILE, Path(dataset_infos_dir) / OLD_INFOS_FILE
        if card.is_file():
            metadata, _ = split_card(card.read_text(encoding="utf-8"))
            if "dataset_info" in metadata:
                return cls.from_card(metadata)
        if old.is_file():
            given = json.loads(old.read_text(encoding="utf-8"))
            return cls({name: DatasetInfo.from_dict(one) for name, one in given.items()})
        return cls()

    def write_to_directory(
        self, dataset_infos_dir: str | os.PathLike[str], overwrite: bool = False, pretty_print: bool = False
    ) -> None:
        """Put these infos into the README.md of a folder, beside those that are there unless `overwrite`."""
        from madang.datasets.card import join_card, split_card

        card, old = Path(dataset_infos_dir) / CARD_FILE, Path(dataset_infos_dir) / OLD_INFOS_FILE
        infos = DatasetInfosDict({} if overwrite else DatasetInfosDict.from_directory(dataset_infos_dir))
        infos.update(self)
        if old.is_file():  # who reads only this file must not see old sizes
            given = {name: info.to_dict() for name, info in infos.items()}
            write_text(old, json.dumps(given, indent=4 if pretty_print else None))
        if infos:
            metadata, body = split_card(card.read_text(encoding="utf-8")) if card.is_file() else ({}, "")
            write_text(card, join_card(infos.into_card(metadata), body))


def _shown(thing: Any) -> str:
    """The fields of a dataclass that say something."""
    told = [f"{one.name}={getattr(thing, one.name)!r}" for one in fields(thing) if getattr(thing, one.name)]
    return f"{type(thing).__name__}({', '.join(told)})"
