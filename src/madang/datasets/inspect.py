"""Looking at a dataset without loading it: its subsets, its splits, what is known of it."""

from typing import Any

from madang.datasets.info import DatasetInfo, SplitDict, SplitInfo
from madang.datasets.load import load_dataset_builder
from madang.errors import MissingSubsetError


def get_dataset_config_names(
    path: str,
    revision: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    data_files: Any = None,
    token: str | bool | None = None,
    **options: Any,
) -> list[str]:
    """The subsets of a dataset; `["default"]` when it has none of its own."""
    names, _ = _names(path, revision, download_config, download_mode, data_files, token, options)
    return names


def get_dataset_default_config_name(
    path: str,
    revision: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    data_files: Any = None,
    token: str | bool | None = None,
    **options: Any,
) -> str | None:
    """The subset that is loaded when none is named; None when one has to be named."""
    _, default = _names(path, revision, download_config, download_mode, data_files, token, options)
    return default


def _names(
    path: str, revision: Any, config: Any, mode: Any, data_files: Any, token: Any, options: dict[str, Any]
) -> tuple[list[str], str | None]:
    settings = {"revision": revision, "download_config": config, "download_mode": mode, "token": token, **options}
    try:
        builder = load_dataset_builder(path, data_files=data_files, **settings)
    except MissingSubsetError as error:
        return error.known, None
    return list(builder.builder_configs), builder.config.name


def get_dataset_config_info(
    path: str,
    config_name: str | None = None,
    data_files: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    revision: Any = None,
    token: str | bool | None = None,
    **options: Any,
) -> DatasetInfo:
    """What is known of one subset: features, splits, sizes. Splits are there in any case."""
    builder = load_dataset_builder(
        path,
        name=config_name,
        data_files=data_files,
        download_config=download_config,
        download_mode=download_mode,
        revision=revision,
        token=token,
        **options,
    )
    info = builder.info
    if info.splits is None:
        info.splits = SplitDict({name: SplitInfo(name) for name in builder.split_names})
    return info


def get_dataset_split_names(
    path: str,
    config_name: str | None = None,
    data_files: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    revision: Any = None,
    token: str | bool | None = None,
    **options: Any,
) -> list[str]:
    """The splits of one subset."""
    info = get_dataset_config_info(
        path, config_name, data_files, download_config, download_mode, revision, token, **options
    )
    return list(info.splits or ())


def get_dataset_infos(
    path: str,
    data_files: Any = None,
    download_config: Any = None,
    download_mode: Any = None,
    revision: Any = None,
    token: str | bool | None = None,
    **options: Any,
) -> dict[str, DatasetInfo]:
    """What is known of every subset, by its name."""
    settings = {
        "data_files": data_files,
        "download_config": download_config,
        "download_mode": download_mode,
        "revision": revision,
        "token": token,
        **options,
    }
    names = get_dataset_config_names(path, **settings)
    return {name: get_dataset_config_info(path, config_name=name, **settings) for name in names}
