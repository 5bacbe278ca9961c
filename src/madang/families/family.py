"""What a family is: how its body is built, what its tensors are called on disk, and which heads it has."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from madang.blocks.layers import Embedding
from madang.checkpoints.config import Config
from madang.checkpoints.names import IGNORE, Doubled, Table
from madang.heads import Head

BuildBody = Callable[[Any], nn.Module]


@dataclass(frozen=True)
class Recipe:
    """One head of a family: how it is built and what its tensors are called on disk.

    `name` is the class people know; `{stem}` in it is the family's. `pooler`: the body gets its pooler. `prefix` is
    the body's on disk where it differs from the family's. `tied` names the head's parameter that is the embedding table
    itself when the config ties them. `body` builds another body than the family's.
    """

    name: str
    build: Callable[[Any], Head] | None = None
    weights: Table | Callable[[Any], Table] = field(default_factory=dict)
    pooler: bool = False
    prefix: str | None = None
    tied: str | None = None
    body: BuildBody | None = None

    def table(self, config: Any) -> Table:
        """The head's names on disk."""
        return self.weights(config) if callable(self.weights) else self.weights


@dataclass(frozen=True)
class Family:
    """Everything Madang knows about one model type."""

    model_type: str
    stem: str  # of class names: Bert in BertForSequenceClassification
    prefix: str  # of the body's tensors in files that also hold a head
    config: type[Config]
    body: BuildBody
    weights: Callable[[Any], Table]
    recipes: Mapping[str, Recipe]  # task -> head
    pooler: Callable[[Any], nn.Module] | None = None
    spread: Callable[[Any], Mapping[str, float]] | None = (
        None  # parameter pattern -> standard deviation of fresh weights
    )
    main_input: str = "input_ids"


def draw(model: nn.Module, names: list[str], std: float, spread: Mapping[str, float]) -> None:
    """Fresh values for the parameters `names`: matrices normal with `std` (or by `spread`), norms 1, biases 0."""
    for name in names:
        path, _, leaf = name.rpartition(".")
        module = model.get_submodule(path)
        parameter = getattr(module, leaf)
        with torch.no_grad():
            if leaf == "bias":
                parameter.zero_()
            elif parameter.ndim == 1:
                parameter.fill_(1.0)
            else:
                parameter.normal_(0.0, next((s for key, s in spread.items() if fnmatchcase(name, key)), std))
            if isinstance(module, Embedding) and module.padding_idx is not None:
                parameter[module.padding_idx].zero_()


def vocabulary_bias(config: Any, disk: str) -> Table:
    """The bias of the projection onto the vocabulary, in heads that hold it under `disk` and once more in its decoder.

    With tied embeddings the two are one. Else releases of 5 of the reference library read the decoder's alone, those of
    4 the other alone: both are read and saved.
    """
    if config.tie_word_embeddings:
        return {f"{disk}.bias": "output.bias", f"{disk}.decoder.bias": IGNORE}
    return {f"{disk}.decoder.bias": Doubled("output.bias", f"{disk}.bias")}


def residual_spread(std: float, layers: int) -> float:
    """The spread of projections that end in the residual stream, smaller the deeper the model (GPT-2)."""
    return std / math.sqrt(2 * layers)
