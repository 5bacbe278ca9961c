"""save_pretrained and push_to_hub: a model's config and weights under their published names."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from madang.auto.model import Model
from madang.checkpoints.save import is_weights_file, published_tensors, save_tensors
from madang.client import push_saved
from madang.errors import CheckpointError, InputError
from madang.writing import staged


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

    `state_dict`: other values under the model's own names. `safe_serialization=False` (pickles) is refused.
    """
    if not safe_serialization:
        raise InputError("weights are saved as safetensors only: a pickle can run code when somebody opens it.")
    if os.path.isfile(folder):
        raise CheckpointError(f"{os.fspath(folder)} is a file; the folder to save into is expected.")
    model.config.architectures = [type(model).__name__]
    model.config.dtype = str(model.dtype).removeprefix("torch.")
    with staged(folder, stale=is_weights_file) as part:
        save_tensors(published_tensors(model, model.naming, state_dict), part, max_shard_size=max_shard_size)
        if model.generation_config is not None:
            model.generation_config.save_pretrained(part)
        model.config.save_pretrained(part)
    if push_to_hub:
        push(model, repo_id or os.path.basename(os.path.abspath(folder)), commit_message="Upload model", **options)


def push(model: Model, repo_id: str, *, commit_message: str, max_shard_size: int | str = "5GB", **options: Any) -> str:
    """Upload what `save` writes to the repository `repo_id` as one commit; returns its address."""
    return push_saved(
        lambda folder: save(model, folder, max_shard_size=max_shard_size),
        repo_id,
        commit_message=commit_message,
        **options,
    )
