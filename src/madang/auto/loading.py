"""from_pretrained: from a folder or a repository to a model."""

from __future__ import annotations

import copy
import os
from collections.abc import Mapping
from typing import Any

import torch

from madang.auto.building import dotted, draw_fresh
from madang.auto.model import Model
from madang.checkpoints.config import SOURCE_OPTIONS, Config, read_config, read_json
from madang.checkpoints.load import fill
from madang.checkpoints.tensors import Stored, open_stored
from madang.client import Source, open_source
from madang.errors import ConfigError, InputError, unknown_name
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
    cls: type[Model],
    name_or_path: str | os.PathLike[str],
    *,
    config: Config | None = None,
    dtype: str | torch.dtype | None = None,
    torch_dtype: str | torch.dtype | None = None,
    ignore_mismatched_sizes: bool = False,
    output_loading_info: bool = False,
    attn_implementation: str | None = None,
    variant: str | None = None,
    device: torch.device | str | int | None = None,
    device_map: Mapping[str, Any] | torch.device | str | int | None = None,
    **options: Any,
) -> Any:
    """A `cls` with the weights saved at `name_or_path`, in evaluation mode.

    Also takes revision, subfolder, token, cache_dir and local_files_only (where to look), add_pooling_layer, and any
    key of config.json (num_labels, id2label, …), which then overrides the file's. `dtype` is the file's unless given;
    "auto" says the same. `device` (or `device_map`: "auto" is a GPU if there is one) is where the weights go; the CPU
    unless given. With `output_loading_info` the result is (model, info).
    """
    where = {key: options.pop(key) for key in SOURCE_OPTIONS if key in options}
    _refuse(options)
    building = {key: options.pop(key) for key in ("add_pooling_layer",) if key in options}
    source = open_source(name_or_path, **where)
    config = configured(cls, source, name_or_path, config, options)
    stored = open_stored(source, variant)
    wanted = _dtype(dtype if dtype is not None else torch_dtype)
    _decide_tying(cls, config, stored)
    with torch.device("meta"):
        model = cls.__new__(cls)
        Model.__init__(model, config, attn_implementation=attn_implementation, **building)
    origin = os.fspath(name_or_path) + (f" at {source.commit[:12]}" if source.commit else "")
    report = fill(
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
    model.loading_report = report
    model.name_or_path = os.fspath(name_or_path)
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    model.eval()
    _read_generation_config(model, source)
    if message := str(report):
        notice(message, LoadingWarning)
    return (model, report.info()) if output_loading_info else model


class LoadingWarning(UserWarning):
    """Some parameters are new, or something in the file was of no use."""


def configured(
    cls: type[Model],
    source: Source,
    name_or_path: str | os.PathLike[str],
    config: Config | None,
    overrides: Mapping[str, Any],
) -> Config:
    """The config given, or that of the source, with `overrides`; a key nobody knows is an error."""
    known = {*cls.config_class.defaults, *cls.config_class.spellings, "num_labels", "torch_dtype"}
    if config is None:
        values = read_config(source)
        found = values.get("model_type")
        if found is not None and found != cls.config_class.model_type:
            raise ConfigError(
                f"{os.fspath(name_or_path)} is a {found!r} model; {cls.__name__} is for "
                f"{cls.config_class.model_type!r}. "
                "AutoModel and its relatives choose the class by themselves."
            )
        for key in overrides:
            if key not in known and key not in values:
                raise unknown_name("argument of from_pretrained", key, {*known, *SOURCE_OPTIONS, "dtype"})
        return cls.config_class.from_dict(values, **{"_name_or_path": os.fspath(name_or_path), **overrides})
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
