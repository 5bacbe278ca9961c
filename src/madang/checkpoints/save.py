"""Writing a model's tensors under their published names, in one file or in shards."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor, nn

from madang.checkpoints.load import Naming
from madang.checkpoints.names import Doubled
from madang.checkpoints.tensors import SAFETENSORS
from madang.errors import InputError
from madang.writing import write_text

# readers of other libraries look for this to know in which framework the matrices were made
METADATA = {"format": "pt"}


def published_tensors(model: nn.Module, naming: Naming, state: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
    """The model's parameters (or those in `state`, under its own names) as they are called and laid out on disk."""
    tensors = model.state_dict() if state is None else dict(state)
    published: dict[str, Tensor] = {}
    for step in naming.steps(model):
        published[step.stored] = step.entry.join([tensors[name] for name in step.parameters]).contiguous()
        if isinstance(step.entry, Doubled):
            # a copy: the file format refuses two names for the same memory
            published[step.entry.other] = published[step.stored].clone()
    return published


def save_tensors(tensors: Mapping[str, Tensor], folder: Path, *, max_shard_size: int | str = "5GB") -> None:
    """Write `tensors` into `folder`, as one safetensors file or as shards of at most `max_shard_size` with an index."""
    from safetensors.torch import save_file

    shards = _shards(tensors, _bytes(max_shard_size))
    if len(shards) == 1:
        save_file(dict(tensors), folder / SAFETENSORS, metadata=METADATA)
        return
    where: dict[str, str] = {}
    for number, shard in enumerate(shards, 1):
        name = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({key: tensors[key] for key in shard}, folder / name, metadata=METADATA)
        where.update(dict.fromkeys(shard, name))
    total = sum(_size(tensor) for tensor in tensors.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(where.items()))}
    write_text(folder / f"{SAFETENSORS}.index.json", json.dumps(index, indent=2) + "\n")


def is_weights_file(name: str) -> bool:
    """Whether a file of this name holds weights as `save_tensors` writes them: after a new save it would mislead."""
    return re.fullmatch(r"model(-\d{5}-of-\d{5})?\.safetensors(\.index\.json)?", name) is not None


def _shards(tensors: Mapping[str, Tensor], most: int) -> list[list[str]]:
    """Names in order, cut where a shard would grow over `most` bytes."""
    shards: list[list[str]] = [[]]
    room = most
    for name, tensor in tensors.items():
        if _size(tensor) > room and shards[-1]:
            shards.append([])
            room = most
        shards[-1].append(name)
        room -= _size(tensor)
    return shards


def _size(tensor: Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _bytes(size: int | str) -> int:
    """5_000_000_000 for "5GB"; numbers stay."""
    if isinstance(size, int):
        return size
    units = {"KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "B": 1}
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([A-Z]+)", size.strip().upper())
    if found is None or found[2] not in units:
        raise InputError(
            f"max_shard_size={size!r} is not a size; write a number of bytes or, for example, '5GB' or '200MB'."
        )
    return int(float(found[1]) * units[found[2]])
