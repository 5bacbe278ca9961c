"""The tensors of a saved model, by name, read from disk only when they are taken.

safetensors first; `.bin` files only through torch's weights-only reader, which runs no code from the file.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from madang.checkpoints.config import read_json
from madang.checkpoints.names import modern
from madang.client import Source
from madang.errors import CheckpointError, MissingFileError

SAFETENSORS = "model.safetensors"
BIN = "pytorch_model.bin"


@dataclass
class Stored:
    """Names -> (shape, a function that gives the tensor). On the CPU a tensor is a view of the mapped file."""

    files: list[Path]
    shapes: dict[str, torch.Size] = field(default_factory=dict)
    dtypes: dict[str, torch.dtype] = field(default_factory=dict)
    readers: dict[str, Callable[[], Tensor]] = field(default_factory=dict)

    def __contains__(self, name: str) -> bool:
        return name in self.readers

    def take(self, name: str) -> Tensor:
        """The tensor called `name`."""
        return self.readers[name]()


def open_stored(source: Source, variant: str | None = None) -> Stored:
    """Find the weights in `source`: one file or shards, safetensors or bin.

    `variant` is the infix as in model.fp16.safetensors.
    """
    for name, index in ((SAFETENSORS, f"{SAFETENSORS}.index.json"), (BIN, f"{BIN}.index.json")):
        name, index = _with_variant(name, variant), _with_variant(index, variant)
        if (single := source.path(name)) is not None:
            return _read([single])
        if (listing := source.path(index)) is not None:
            shards = read_json(listing).get("weight_map")
            if not isinstance(shards, Mapping):
                raise CheckpointError(f"{listing} has no 'weight_map' that says which shard holds which tensor.")
            return _read([source.require(_plain_name(shard, listing)) for shard in sorted(set(shards.values()))])
    raise MissingFileError(
        f"{source.place} has no weights: neither {SAFETENSORS} nor {BIN}, whole or in shards with an index."
    )


def _with_variant(name: str, variant: str | None) -> str:
    stem, _, ending = name.partition(".")
    return f"{stem}.{variant}.{ending}" if variant else name


def _plain_name(shard: Any, listing: Path) -> str:
    """A shard lies beside its index; a path that leads elsewhere is refused."""
    if not isinstance(shard, str) or Path(shard).is_absolute() or ".." in Path(shard).parts:
        raise CheckpointError(f"{listing} names the shard {shard!r}, which does not lie beside it.")
    return shard


def _read(files: list[Path]) -> Stored:
    stored = Stored(files)
    for file in files:
        (_read_safetensors if file.suffix == ".safetensors" else _read_bin)(file, stored)
    return stored


def _read_safetensors(file: Path, stored: Stored) -> None:
    from safetensors import SafetensorError, safe_open

    try:
        opened: Any = safe_open(file, framework="pt")
        for name in opened.keys():  # noqa: SIM118 - not a mapping
            part = opened.get_slice(name)
            spelled = modern(name)
            stored.shapes[spelled] = torch.Size(part.get_shape())
            stored.dtypes[spelled] = _DTYPES.get(part.get_dtype(), torch.float32)
            stored.readers[spelled] = partial(opened.get_tensor, name)
    except (SafetensorError, OSError, struct.error) as error:
        raise CheckpointError(
            f"{file} is damaged or no safetensors file ({error}). Download or save it again."
        ) from error


def _read_bin(file: Path, stored: Stored) -> None:
    try:
        tensors = torch.load(file, map_location="cpu", weights_only=True, mmap=True)
    except RuntimeError:
        tensors = _load_unmapped(file)
    except (pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise _damaged(file, error) from error
    if not isinstance(tensors, Mapping):
        raise CheckpointError(f"{file} holds a {type(tensors).__name__}; a mapping of names to tensors is expected.")
    for name, tensor in tensors.items():
        if isinstance(tensor, Tensor):
            spelled = modern(name)
            stored.shapes[spelled], stored.dtypes[spelled] = tensor.shape, tensor.dtype
            stored.readers[spelled] = tensor.detach


def _load_unmapped(file: Path) -> Any:
    """Files of torch before 1.6 are no zip archives and cannot be mapped."""
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError, OSError) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: Exception) -> CheckpointError:
    reason = str(error).splitlines()[0] if str(error) else type(error).__name__
    return CheckpointError(
        f"{file} is damaged, or holds more than tensors, which is never run ({reason}). Download it again, or convert "
        "it to safetensors where you trust it."
    )


_DTYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
