"""save_pretrained and push_to_hub: a model's config and weights under their published names."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from madang.adapt import ADAPTED_CONFIG, is_adapter_file, save_adapter
from madang.auto.model import Model
from madang.checkpoints.config import CONFIG_NAME
from madang.checkpoints.save import is_weights_file, published_tensors, save_tensors
from madang.client import push_saved
from madang.errors import CheckpointError, InputError
from madang.writing import staged, write_text


def save(
    model: Model,
    folder: str | os.PathLike[str],
    *,
    max_shard_size: int | str = "5GB",
    state_dict: Mapping[str, Tensor] | None = None,
    push_to_hub: bool = False,
    repo_id: str | None = None,
    safe_serialization: bool = True,
    **options: Any,
) -> None:
    """Write config.json and the weights into `folder`, all or nothing; weights of an earlier save there are replaced.

    Of an adapted model only the adapter is written; where `folder` is that of its base model, that one stays.
    `state_dict`: other values under the model's own names. `safe_serialization=False` (pickles) is refused.
    """
    if not safe_serialization:
        raise InputError("weights are saved as safetensors only: a pickle can run code when somebody opens it.")
    if os.path.isfile(folder):
        raise CheckpointError(f"{os.fspath(folder)} is a file; the folder to save into is expected.")
    model.config.architectures = [type(model).__name__]
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    with staged(folder, stale=_outdated(model, folder)) as part:
        if model.adapter is not None:
            save_adapter(model, part, state_dict)
            write_text(part / ADAPTED_CONFIG, model.config.to_json_string())
        else:
            save_tensors(published_tensors(model, model.naming, state_dict), part, max_shard_size=max_shard_size)
            if model.generation_config is not None:
                model.generation_config.save_pretrained(part)
            model.config.save_pretrained(part)
    if push_to_hub:
        push(model, repo_id or os.path.basename(os.path.abspath(folder)), commit_message="Upload model", **options)


def _outdated(model: Model, folder: str | os.PathLike[str]) -> Callable[[str], bool]:
    """Which files of an earlier save into `folder` would mislead beside what is saved now: other shards, an adapter."""
    if model.adapter is None:
        return lambda name: is_weights_file(name) or is_adapter_file(name) or name == ADAPTED_CONFIG
    base = model.adapter.config.base_model_name_or_path
    if base and os.path.isdir(base) and os.path.isdir(folder) and os.path.samefile(base, folder):
        return is_adapter_file
    # a config.json beside an adapter means, to other readers too, that its base model lies there
    return lambda name: is_weights_file(name) or is_adapter_file(name) or name == CONFIG_NAME


def push(model: Model, repo_id: str, *, commit_message: str, max_shard_size: int | str = "5GB", **options: Any) -> str:
    """Upload what `save` writes to the repository `repo_id` as one commit; returns its address."""
    return push_saved(
        lambda folder: save(model, folder, max_shard_size=max_shard_size),
        repo_id,
        commit_message=commit_message,
        **options,
    )
