"""What every head has: logits from hidden states, a loss as a sum, and the number of targets in it."""

from abc import ABC, abstractmethod
from collections.abc import Mapping

from torch import Tensor, nn
from torch.nn.functional import pad

from madang.blocks.context import States
from madang.errors import InputError
from madang.ops.losses import IGNORED, count_labels, cross_entropy


class Head(nn.Module, ABC):
    """A head gives logits; with labels also the sum of the loss over targets and how many targets there were.

    The kind of loss belongs to the head. It is never a mean: whoever knows all micro-batches of a step divides.
    """

    label_names: tuple[str, ...] = ("labels",)
    first_only = False  # whether of all tokens only each text's first is read
    choices = False  # whether inputs come as (B, choices, T)
    reads_source = False  # whether an encoder-decoder's decoder reads the text that its encoder reads
    _smoothing = 0.0

    @abstractmethod
    def forward(self, states: States) -> dict[str, Tensor]:
        """Named answers, "logits" for most heads."""

    def loss(self, answers: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
        """The loss summed over all targets, ()."""
        return self.cross_entropy(answers["logits"], labels["labels"])

    def cross_entropy(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The summed cross entropy, of labels that are smoothed in training mode: (…, C), (…) -> ()."""
        return cross_entropy(logits, labels, self.smoothing if self.training else 0.0)

    @property
    def can_smooth(self) -> bool:
        """Whether the loss is a cross entropy over classes, so that `smoothing` has a meaning."""
        return True

    @property
    def smoothing(self) -> float:
        """The part of every label that `loss` spreads over all classes in training mode, 0 to 1.

        Setting it is an InputError where the loss has no classes.
        """
        return self._smoothing

    @smoothing.setter
    def smoothing(self, part: float) -> None:
        if not 0 <= part <= 1:
            raise InputError(f"label smoothing is a part of a label, 0 to 1, not {part}.")
        if part and not self.can_smooth:
            raise InputError(
                f"{type(self).__name__} has no classes here over which labels could be smoothed: label smoothing "
                "belongs to losses that are cross entropies. Leave label_smoothing_factor at 0."
            )
        self._smoothing = part

    def targets(self, labels: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The labels with IGNORED wherever there is nothing to foretell: `loss` and `count` take these."""
        return labels

    def count(self, labels: Mapping[str, Tensor]) -> Tensor:
        """The number of targets, ()."""
        return count_labels(labels["labels"])

    def decoder_inputs(self, labels: Mapping[str, Tensor | None], source: Tensor | None) -> Tensor | None:
        """What an encoder-decoder's decoder reads when it was given nothing itself; None where nobody can tell."""
        return None


def without_padding(labels: Tensor, mask: Tensor | None) -> Tensor:
    """(B, T) labels, IGNORED where the mask (B, T) says padding: how wide a batch was padded must not matter."""
    return labels if mask is None or mask.shape != labels.shape else labels.masked_fill(mask == 0, IGNORED)


def moved_right(ids: Tensor, start: int, padding: int) -> Tensor:
    """start, id 0, id 1, …: what a decoder reads so that it foretells `ids` (B, T); ignored labels become padding."""
    if ids.ndim != 2:
        raise InputError(f"ids and labels must have the shape (batch, tokens); found {tuple(ids.shape)}.")
    moved = pad(ids[:, :-1], (1, 0), value=start)
    return moved.masked_fill(moved == IGNORED, padding)
