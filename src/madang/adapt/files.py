"""Adapters on disk: adapter_config.json and adapter_model.safetensors, in the published format, both ways.

A tensor is called `base_model.model.`, the published name of its module, `.lora_A.weight` or `.lora_B.weight`; modules
trained as a whole keep their published names after the same beginning.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from madang.adapt.adaptable import Adaptable, Adapter
from madang.adapt.config import ADAPTER_CONFIG, LoraConfig
from madang.adapt.lora import is_adapters, put_on, set_trainable
from madang.checkpoints.names import Doubled, Step
from madang.client import Source, open_source
from madang.errors import CheckpointError, InputError, MissingFileError

SAFETENSORS, BIN = "adapter_model.safetensors", "adapter_model.bin"
PREFIX = "base_model.model."
# what wraps a changed projection in the published format stands before the name of its own bias
BASE = ".base_layer."
WHOLE = ".modules_to_save."


class PeftModel:
    """A familiar way to write `load_adapter`; adapted models stay what they were, a BertForSequenceClassification."""

    @classmethod
    def from_pretrained(
        cls, model: Adaptable, model_id: str | os.PathLike[str], *, is_trainable: bool = False, **where: Any
    ) -> Adaptable:
        """Put the adapter at `model_id` on `model`, and return `model`.

        Example:
            >>> model = PeftModel.from_pretrained(model, "owner/adapter")
        """
        return load_adapter(model, model_id, is_trainable=is_trainable, **where)


def load_adapter(
    model: Adaptable, name_or_path: str | os.PathLike[str], *, is_trainable: bool = False, **where: Any
) -> Adaptable:
    """Put the adapter in a folder or a repository on `model`; returns the model.

    On a model that has this adapter already (made with the same options), its values are replaced. `is_trainable` lets
    it learn further. Also takes revision, subfolder, token, cache_dir and local_files_only. Raises CheckpointError when
    its tensors do not fit the model, all of them at once.
    """
    source = open_source(name_or_path, **where)
    config = replace(LoraConfig.from_source(source), inference_mode=not is_trainable)
    tensors = _published(_read(source))
    worn = getattr(model, "adapter", None)
    if worn is None:
        adapter = put_on(model, config, strict=False)
        try:
            _fill(model, adapter, tensors, source.name)
        except CheckpointError:
            model.unload()
            raise
        set_trainable(model, is_trainable)
    else:
        _check_same(worn, config)
        _fill(model, worn, tensors, source.name)
    return model


def save_adapter(model: Adaptable, folder: Path, state: Mapping[str, Tensor] | None = None) -> None:
    """Write the adapter of `model` into `folder`; `state` has other values under the model's own names."""
    from safetensors.torch import save_file

    assert model.adapter is not None
    values = model.state_dict() if state is None else state
    tensors: dict[str, Tensor] = {}
    for step in _steps(model, model.adapter):
        joined = step.entry.join([values[name].detach() for name in step.parameters]).contiguous()
        tensors[PREFIX + _wrapped(step, model.adapter)] = joined
        if isinstance(step.entry, Doubled):
            tensors[PREFIX + step.entry.other] = joined.clone()
    save_file(tensors, folder / SAFETENSORS, metadata={"format": "pt"})
    model.adapter.config.save_pretrained(folder)


def is_adapter_file(name: str) -> bool:
    """Whether a file of this name is part of an adapter: beside a whole model it would mislead."""
    return name in (SAFETENSORS, BIN, ADAPTER_CONFIG)


def _steps(model: Adaptable, adapter: Adapter) -> list[Step]:
    """Where on disk everything is that belongs to the adapter."""
    return [
        step
        for step in model.naming.steps(model)
        if any(name in adapter.before or is_adapters(adapter, name) for name in step.parameters)
    ]


def _wrapped(step: Step, adapter: Adapter) -> str:
    module, _, leaf = step.stored.rpartition(".")
    changed = step.parameters[0].rpartition(".")[0] in adapter.layers
    return module + BASE + leaf if changed else step.stored


def _published(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a file under the names that the same parameters have in whole models."""
    found: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        plain = name.removeprefix(PREFIX).replace(BASE, ".")
        if ".original_module." in plain:
            continue  # the value before, which some files have by the way
        if WHOLE in plain:
            found.setdefault(plain.replace(WHOLE, "."), tensor)
        else:
            found[plain] = tensor
    return found


def _fill(model: Adaptable, adapter: Adapter, tensors: Mapping[str, Tensor], source: str) -> None:
    """Put the stored values into the model's parameters, in place; nothing is changed when they do not fit."""
    everything = {step.stored: step for step in model.naming.steps(model)}
    twins = {step.entry.other for step in everything.values() if isinstance(step.entry, Doubled)}
    parameters = dict(model.state_dict(keep_vars=True))
    wanted = {step.stored for step in _steps(model, adapter)}
    misfits: list[str] = []
    values: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        if name in twins and name not in everything:
            continue
        if name not in everything:
            misfits.append(f"{name}: this model has no place for it")
            continue
        step = everything[name]
        shapes = [parameters[part].shape for part in step.parameters]
        if tensor.shape != (expected := step.entry.stored_shape(shapes)):
            misfits.append(f"{name}: the file has {tuple(tensor.shape)}, this model {tuple(expected)}")
            continue
        values.update(zip(step.parameters, step.entry.split(tensor, shapes), strict=True))
    misfits += [f"{name}: missing in the file" for name in sorted(wanted - tensors.keys())]
    if misfits:
        raise _does_not_fit(model, adapter, source, misfits)
    with torch.no_grad():
        for name, value in values.items():
            if name not in adapter.before and not is_adapters(adapter, name):
                # a part of the model that was saved without being asked for: a table with new words
                adapter.before[name] = parameters[name].detach().clone()
            parameters[name].copy_(value)
    _report(model, tensors)


def _report(model: Adaptable, brought: Iterable[str]) -> None:
    """What the adapter brought is no longer drawn at random."""
    if (report := model.loading_report) is not None:
        report.missing = [name for name in report.missing if name not in brought]
        report.mismatched = [entry for entry in report.mismatched if entry[0] not in brought]


def _check_same(adapter: Adapter, config: LoraConfig) -> None:
    aside = ("base_model_name_or_path", "revision", "inference_mode", "init_lora_weights", "fan_in_fan_out")
    worn, found = adapter.config.to_dict(), config.to_dict()
    for key in worn.keys() | found.keys():
        one, other = worn.get(key), found.get(key)
        if key not in aside and (sorted(one) if isinstance(one, list) else one) != (
            sorted(other) if isinstance(other, list) else other
        ):
            raise InputError(
                f"the model has another adapter already ({key}={one!r}, the file's has {other!r}); merge_and_unload() "
                "or unload() takes it off."
            )


def _does_not_fit(model: Adaptable, adapter: Adapter, source: str, misfits: list[str]) -> CheckpointError:
    shown = [f"  {line}" for line in misfits[:12]] + ([f"  … {len(misfits)} in all"] if len(misfits) > 12 else [])
    base = adapter.config.base_model_name_or_path
    made = f" It was made for {base}." if base else ""
    return CheckpointError(
        "\n".join(
            [
                f"the adapter {source} does not fit this {type(model).__name__}.{made}",
                *shown,
                "Load it on the model it was made for, with the same head, num_labels and number of tokens.",
            ]
        )
    )


def _read(source: Source) -> dict[str, Tensor]:
    """The adapter's tensors under the names in the file; no code of the file is run."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if (file := source.path(SAFETENSORS)) is not None:
        try:
            return load_file(file)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"{file} is damaged or no safetensors file ({error}). Download it again.") from error
    if (file := source.path(BIN)) is None:
        raise MissingFileError(f"{source.place} has no adapter: neither {SAFETENSORS} nor {BIN}.")
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise CheckpointError(
            f"{file} is damaged, or holds more than tensors, which is never run ({str(error).splitlines()[0]})."
        ) from error
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{file} holds a {type(tensors).__name__}; a mapping of names to tensors is expected.")
    return {str(name): tensor for name, tensor in tensors.items() if isinstance(tensor, Tensor)}
