"""Names in files <-> names in models: one table per family, read in both directions.

A table maps a name on disk to where it lives in the model. `{i}` and `{j}` stand for numbers. A name without its last
part (`.weight`, `.bias`) covers all of a module's parameters; a complete name covers one.

    "h.{i}.ln_1":        "blocks.{i}.attention_norm",
    "h.{i}.attn.c_attn": Transposed(Fused("blocks.{i}.attention.query", "blocks.{i}.attention.key", …)),
    "h.{i}.attn.bias":   IGNORE,
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Rename:
    """One tensor on disk, the same tensor in the model."""

    target: str

    @property
    def targets(self) -> tuple[str, ...]:
        """Where the parts live in the model."""
        return (self.target,)

    def split(self, stored: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
        """From disk to the model: the parts of the `stored` tensor, which have these `shapes`."""
        return [stored]

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        """From the model to disk, the inverse of `split`."""
        return parts[0]

    def stored_shape(self, shapes: Sequence[torch.Size]) -> torch.Size:
        """The shape on disk of parts of these `shapes`."""
        return torch.Size(shapes[0])


@dataclass(frozen=True, init=False)
class Fused(Rename):
    """Several matrices stored as one, rows after rows: query, key and value."""

    parts: tuple[str, ...]

    def __init__(self, *parts: str) -> None:
        object.__setattr__(self, "parts", parts)

    @property
    def targets(self) -> tuple[str, ...]:
        return self.parts

    def split(self, stored: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
        return list(stored.split([shape[0] for shape in shapes]))

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        return torch.cat(list(parts))

    def stored_shape(self, shapes: Sequence[torch.Size]) -> torch.Size:
        return torch.Size((sum(shape[0] for shape in shapes), *shapes[0][1:]))


@dataclass(frozen=True, init=False)
class Transposed(Rename):
    """A matrix stored (in, out), as GPT-2's Conv1D does; vectors stay as they are."""

    inner: Rename

    def __init__(self, inner: Rename | str) -> None:
        object.__setattr__(self, "inner", Rename(inner) if isinstance(inner, str) else inner)

    @property
    def targets(self) -> tuple[str, ...]:
        return self.inner.targets

    def split(self, stored: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
        return self.inner.split(stored.t() if stored.ndim == 2 else stored, shapes)

    def join(self, parts: Sequence[Tensor]) -> Tensor:
        joined = self.inner.join(parts)
        return joined.t() if joined.ndim == 2 else joined

    def stored_shape(self, shapes: Sequence[torch.Size]) -> torch.Size:
        return torch.Size(reversed(self.inner.stored_shape(shapes)))


@dataclass(frozen=True)
class Doubled(Rename):
    """One parameter under two names in files: the entry's, which counts, and `other`, read in its absence."""

    other: str


@dataclass(frozen=True)
class Ignore:
    """A tensor of old files that says nothing: a mask, position numbers."""


IGNORE = Ignore()
Table = Mapping[str, str | Rename | Ignore]


@dataclass(frozen=True)
class Step:
    """One tensor on disk and the parameters of the model it holds."""

    stored: str
    entry: Rename
    parameters: tuple[str, ...]


def plan(table: Table, parameters: Iterable[str]) -> list[Step]:
    """For every one of the model's `parameters` the tensor on disk that holds it.

    The parameters drive: an entry that no parameter needs stays unused, so a table needs no conditions. A parameter
    that no entry covers is a mistake in the table and raises KeyError.
    """
    wanted: dict[str, tuple[str, Rename, int]] = {}
    for disk, entry in table.items():
        if isinstance(entry, Ignore):
            continue
        rename = Rename(entry) if isinstance(entry, str) else entry
        for part, target in enumerate(rename.targets):
            wanted[_shape_of(target)] = (disk, rename, part)
    steps: dict[str, dict[int, str]] = {}
    entries: dict[str, Rename] = {}
    for name in parameters:
        disk, rename, part = _stored_name(name, wanted)
        entries[disk] = rename
        steps.setdefault(disk, {})[part] = name
    return [Step(disk, entries[disk], tuple(parts[i] for i in sorted(parts))) for disk, parts in steps.items()]


def _stored_name(name: str, wanted: Mapping[str, tuple[str, Rename, int]]) -> tuple[str, Rename, int]:
    stem, _, leaf = name.rpartition(".")
    for key, ending in ((name, ""), (stem, f".{leaf}")):
        if (found := wanted.get(_shape_of(key))) is not None:
            disk, rename, part = found
            return _numbered(disk, key) + ending, rename, part
    raise KeyError(f"no entry of the weight table covers the parameter {name!r}")


def _numbered(disk: str, name: str) -> str:
    """The name on disk with the numbers that `name` has, in order."""
    numbers = iter(_NUMBER.findall(name))
    return _HOLE.sub(lambda _: next(numbers), disk)


_NUMBER = re.compile(r"(?<=\.)\d+(?=\.|$)")
_HOLE = re.compile(r"\{\w\}")


def _shape_of(name: str) -> str:
    """The name with its numbers, or the holes for them, made alike."""
    return _HOLE.sub("#", _NUMBER.sub("#", name))


def ignored(table: Table, name: str) -> bool:
    """Whether the table says that the tensor called `name` on disk means nothing."""
    return any(
        isinstance(entry, Ignore)
        and re.fullmatch(_HOLE.sub(r"\\d+", re.escape(disk).replace(r"\{", "{").replace(r"\}", "}")), name)
        for disk, entry in table.items()
    )


def covered(table: Table, name: str) -> bool:
    """Whether the table has any entry for the tensor called `name` on disk."""
    stem = name.rpartition(".")[0]
    shapes = {_shape_of(disk) for disk, entry in table.items() if not isinstance(entry, Ignore)}
    return _shape_of(name) in shapes or _shape_of(stem) in shapes


def modern(name: str) -> str:
    """A historic spelling in today's form: old files say gamma and beta for the scale and shift of a norm."""
    if name.endswith(".gamma"):
        return name.removesuffix("gamma") + "weight"
    return name.removesuffix("beta") + "bias" if name.endswith(".beta") else name
