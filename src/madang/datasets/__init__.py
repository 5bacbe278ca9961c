"""Tables of examples on Arrow: made from anything, changed by a few verbs, read quickly. No torch needed."""

from importlib import import_module
from types import SimpleNamespace
from typing import Any

from madang.errors import nearest

# public name -> the module that defines it; they are loaded on first use
_HOME = {
    "Array2D": "features",
    "Array3D": "features",
    "Array4D": "features",
    "Array5D": "features",
    "Audio": "features",
    "BuilderConfig": "builder",
    "ClassLabel": "features",
    "Column": "column",
    "Dataset": "dataset",
    "DatasetBuilder": "builder",
    "DatasetDict": "dictionary",
    "DatasetInfo": "info",
    "DownloadConfig": "builder",
    "DownloadMode": "builder",
    "Features": "features",
    "Image": "features",
    "IterableDataset": "stream",
    "IterableDatasetDict": "stream",
    "Json": "features",
    "LargeList": "features",
    "List": "features",
    "NamedSplit": "splits",
    "ReadInstruction": "splits",
    "Sequence": "features",
    "Split": "splits",
    "SplitInfo": "info",
    "SplitDict": "info",
    "Translation": "features",
    "TranslationVariableLanguages": "features",
    "Value": "features",
    "VerificationMode": "builder",
    "are_progress_bars_disabled": "progress",
    "concatenate_datasets": "combine",
    "delete_from_hub": "share",
    "disable_caching": "cache",
    "disable_progress_bar": "progress",
    "disable_progress_bars": "progress",
    "enable_caching": "cache",
    "enable_progress_bar": "progress",
    "enable_progress_bars": "progress",
    "get_dataset_config_info": "inspect",
    "get_dataset_config_names": "inspect",
    "get_dataset_default_config_name": "inspect",
    "get_dataset_infos": "inspect",
    "get_dataset_split_names": "inspect",
    "interleave_datasets": "combine",
    "is_caching_enabled": "cache",
    "is_progress_bar_enabled": "progress",
    "load_dataset": "load",
    "load_dataset_builder": "load",
    "load_from_disk": "disk",
    "split_dataset_by_node": "stream",
}

# modules that people reach through the package: `datasets.logging.set_verbosity_error()`
_MODULES = {"distributed", "features", "logging"}

__all__ = sorted(_HOME)  # noqa: PLE0605 (a list, only drawn from the table)


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(import_module(f"madang.datasets.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"madang.datasets.{name}")
    if name == "utils":  # the older way to `logging`, which example scripts still go
        return SimpleNamespace(logging=import_module("madang.datasets.logging"))
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}.{nearest(name, __all__)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
