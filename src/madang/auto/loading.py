"""from_pretrained: from a folder or a repository to a model."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import torch

from madang.adapt import ADAPTED_CONFIG, ADAPTER_CONFIG, LoraConfig
from madang.auto.building import dotted, draw_fresh
from madang.auto.model import Model
from madang.checkpoints.config import CONFIG_NAME, SOURCE_OPTIONS, Config, read_config, read_json
from madang.checkpoints.load import fill
from madang.checkpoints.save import is_weights_file
from madang.checkpoints.tensors import Stored, open_stored
from madang.client import Source, open_source
from madang.errors import CheckpointError, ConfigError, InputError, MissingFileError, unknown_name
from madang.notices import notice
from madang.ops.devices import place

# accepted because people write them; loading is always lean and safe, so there is nothing for them to change
NO_EFFECT = {
    "low_cpu_mem_usage",
    "_fast_init",
    "use_safetensors",
    "weights_only",
    "resume_download",
    "offload_state_dict",
    "force_download",
    "trust_remote_code",  # code from a repository is never run; a family that is not here is an error of its own
}
REFUSED = {
    "proxies": "set HTTPS_PROXY in the environment instead",
    "from_tf": "TensorFlow files are not read",
    "from_flax": "Flax files are not read",
    "quantization_config": "quantised loading is not there yet",
    "load_in_8bit": "quantised loading is not there yet",
    "load_in_4bit": "quantised loading is not there yet",
}


def load(
    cls: type[Model], name_or_path: str | os.PathLike[str], *, output_loading_info: bool = False, **options: Any
) -> Any:
    """A `cls` with the weights saved at `name_or_path`, in evaluation mode; of an adapter, its base model with it on.

    Takes revision, subfolder, token, cache_dir and local_files_only (where to look), the arguments of `load_whole`,
    and any key of config.json (num_labels, id2label, …), which then overrides the file's. With `output_loading_info`
    the result is (model, info). For adapters also `is_trainable`: it learns further.
    """
    where = {key: options.pop(key) for key in SOURCE_OPTIONS if key in options}
    source = open_source(name_or_path, **where)
    is_adapter = source.path(ADAPTER_CONFIG) is not None
    model = load_adapted(cls, source, where, **options) if is_adapter else load_whole(cls, source, **options)
    report = model.loading_report
    if report is not None and (message := str(report)):
        notice(message, LoadingWarning)
    return (model, report.info() if report is not None else {}) if output_loading_info else model


def load_adapted(
    cls: type[Model],
    source: Source,
    where: Mapping[str, Any],
    *,
    config: Config | None = None,
    is_trainable: bool = False,
    **options: Any,
) -> Model:
    """The base model that the adapter in `source` names, with the adapter on it."""
    base = base_of(source, where)
    if config is None and source.path(ADAPTED_CONFIG) is not None:
        # the base model's, with what was changed for the adapter: the names of the classes
        config = configured(cls, config_values(source, where), base.name, None, {})
    model = load_whole(cls, base, config=config, **options)
    return model.load_adapter(source, is_trainable=is_trainable)


def base_of(source: Source, where: Mapping[str, Any]) -> Source:
    """Where the model is that the adapter in `source` was made for: beside it, or where its config says.

    `where` tells about caches and tokens.
    """
    if source.folder is not None and source.path(CONFIG_NAME) and any(map(is_weights_file, os.listdir(source.folder))):
        return source
    adapter = LoraConfig.from_source(source)
    advice = f"Load it yourself, then model.load_adapter({source.name!r}) puts the adapter on."
    if not adapter.base_model_name_or_path:
        raise CheckpointError(
            f"the {ADAPTER_CONFIG} of {source.name} does not say for which model it was made. {advice}"
        )
    found = {key: value for key, value in where.items() if key not in ("revision", "subfolder")}
    try:
        return open_source(adapter.base_model_name_or_path, **found, revision=adapter.revision)
    except MissingFileError as error:
        raise MissingFileError(f"the adapter {source.name} needs its base model, but {error} {advice}") from error


def config_values(source: Source, where: Mapping[str, Any]) -> dict[str, Any]:
    """The content of config.json; for an adapter what it kept of it, or its base model's."""
    if source.path(ADAPTER_CONFIG) is None:
        return read_config(source)
    kept = source.path(ADAPTED_CONFIG)
    return read_config(base_of(source, where)) if kept is None else read_json(kept)


def load_whole(
    cls: type[Model],
    source: Source,
    *,
    config: Config | None = None,
    dtype: str | torch.dtype | None = None,
    torch_dtype: str | torch.dtype | None = None,
    ignore_mismatched_sizes: bool = False,
    attn_implementation: str | None = None,
    variant: str | None = None,
    device: torch.device | str | int | None = None,
    device_map: Mapping[str, Any] | torch.device | str | int | None = None,
    **options: Any,
) -> Model:
    """A `cls` with the weights in `source`, in evaluation mode.

    Also takes add_pooling_layer and any key of config.json. `dtype` is the file's unless given; "auto" says the same.
    `device` (or `device_map`: "auto" is a GPU if there is one) is where the weights go; the CPU unless given.
    """
    _refuse(options)
    building = {key: options.pop(key) for key in ("add_pooling_layer",) if key in options}
    config = configured(cls, read_config(source) if config is None else {}, source.name, config, options)
    stored = open_stored(source, variant)
    wanted = _dtype(dtype if dtype is not None else torch_dtype)
    _decide_tying(cls, config, stored)
    with torch.device("meta"):
        model = cls.__new__(cls)
        Model.__init__(model, config, attn_implementation=attn_implementation, **building)
    origin = source.name + (f" at {source.commit[:12]}" if source.commit else "")
    model.loading_report = fill(
        model,
        model.naming,
        stored,
        source=origin,
        draw=draw_fresh,  # type: ignore[arg-type]  # the model is a Model
        dtype=wanted,
        ignore_mismatched_sizes=ignore_mismatched_sizes,
        device=place(device if device is not None else device_map),
    )
    model.tie_weights()
    model.name_or_path = source.name
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    model.eval()
    _read_generation_config(model, source)
    return model


class LoadingWarning(UserWarning):
    """Some parameters are new, or something in the file was of no use."""


def configured(
    cls: type[Model],
    values: Mapping[str, Any],
    name: str,
    config: Config | None,
    overrides: Mapping[str, Any],
) -> Config:
    """The config given, or `values`, those of the model called `name`, with `overrides`; an unknown key is an error."""
    known = {*cls.config_class.defaults, *cls.config_class.spellings, "num_labels", "torch_dtype"}
    if config is None:
        found = values.get("model_type")
        if found is not None and found != cls.config_class.model_type:
            raise ConfigError(
                f"{name} is a {found!r} model; {cls.__name__} is for "
                f"{cls.config_class.model_type!r}. "
                "AutoModel and its relatives choose the class by themselves."
            )
        for key in overrides:
            if key not in known and key not in values:
                raise unknown_name("argument of from_pretrained", key, {*known, *SOURCE_OPTIONS, "dtype"})
        return cls.config_class.from_dict(values, **{"_name_or_path": name, **overrides})
    config = copy.deepcopy(config)  # the caller's stays as it is
    for key, value in overrides.items():
        if key not in known:
            raise unknown_name("argument of from_pretrained", key, {*known, *SOURCE_OPTIONS, "dtype"})
        setattr(config, key, value)
    return config


def _refuse(options: dict[str, Any]) -> None:
    for key, reason in REFUSED.items():
        if options.pop(key, None):
            raise InputError(f"{key} is not possible: {reason}.")
    for key in NO_EFFECT & set(options):
        del options[key]


def _dtype(asked: str | torch.dtype | None) -> torch.dtype | None:
    """None: as in the file."""
    if asked is None or asked == "auto" or isinstance(asked, torch.dtype):
        return asked if isinstance(asked, torch.dtype) else None
    found = getattr(torch, str(asked).removeprefix("torch."), None)
    if not isinstance(found, torch.dtype) or not found.is_floating_point:
        raise unknown_name("dtype", str(asked), ("auto", "float32", "float16", "bfloat16", "float64"))
    return found


def _decide_tying(cls: type[Model], config: Config, stored: Stored) -> None:
    """A file with an output matrix of its own wins over the family's default, but not over a word in config.json."""
    tied = cls.recipe.tied
    if tied is None or not config.tie_word_embeddings or "tie_word_embeddings" in config.given:
        return
    module, _, leaf = tied.rpartition(".")
    disk = next((name for name, entry in cls.recipe.table(config).items() if entry == module), None)
    if disk is None or f"{disk}.{leaf}" not in stored:
        return
    prefix = dotted(cls.family.prefix if cls.recipe.prefix is None else cls.recipe.prefix)
    table = cls.family.weights(config)
    embedding = next(
        (name for name, entry in table.items() if isinstance(entry, str) and entry.endswith("embed.tokens")), ""
    )
    for name in (f"{prefix}{embedding}.weight", f"{embedding}.weight"):
        if name in stored:
            output, tokens = stored.take(f"{disk}.{leaf}"), stored.take(name)
            config.tie_word_embeddings = output.shape == tokens.shape and bool(torch.equal(output, tokens))
            return


def _read_generation_config(model: Model, source: Source) -> None:
    if model.can_generate:
        from madang.generation import GenerationConfig

        path = source.path("generation_config.json")
        model.generation_config = GenerationConfig.from_model(model.config, read_json(path) if path is not None else {})
