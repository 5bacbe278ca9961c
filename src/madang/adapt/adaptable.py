"""What an adapted model can do besides: its methods, and what it remembers of its adapter."""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

from torch import Tensor, nn

from madang.checkpoints.load import Naming
from madang.checkpoints.report import LoadingReport

if TYPE_CHECKING:
    from madang.adapt.config import LoraConfig


@dataclass
class Adapter:
    """What was put on a model: the changed modules, and the model's own parameters that learn too.

    `layers` are names of modules, `before` maps names of parameters to their values without the adapter; both are the
    model's own names.
    """

    config: LoraConfig
    layers: list[str]
    before: dict[str, Tensor]


class Adaptable(nn.Module, ABC):
    """A model that adapters can be put on. Without one, `adapter` is None."""

    adapter: Adapter | None = None
    task: ClassVar[str | None]
    loading_report: LoadingReport | None
    name_or_path: str

    @property
    @abstractmethod
    def naming(self) -> Naming:
        """How the parameters are called on disk."""

    def add_adapter(self, adapter_config: LoraConfig) -> Self:
        """Put a new adapter on the model and freeze the rest; see `madang.adapt.attach`."""
        from madang.adapt.lora import attach

        attach(self, adapter_config)
        return self

    def load_adapter(self, name_or_path: str | os.PathLike[str], *, is_trainable: bool = False, **where: Any) -> Self:
        """Put the adapter in a folder or a repository on the model; see `madang.adapt.load_adapter`."""
        from madang.adapt.files import load_adapter

        load_adapter(self, name_or_path, is_trainable=is_trainable, **where)
        return self

    def merge_and_unload(self, *, safe_merge: bool = False) -> Self:
        """Add the changes to the model's matrices and take the adapter off: a plain model with the same answers.

        With `safe_merge`, numbers that are not finite are an error, and the model stays as it was.
        """
        from madang.adapt.lora import merge

        merge(self, safe=safe_merge)
        return self

    def unload(self) -> Self:
        """Take the adapter off: the model as it was before."""
        from madang.adapt.lora import remove

        remove(self)
        return self

    def disable_adapter(self) -> AbstractContextManager[None]:
        """Inside the block the model answers as it did without the adapter.

        Example:
            >>> with model.disable_adapter():
            ...     before = model(**inputs).logits
        """
        from madang.adapt.lora import disabled

        return disabled(self)

    def get_nb_trainable_parameters(self) -> tuple[int, int]:
        """How many numbers learn, and how many there are."""
        learning = sum(parameter.numel() for parameter in self.parameters() if parameter.requires_grad)
        return learning, sum(parameter.numel() for parameter in self.parameters())

    def print_trainable_parameters(self) -> None:
        """One line: how many numbers learn, how many there are, and how much that is in percent."""
        learning, everything = self.get_nb_trainable_parameters()
        share = 100 * learning / everything
        sys.stdout.write(f"trainable params: {learning:,d} || all params: {everything:,d} || trainable%: {share:.4f}\n")
