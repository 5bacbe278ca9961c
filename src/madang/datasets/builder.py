"""The object behind `load_dataset`: what will be read, where it is kept, and the two ways to read it."""

import copy
import enum
import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from madang import settings
from madang.datasets import cache, hub, prepare
from madang.datasets.combine import concatenate_datasets
from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.features import Features
from madang.datasets.fingerprint import key
from madang.datasets.info import DatasetInfo, SplitDict, SplitInfo
from madang.datasets.memory_map import open_arrow
from madang.datasets.options import refuse_unknown
from madang.datasets.plan import Plan
from madang.datasets.readers import VERSION, reader
from madang.datasets.readers.files import DataFile
from madang.datasets.splits import NamedSplit, ReadInstruction, instruction, unknown_split
from madang.errors import (
    ExpectedMoreSplitsError,
    InputError,
    NonMatchingSplitsSizesError,
    UnexpectedSplitsError,
    UnknownNameError,
)

_log = logging.getLogger(__name__)
# formats whose first rows tell the features, and cost little
_SAYS_ITS_TYPES = ("parquet", "arrow")
_SAYS_ITS_FEATURES = (*_SAYS_ITS_TYPES, "webdataset", "imagefolder", "audiofolder")

_PREPARE_OPTIONS = (
    "output_dir", "download_config", "download_mode", "verification_mode", "num_proc", "file_format",
)  # fmt: skip
_PREPARE_WITHOUT_EFFECT = (
    "dl_manager", "base_path", "max_shard_size", "storage_options", "ignore_verifications", "try_from_hf_gcs",
    "use_auth_token",
)  # fmt: skip

_HONOURED = {
    "cache_dir", "force_download", "local_files_only", "max_retries", "token", "storage_options", "disable_tqdm",
}  # fmt: skip


class DownloadMode(enum.Enum):
    """What to do with what earlier calls left in the cache."""

    REUSE_DATASET_IF_EXISTS = "reuse_dataset_if_exists"
    REUSE_CACHE_IF_EXISTS = "reuse_cache_if_exists"
    FORCE_REDOWNLOAD = "force_redownload"


class VerificationMode(enum.Enum):
    """Whether splits are compared with what the dataset's card announces."""

    ALL_CHECKS = "all_checks"
    BASIC_CHECKS = "basic_checks"
    NO_CHECKS = "no_checks"


@dataclass
class DownloadConfig:
    """Settings for downloads. The token, other storage's options, the cache's folder, `force_download`,
    `local_files_only`, `max_retries` (of addresses) and `disable_tqdm` are used, others have no effect."""

    cache_dir: str | Path | None = None
    force_download: bool = False
    resume_download: bool = False
    local_files_only: bool = False
    proxies: dict[str, str] | None = None
    user_agent: str | None = None
    extract_compressed_file: bool = False
    force_extract: bool = False
    delete_extracted: bool = False
    extract_on_the_fly: bool = False
    use_etag: bool = True
    num_proc: int | None = None
    max_retries: int = 1
    token: str | bool | None = None
    storage_options: dict[str, Any] = field(default_factory=dict)
    download_desc: str | None = None
    disable_tqdm: bool = False

    @property
    def without_effect(self) -> list[str]:
        """The settings that were changed and change nothing."""
        usual = DownloadConfig()
        changed = {name for name, value in vars(self).items() if value != getattr(usual, name, value)}
        return sorted(changed - _HONOURED)


class BuilderConfig:
    """A subset: its name, its files, and its reader's options as attributes."""

    def __init__(self, name: str = "default", **settings_: Any) -> None:
        self.name = name
        self.version = settings_.pop("version", "0.0.0")
        self.data_dir = settings_.pop("data_dir", None)
        self.data_files = settings_.pop("data_files", None)
        self.description = settings_.pop("description", None)
        self.__dict__.update(settings_)

    def __repr__(self) -> str:
        told = ", ".join(f"{name}={value!r}" for name, value in vars(self).items())
        return f"BuilderConfig({told})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, BuilderConfig) and vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]


class DatasetBuilder:
    """A dataset that is about to be read. Nothing is downloaded or converted before a split is asked for."""

    def __init__(
        self, plan: Plan, *, cache_dir: str | os.PathLike[str] | None = None, mode: DownloadMode | None = None
    ) -> None:
        self._plan = plan
        self._root = os.path.abspath(os.path.expanduser(cache_dir)) if cache_dir is not None else None
        self._mode = mode or DownloadMode.REUSE_DATASET_IF_EXISTS
        self._anew: set[str] = set()  # splits that were made again, as the mode asks
        self.name, self.dataset_name = plan.format, plan.dataset_name
        self.base_path = plan.base
        self.info = self._known_info()
        self.config = self._config(plan.subset, {**plan.options, "features": plan.features})
        self.config.data_files = {split: [file.name for file in files] for split, files in plan.files.items()} or None
        self.config.data_dir = plan.data_dir

    def __repr__(self) -> str:
        return f"DatasetBuilder({self.dataset_name!r}, {self.config.name!r}, format {self.name!r})"

    @property
    def builder_configs(self) -> dict[str, BuilderConfig]:
        """All subsets by name."""
        return {name: self._config(name, subset) for name, subset in self._plan.subsets.items()} or {
            self.config.name: self.config
        }

    @property
    def BUILDER_CONFIGS(self) -> list[BuilderConfig]:  # noqa: N802  (its name for years)
        """All subsets."""
        return list(self.builder_configs.values())

    def _config(self, name: str, subset: Mapping[str, Any]) -> BuilderConfig:
        known = {"drop_labels": None, "drop_metadata": None} if self.name in ("imagefolder", "audiofolder") else {}
        return BuilderConfig(name, **{**known, **subset})

    def _known_info(self) -> DatasetInfo:
        info = copy.deepcopy(self._plan.info) if self._plan.info is not None else DatasetInfo()
        info.features = self._plan.features if self._plan.features is not None else info.features
        info.description = info.description or self._plan.description
        info.builder_name, info.dataset_name = self.name, self.dataset_name
        info.config_name, info.version = self._plan.subset, info.version or "0.0.0"
        return DatasetInfo.from_dict(vars(info))

    @property
    def split_names(self) -> list[str]:
        """The splits that there are files for."""
        return list(self._plan.files)

    # ---- where

    @cached_property
    def hash(self) -> str:
        """What changes when the files, the options or the features do."""
        plan = self._plan
        told = [(split, [file.key() for file in files]) for split, files in sorted(plan.files.items())]
        return key("read", VERSION, plan.format, self._options_for_key(), plan.features, told)

    def note_local_files(self) -> None:
        """Take the files as they are now, when that costs nothing: whoever changes them later gets another builder."""
        if all(type(file) is DataFile for files in self._plan.files.values() for file in files):
            _ = self.hash

    def _options_for_key(self) -> dict[str, Any]:
        options = dict(self._plan.options)
        if self.name != "sql":
            return options
        from madang.datasets.readers.sql import sqlite_path

        path = sqlite_path(options.get("con"))
        if path is not None and os.path.isfile(path):
            options["con"] = os.path.abspath(path)
            options["changed"] = [
                (os.stat(name).st_size, os.stat(name).st_mtime_ns)
                for name in (path, f"{path}-wal")
                if os.path.exists(name)
            ]
        else:
            # nobody can tell whether the database is as it was
            self._plan.kept = False
            options["con"] = str(id(options.get("con")))
            options["sql"] = str(options.get("sql"))
        return options

    @property
    def cache_dir(self) -> str:
        """The folder of the converted splits."""
        return str(self._folder)

    @cached_property
    def _folder(self) -> Path:
        name = f"{_safe(self._plan.subset)}-{self.hash[:16]}"
        if not self._plan.kept:
            from secrets import token_hex

            return cache.temporary_folder() / f"{self._plan.label}-{token_hex(8)}" / name
        return (Path(self._root) if self._root is not None else cache.root()) / self._plan.label / name

    def keep_nothing(self) -> None:
        """Convert into a folder that `forget` removes, or the end of the program, instead of into the cache."""
        self._plan.kept = False
        self.__dict__.pop("_folder", None)

    def forget(self) -> None:
        """Remove what was converted, unless it is in the cache to stay."""
        if self._folder.is_relative_to(cache.temporary_folder()):
            cache.forget(self._folder.parent)

    # ---- reading

    @cached_property
    def _reading(self) -> prepare.Reading:
        plan = self._plan
        settle = getattr(reader(plan.format), "settle", None)
        options = settle(plan.files, **plan.options) if settle is not None else dict(plan.options)
        features = plan.features
        chosen = options.get("columns") or (options.get("usecols") if plan.format == "csv" else None)
        if features is not None and chosen and all(isinstance(name, str) for name in chosen):
            features = type(features)({name: features[name] for name in features if name in set(chosen)})
        return prepare.Reading(plan.format, prepare.labelled(options, features), features)

    def download_and_prepare(
        self,
        output_dir: str | os.PathLike[str] | None = None,
        download_config: Any = None,
        download_mode: Any = None,
        verification_mode: Any = None,
        num_proc: int | None = None,
        file_format: str = "arrow",
        **options: Any,
    ) -> None:
        """Convert all splits, so that `as_dataset` only opens them. `output_dir` is used instead of the cache.

        How to download was said when the builder was made: `download_config` and `storage_options` are let be here,
        without effect, and so are `max_shard_size`, `dl_manager`, `base_path` and what older releases took.
        """
        refuse_unknown("download_and_prepare", options, _PREPARE_WITHOUT_EFFECT, _PREPARE_OPTIONS)
        if file_format not in (None, "arrow"):
            raise InputError(
                f"file_format={file_format!r} cannot be written here, only 'arrow'. Dataset.to_parquet writes Parquet."
            )
        if output_dir is not None:
            self._folder = Path(output_dir)
        if download_mode is not None:
            self._mode = DownloadMode(download_mode)
        self._check_names(verification_mode)
        found = {split: self._prepared(split, num_proc, verification_mode) for split in self._plan.files}
        paths = [path for one in found.values() for path in one.paths]
        self.info = self._info_of(found, Features.from_arrow_schema(open_arrow(paths[0]).schema) if paths else None)

    def _prepared(self, split: str, num_proc: int | None = None, verification: Any = None) -> prepare.Prepared:
        """The Arrow files of a split, made when they are not there."""
        target = self._folder / split
        fresh = False

        def make(part: Path) -> None:
            nonlocal fresh
            fresh = True
            files = self._plan.files[split]
            hub.prefetch(files)
            prepare.write(part, self._reading, files, split, shards=self._shards(files, num_proc, split))

        if self._mode is not DownloadMode.REUSE_DATASET_IF_EXISTS and split not in self._anew and target.exists():
            cache.forget(target)
        self._anew.add(split)
        cache.once(target, make, is_whole=prepare.is_whole)
        found = prepare.opened(target)
        if fresh:
            self._check_size(split, found, verification)
        else:
            _log.info("Found cached dataset %s (%s)", self.dataset_name, target)
        return found

    def _shards(self, files: list[DataFile], num_proc: int | None, split: str) -> list[list[DataFile]]:
        wanted = num_proc or 1
        if wanted < 1:
            raise InputError(f"num_proc= must be a whole number above 0, not {num_proc}.")
        if wanted > 1 and wanted > len(files):
            _log.warning(
                "Setting num_proc from %d back to %d for the %s split: it has %d files, and a file is read by one.",
                wanted,
                max(1, len(files)),
                split,
                len(files),
            )
        if self.name in ("imagefolder", "audiofolder", "sql"):
            return [list(files)]
        return prepare.dealt(files, wanted) if files else [[]]

    def as_dataset(
        self, split: Any = None, verification_mode: Any = None, in_memory: bool | None = False, **options: Any
    ) -> Any:
        """A Dataset for `split` (`"train[:10%]"`, …), a DatasetDict for none, or a list or dict of what is asked so."""
        if split is None:
            self._check_names(verification_mode)
            return DatasetDict(
                {
                    NamedSplit(name): self._dataset(name, verification_mode, in_memory, **options)
                    for name in self._plan.files
                }
            )
        if isinstance(split, Mapping):
            return DatasetDict(
                {name: self.as_dataset(one, verification_mode, in_memory, **options) for name, one in split.items()}
            )
        if isinstance(split, (list, tuple)):
            return [self.as_dataset(one, verification_mode, in_memory, **options) for one in split]
        return self._dataset(split, verification_mode, in_memory, **options)

    def _dataset(
        self, split: Any, verification: Any = None, in_memory: bool | None = None, num_proc: int | None = None
    ) -> "Dataset":
        wanted = self._instruction(split)
        found = {name: self._prepared(name, num_proc, verification) for name in wanted.names}
        parts = []
        for rows in wanted.to_absolute({name: one.num_rows for name, one in found.items()}):
            name = rows.splitname
            part = found[name]
            small = in_memory or (in_memory is None and 0 < part.num_bytes < settings.datasets_in_memory_limit())
            made = Dataset._from_arrow_files(
                part.paths,
                features=None,
                split=NamedSplit(name),
                fingerprint=key("split", self.hash, name),
                in_memory=bool(small),
            )
            if (rows.from_, rows.to) != (0, part.num_rows):
                made = made.select(range(rows.from_, rows.to))
            parts.append(made)
        joined = parts[0] if len(parts) == 1 else concatenate_datasets(parts)
        joined.split = NamedSplit(str(split))
        joined._info = self._info_of(found, joined.features)
        return joined

    def _instruction(self, split: Any) -> ReadInstruction:
        """What a split means; one that is not there is an error that names those there are."""
        wanted = instruction(split, self._plan.files)
        for name in wanted.names:
            if name not in self._plan.files:
                raise unknown_split(name, self._plan.files)
        return wanted

    def _info_of(self, found: Mapping[str, prepare.Prepared], features: Any) -> DatasetInfo:
        info = copy.copy(self.info)
        info.features = features
        splits = SplitDict(dataset_name=self.dataset_name)
        for name in self._plan.files:
            one = found.get(name)
            if one is None and info.splits is not None and name in info.splits:
                splits.add(copy.copy(info.splits[name]))
            elif one is not None:
                splits.add(
                    SplitInfo(name, one.num_bytes, one.num_rows, one.shard_lengths if len(one.paths) > 1 else None)
                )
        info.splits = splits
        info.download_size = sum(one.download_size for one in found.values())
        info.dataset_size = sum(one.num_bytes for one in found.values())
        info.size_in_bytes = info.download_size + info.dataset_size
        return info

    def as_streaming_dataset(self, split: Any = None, base_path: str | None = None) -> Any:
        """An IterableDataset for `split`, an IterableDatasetDict for none. Files are read when their turn comes."""
        from madang.datasets.stream import IterableDatasetDict

        if split is None:
            return IterableDatasetDict({NamedSplit(name): self._stream(name) for name in self._plan.files})
        if isinstance(split, Mapping):
            return IterableDatasetDict({name: self._stream(one) for name, one in split.items()})
        if isinstance(split, (list, tuple)):
            return [self._stream(one) for one in split]
        return self._stream(split)

    def _stream(self, split: Any) -> Any:
        from madang.datasets.stream import IterableDataset

        parts = []
        for part in self._instruction(split)._parts:
            shards = self._lazy_shards(self._plan.files[part.split])
            features = self._stream_features(shards)
            tells = self.name in _SAYS_ITS_TYPES  # then a file that disagrees is an error that names it
            made: Any = IterableDataset.from_shards(
                replace(self._reading, features=features) if tells else self._reading,
                shards,
                features=features,
                split=NamedSplit(str(split)),
                info=self.info,
            )
            parts.append(_sliced(made, part, str(split)))
        return parts[0] if len(parts) == 1 else concatenate_datasets(parts)

    def _lazy_shards(self, files: Iterable[DataFile]) -> list[list[DataFile]]:
        lazy = [file.lazily() for file in files]
        own = getattr(reader(self.name), "shards", None)
        if own is not None:
            found: list[list[DataFile]] = own(lazy, self._reading.options)
            return found
        return [[file] for file in lazy] or [[]]

    def _stream_features(self, shards: list[list[DataFile]]) -> Any:
        """The features when they are known or the beginning of the data tells them; None otherwise."""
        if self._reading.features is not None or self.name not in _SAYS_ITS_FEATURES or not shards:
            return self._reading.features
        first = next(iter(self._reading(shards[0])), None)
        return None if first is None else Features.from_arrow_schema(first.schema)

    # ---- what the card announces

    def _check_names(self, verification: Any) -> None:
        announced = self._announced(verification)
        if announced is None:
            return
        here = list(self._plan.files)
        missing = [name for name in announced if name not in here]
        if missing:
            raise ExpectedMoreSplitsError(
                f"the card of {self.dataset_name} announces the splits {list(announced)}, but there are only files for "
                f"{here}: {missing} are missing. verification_mode='no_checks' loads what is there."
            )
        more = [name for name in here if name not in announced]
        if more:
            raise UnexpectedSplitsError(
                f"there are files for the splits {here}, but the card of {self.dataset_name} announces only "
                f"{list(announced)}. verification_mode='no_checks' loads what is there."
            )

    def _check_size(self, split: str, found: prepare.Prepared, verification: Any) -> None:
        announced = self._announced(verification)
        if announced is None or split not in announced:
            return
        expected = announced[split].num_examples
        if expected and expected != found.num_rows:
            raise NonMatchingSplitsSizesError(
                f"the split {split!r} of {self.dataset_name} has {found.num_rows} rows, but its card announces "
                f"{expected}. The card or the files are of another version; verification_mode='no_checks' loads what "
                "is there."
            )

    def _announced(self, verification: Any) -> Any:
        mode = VerificationMode(verification or VerificationMode.BASIC_CHECKS)
        known = self._plan.info.splits if self._plan.info is not None else None
        return known if known and mode is not VerificationMode.NO_CHECKS else None


def _sliced(stream: Any, part: Any, split: str) -> Any:
    """Some rows of a stream, counted from its beginning: its end is not known before it was read."""
    if part.start is None and part.stop is None:
        return stream
    if part.unit == "%" or (part.start or 0) < 0 or (part.stop is not None and part.stop < 0):
        raise InputError(
            f"split={split!r} while streaming: rows can be counted from the beginning only, as in 'train[:1000]', "
            "because how many there are is not known. Load without streaming=True, or use take() and skip()."
        )
    start = part.start or 0
    made = stream.skip(start) if start else stream
    return made if part.stop is None else made.take(max(0, part.stop - start))


def _safe(name: str) -> str:
    """A name as part of a path; one that could lead elsewhere is refused."""
    cleaned = "".join(sign if sign.isalnum() or sign in "._-" else "_" for sign in name)
    if not cleaned.strip("._"):
        raise UnknownNameError(f"{name!r} cannot be the name of a subset.")
    return cleaned
