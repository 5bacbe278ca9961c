"""What `load_dataset` is asked to read: where from, which subset, which files for which split, in which format."""

import os
import posixpath
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from madang import settings
from madang.datasets import card, find, hub
from madang.datasets.info import CARD_FILE, DEFAULT_CONFIG, DatasetInfo, DatasetInfosDict
from madang.datasets.readers import FORMATS
from madang.datasets.readers.files import DataFile, Member, members
from madang.errors import (
    DataFilesNotFoundError,
    DatasetNotFoundError,
    DatasetScriptError,
    InputError,
    MissingSubsetError,
    UnknownNameError,
    nearest,
)
from madang.notices import notice

# what a card may say of a subset that is no option of its reader
_ABOUT = {"data_files", "data_dir", "default", "features", "version", "description"}
_SAVED = "state.json"


@dataclass(frozen=True)
class Access:
    """How files that are not on this machine are come by."""

    token: str | bool | None = field(default=None, repr=False)
    storage: Mapping[str, Any] = field(default_factory=dict, repr=False)
    downloads: str = ""
    offline: bool = False
    retries: int | None = None  # None: as often as usual
    bar: bool = True


@dataclass
class Plan:
    """Everything there is to know before the first row is read."""

    label: str  # the cache's folder
    dataset_name: str
    subset: str
    format: str
    options: dict[str, Any]
    files: dict[str, list[DataFile]]
    features: Any = None
    info: DatasetInfo | None = None
    base: str = ""
    data_dir: str | None = None
    description: str = ""
    # all subsets by name; for one's own look only
    subsets: dict[str, card.Subset] = field(default_factory=dict)
    # files that change under us and cannot be named: nothing of them is kept
    kept: bool = True


class Place(Protocol):
    """A folder or a repository: names of files, and what they mean."""

    where: str

    @property
    def names(self) -> Sequence[str]:
        """All files, as paths with `/`."""

    def resolve(self, pattern: str, access: Access) -> list[DataFile]:
        """The files that a path or a pattern means there."""

    def files(self, names: Sequence[str]) -> list[DataFile]:
        """Files by their names there."""

    def text(self, name: str) -> str | None:
        """The content of a small file, or None."""


class Folder:
    """A folder on this machine."""

    def __init__(self, path: str, *, trusted: bool = False) -> None:
        self.where, self._trusted = os.path.abspath(os.path.expanduser(path)), trusted
        self._names: list[str] | None = None

    @property
    def names(self) -> Sequence[str]:
        if self._names is None:
            self._names = find.local_names(self.where, stay=not self._trusted)
        return self._names

    def resolve(self, pattern: str, access: Access) -> list[DataFile]:
        if self._trusted:
            return resolved(pattern, self.where, access)
        refused = InputError(
            f"the card in {self.where} names data outside the folder: {pattern!r}. If you trust it, pass it yourself "
            "as data_files=."
        )
        if not _stays(pattern):
            raise refused
        found = resolved(pattern, self.where, access)
        inside = [file for file in found if self._holds(file)]
        if found and not inside:
            raise refused
        return inside

    def _holds(self, file: DataFile) -> bool:
        """Whether a file lies in the folder, not in one that a link leads to. Links to files are as good as files:
        that is how caches of hubs are made."""
        while isinstance(file, Member):
            file = file.archive
        return type(file) is not DataFile or find.is_inside(os.path.dirname(file.name), self.where)

    def files(self, names: Sequence[str]) -> list[DataFile]:
        return [DataFile(os.path.join(self.where, *name.split("/"))) for name in names]

    def text(self, name: str) -> str | None:
        path = Path(self.where, name)
        return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else None


class Hosted:
    """A repository on a hub."""

    def __init__(self, repository: hub.Repository, *, trusted: bool = False) -> None:
        self.repository, self._trusted = repository, trusted
        self.where, self.names = f"{repository.name} on the hub", repository.names

    def resolve(self, pattern: str, access: Access) -> list[DataFile]:
        if not self._trusted and not _stays(pattern):
            raise InputError(
                f"the card of {self.repository.name} names data outside the repository: {pattern!r}. If you trust it, "
                "pass it yourself as data_files=."
            )
        if "::" in pattern:
            hop, _, outer = pattern.partition("::")
            return _in_archives(hop, self.resolve(outer, access))
        if "://" in pattern or os.path.isabs(pattern):
            return resolved(pattern, None, access)
        pattern = posixpath.normpath(pattern)
        names = find.matching(pattern, self.names)
        if not names and not find.has_magic(pattern):
            names = find.matching(f"{pattern}/**", self.names)
        if not names:
            raise DataFilesNotFoundError(
                f"Couldn't find any data file at {self.repository.name}/{pattern} on the hub."
                f"{nearest(pattern, self.names)}"
            )
        return self.repository.files(names)

    def files(self, names: Sequence[str]) -> list[DataFile]:
        return self.repository.files(names)

    def text(self, name: str) -> str | None:
        return self.repository.text(name)


def resolved(pattern: str, folder: str | None, access: Access) -> list[DataFile]:
    """The files that a path, an address or a pattern means; relative paths are in `folder`."""
    if "::" in pattern:
        hop, _, outer = pattern.partition("::")
        return _in_archives(hop, resolved(outer, folder, access))
    scheme = pattern.partition("://")[0] if "://" in pattern else ""
    if scheme in ("http", "https"):
        return [_url(pattern, access)]
    if scheme == "hf":
        name, revision, inner = hub.split_address(pattern)
        return Hosted(_repository(name, revision, access)).resolve(inner or "**", access)
    if scheme == "file":
        return find.local_files(pattern.removeprefix("file://"), None)
    if scheme:
        from madang.datasets.urls import storage_files

        return storage_files(pattern, access.storage)
    return find.local_files(pattern, folder)


def _in_archives(hop: str, archives: Sequence[DataFile]) -> list[DataFile]:
    """The files in archives that `zip://<path or pattern>` means."""
    found = [member for archive in archives for member in members(archive)]
    wanted = set(find.matching(hop.partition("://")[2] or "**", [member.inside for member in found]))  # type: ignore[attr-defined]
    return [member for member in found if member.inside in wanted]  # type: ignore[attr-defined]


def _repository(name: str, revision: str | None, access: Access) -> hub.Repository:
    return hub.open_repository(name, revision, access.token, local_files_only=access.offline)


def _url(address: str, access: Access) -> DataFile:
    from madang.client.failures import hub_address
    from madang.datasets.urls import How, UrlFile

    headers: dict[str, str] = {}
    if address.startswith(hub_address().rstrip("/") + "/"):
        from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]

        headers = build_hf_headers(token=access.token)
    headers |= {str(name): str(value) for name, value in (access.storage.get("headers") or {}).items()}
    how = How(How.tries if access.retries is None else 1 + access.retries, access.offline, access.bar)
    return UrlFile(address, headers, access.downloads, how=how)


# ---- the three ways to say what to read


def of_format(
    kind: str, name: str | None, data_dir: Any, data_files: Any, options: dict[str, Any], access: Access
) -> Plan:
    """`load_dataset("csv", data_files=…)`."""
    made = Plan(kind, kind, name or DEFAULT_CONFIG, kind, options, {}, data_dir=_folder(data_dir))
    if kind == "sql":
        made.files = {"train": []}
        return made
    if data_files is None and data_dir is None:
        ending = next(iter(FORMATS[kind]), kind)
        raise InputError(
            f"Please specify the data files or data directory to load for the {kind} dataset builder: it needs "
            f'data_files= or data_dir=. For example `data_files={{"train": "path/to/data/train/*.{ending}"}}`'
        )
    if data_files is not None:
        folder = _folder(data_dir)
        patterns = find.by_split(data_files)
        made.files = {
            split: [file for path in paths for file in resolved(path, folder, access)]
            for split, paths in patterns.items()
        }
    else:
        place = Folder(_folder(data_dir) or ".", trusted=True)
        if not os.path.isdir(place.where):
            raise DataFilesNotFoundError(f"Couldn't find any data file at {place.where}: there is no such folder.")
        made.files = _inferred(place, "", kind)
    return _finished(made, kind, named=data_files is not None)


def of_folder(
    path: str, name: str | None, data_dir: Any, data_files: Any, options: dict[str, Any], access: Access
) -> Plan:
    """`load_dataset("./folder")`."""
    place = Folder(path)
    if os.path.isfile(os.path.join(place.where, _SAVED)) or os.path.isfile(
        os.path.join(place.where, "dataset_dict.json")
    ):
        raise InputError(
            f"{path} is a dataset that was saved using `save_to_disk`. Please use `load_from_disk` instead: "
            f"load_from_disk({path!r})."
        )
    if data_dir is not None and os.path.isabs(data_dir):
        raise InputError(f"`data_dir` must be relative to a dataset directory's root: {path}")
    label = re.sub(r"[^\w.-]", "_", os.path.basename(place.where)) or "folder"
    return _of_place(place, label, label, name, data_dir, data_files, options, access)


def of_file(path: str, name: str | None, options: dict[str, Any]) -> Plan:
    """`load_dataset("rows.csv")`."""
    if path.endswith(".py"):
        raise DatasetScriptError(
            f"Dataset scripts are no longer supported, but found {os.path.basename(path)}: programs of others are not "
            "run. Load the data files themselves, or use Dataset.from_generator with a function of the program."
        )
    label = re.sub(r"[^\w.-]", "_", os.path.basename(path))
    made = Plan(label, label, name or DEFAULT_CONFIG, "", options, {"train": [DataFile(os.path.abspath(path))]})
    return _finished(made, None, named=True)


def of_repository(
    path: str,
    name: str | None,
    data_dir: Any,
    data_files: Any,
    revision: str | None,
    options: dict[str, Any],
    access: Access,
    prepared: Any,
) -> Plan:
    """`load_dataset("owner/name")`. `prepared(label)` tells which subsets are in the cache."""
    repository = _repository(path, revision, access)
    label = repository.name.replace("/", "___")
    place = Hosted(repository, trusted=False)
    script = f"{repository.name.rsplit('/', 1)[-1]}.py"
    programmed = script in repository.names and data_files is None and data_dir is None
    if programmed and not card.subsets(_metadata(place)):
        converted = _converted(repository, revision, access)
        if converted is not None:
            return _of_parquet(converted, label, path, name, options, prepared)
        if not _data_names(repository.names):
            raise DatasetScriptError(
                f"Dataset scripts are no longer supported, but found {script}: {repository.name} holds a program and "
                "no data files, and programs of others are not run. Hubs convert such datasets to the branch "
                f"{hub.PARQUET_BRANCH}, from which they load by themselves; this one has none. Ask its owner to add "
                "the data as Parquet."
            )
    short = repository.name.rsplit("/", 1)[-1]
    return _of_place(place, label, short, name, data_dir, data_files, options, access, prepared)


def _converted(repository: hub.Repository, revision: str | None, access: Access) -> hub.Repository | None:
    if revision not in (None, "main"):
        return None
    try:
        return _repository(repository.name, hub.PARQUET_BRANCH, access)
    except (DatasetNotFoundError, ConnectionError):
        return None


def _of_parquet(
    repository: hub.Repository, label: str, path: str, name: str | None, options: dict[str, Any], prepared: Any
) -> Plan:
    """From the branch of a script's dataset that the hub keeps as Parquet: <subset>/<split>/0000.parquet."""
    found: dict[str, dict[str, list[str]]] = {}
    for inner in repository.names:
        parts = inner.split("/")
        if len(parts) == 3 and inner.endswith(".parquet"):
            found.setdefault(parts[0], {}).setdefault(parts[1].removeprefix("partial-"), []).append(inner)
    known = {subset: {"data_files": splits} for subset, splits in found.items()}
    chosen = _chosen(name, known, path, label, prepared)
    files = {split: repository.files(names) for split, names in found[chosen].items()} if chosen in found else {}
    made = Plan(label, repository.name.rsplit("/", 1)[-1], chosen, "parquet", options, files, subsets=known)
    return _finished(made, "parquet", named=True)


def _of_place(
    place: Place,
    label: str,
    short: str,
    name: str | None,
    data_dir: Any,
    data_files: Any,
    options: dict[str, Any],
    access: Access,
    prepared: Any = None,
) -> Plan:
    metadata = _metadata(place)
    known = card.subsets(metadata)
    infos = _infos(place, metadata)
    own = data_files is not None or data_dir is not None
    if known:
        chosen = _chosen(name, known, place.where, label, prepared, optional=own)
        subset = known.get(chosen, {})
    else:
        chosen = name or (next(iter(infos)) if len(infos) == 1 else DEFAULT_CONFIG)
        if name is not None and name not in (DEFAULT_CONFIG, *infos):
            raise UnknownNameError(f"BuilderConfig {name!r} not found. Available: {[DEFAULT_CONFIG]}")
        subset = {}
    made = Plan(
        label,
        short,
        chosen,
        "",
        {**{key: value for key, value in subset.items() if key not in _ABOUT}, **options},
        {},
        features=subset.get("features"),
        base=place.where,
        data_dir=data_dir or subset.get("data_dir"),
        description=str(subset.get("description") or ""),
        subsets=known or {DEFAULT_CONFIG: {}},
    )
    if not own:
        made.info = infos.get(chosen)
        if made.features is None and made.info is not None:
            made.features = made.info.features
    inside = _inner(data_dir if data_dir is not None else subset.get("data_dir"))
    given = data_files if data_files is not None else None if data_dir is not None else subset.get("data_files")
    if given is not None:
        asked = _asked_by_the_user(place) if data_files is not None else place
        made.files = {
            split: [file for pattern in paths for file in asked.resolve(_joined(inside, pattern), access)]
            for split, paths in find.by_split(given).items()
        }
    else:
        made.files = _inferred(place, inside, None)
    return _finished(made, None, named=False)


def _asked_by_the_user(place: Place) -> Place:
    """The same place, from which patterns may lead anywhere: they are not those of a card."""
    if isinstance(place, Hosted):
        return Hosted(place.repository, trusted=True)
    return Folder(place.where, trusted=True)


def _stays(pattern: str) -> bool:
    """Whether a pattern of a card, which is somebody else's, leads neither to other files here nor to other servers.

    That is so for relative paths, `hf://…` (the hub that is in use), and what lies in archives at such places.
    """
    *inner, outer = pattern.replace(os.sep, "/").split("::")
    paths = [outer.removeprefix("hf://"), *(hop.removeprefix("zip://").removeprefix("tar://") for hop in inner)]
    return not any(
        "://" in path or path.startswith(("/", "~")) or os.path.isabs(path) or ".." in path.split("/") for path in paths
    )


def _leads_out(pattern: str) -> bool:
    inside = posixpath.normpath(pattern.replace(os.sep, "/"))
    return os.path.isabs(pattern) or inside == ".." or inside.startswith("../")


def _metadata(place: Place) -> dict[str, Any]:
    text = place.text(CARD_FILE)
    metadata = card.split_card(text)[0] if text is not None else {}
    alone = place.text(card.YAML_ALONE)
    return {**metadata, **card.read_yaml(alone)} if alone is not None else metadata


def _infos(place: Place, metadata: Mapping[str, Any]) -> dict[str, DatasetInfo]:
    """What is known of each subset: from the card, before that from the file that older releases wrote."""
    import json

    infos: dict[str, DatasetInfo] = {}
    old = place.text("dataset_infos.json")
    if old is not None:
        try:
            infos = {str(name): DatasetInfo.from_dict(one) for name, one in json.loads(old).items()}
        except (ValueError, AttributeError, TypeError) as error:
            notice(f"dataset_infos.json of {place.where} cannot be read and is left out: {error}")
        if len(infos) == 1:
            infos = {DEFAULT_CONFIG: next(iter(infos.values()))}
    infos.update(DatasetInfosDict.from_card(metadata))
    return infos


def _chosen(
    name: str | None,
    known: Mapping[str, card.Subset],
    where: str,
    label: str,
    prepared: Any,
    *,
    optional: bool = False,
) -> str:
    """The subset that is meant."""
    if name is not None:
        if name not in known:
            raise UnknownNameError(f"BuilderConfig {name!r} not found. Available: {list(known)}{nearest(name, known)}")
        return name
    default = card.default_subset(known)
    if default is not None:
        return default
    if optional:
        return DEFAULT_CONFIG
    offline = prepared is not None and settings.datasets_offline()
    here = [subset for subset in known if subset in prepared(label)] if offline else []
    if len(here) == 1:
        return here[0]
    first = next(iter(known))
    raise MissingSubsetError(
        f"Config name is missing.\nPlease pick one among the available configs: {list(known)}\n"
        f"Example of usage:\n\t`load_dataset({where.removesuffix(' on the hub')!r}, {first!r})`",
        known,
    )


def _inferred(place: Place, inside: str, kind: str | None) -> dict[str, list[DataFile]]:
    prefix = f"{inside}/" if inside else ""
    names = [name[len(prefix) :] for name in place.names if name.startswith(prefix)]
    splits = find.inferred(names)
    if kind is not None:
        names = [name for name in names if find.of_format([DataFile(name)], kind)]
        splits = find.inferred(names)
    if not splits:
        where = f"{place.where}/{inside}" if inside else place.where
        raise DataFilesNotFoundError(
            f"No (supported) data files found in {where}. Couldn't find any data file there whose ending is known: "
            f"{', '.join(sorted(ending for endings in FORMATS.values() for ending in endings)[:40])}, …"
        )
    return {split: place.files([prefix + name for name in found]) for split, found in splits.items()}


def _finished(made: Plan, kind: str | None, *, named: bool) -> Plan:
    """The plan with its format, and only files of it; archives are opened."""
    made.format = kind or find.format_of(made.files, made.base or made.label)
    for split, files in made.files.items():
        fitting = files if named else find.of_format(files, made.format)
        made.files[split] = find.opened(fitting, made.format)
        if any(find.is_archive(file) for file in fitting) and made.format != "webdataset":
            inner = find.of_format(made.files[split], made.format)
            made.files[split] = inner or made.files[split]
        if not made.files[split]:
            raise DataFilesNotFoundError(f"no file of {made.label} is left for the split {split!r}.")
    return made


def _data_names(names: Sequence[str]) -> dict[str, list[str]]:
    return find.inferred(list(names))


def _folder(data_dir: Any) -> str | None:
    return None if data_dir is None else os.path.abspath(os.path.expanduser(os.fspath(data_dir)))


def _inner(data_dir: Any) -> str:
    """A folder within the dataset, with `/`; one that leads out of it is refused."""
    inside = posixpath.normpath(str(data_dir).replace(os.sep, "/")).strip("/") if data_dir else ""
    if _leads_out(inside):
        raise InputError(f"data_dir={data_dir!r} leads out of the dataset's folder.")
    return "" if inside == "." else inside


def _joined(inside: str, pattern: str) -> str:
    if not inside or "://" in pattern or os.path.isabs(pattern):
        return pattern
    return f"{inside}/{pattern}"
