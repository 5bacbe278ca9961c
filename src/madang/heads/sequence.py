"""One answer for a whole text or image: classes, several classes at once, or numbers."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from madang.blocks.context import States
from madang.errors import ConfigError, InputError, unknown_name
from madang.heads.head import Head, moved_right
from madang.ops.losses import binary_cross_entropy, count_labels, squared_error

PROBLEMS = ("regression", "single_label_classification", "multi_label_classification")


class SequenceClassification(Head):
    """output(transform(pool(tokens))): `classes` numbers per text.

    `problem` is the config's problem_type. None: the labels tell, each time anew. One class is regression, whole
    numbers are classes, floating point numbers are several classes at once. `start` begins what a decoder reads.
    """

    reads_source = True

    def __init__(
        self,
        pool: nn.Module,
        output: nn.Linear,
        problem: str | None = None,
        transform: nn.Module | None = None,
        *,
        start: int = 0,
    ) -> None:
        super().__init__()
        if problem is not None and problem not in PROBLEMS:
            raise unknown_name("problem_type", problem, PROBLEMS)
        self.pool, self.transform, self.output = pool, transform or nn.Identity(), output
        self.problem, self.start = problem, start
        self.first_only = getattr(pool, "first_only", False)

    def forward(self, states: States) -> dict[str, Tensor]:
        """-> logits (B, classes)."""
        return {"logits": self.output(self.transform(self.pool(states)))}

    def decoder_inputs(self, labels: Mapping[str, Tensor | None], source: Tensor | None) -> Tensor | None:
        """The text itself, moved right by one after `start`."""
        return None if source is None else moved_right(source, self.start, self.start)

    def loss(self, answers: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> Tensor:
        """Summed over texts, or over texts and classes where each class is a target of its own."""
        logits, target = answers["logits"], labels["labels"]
        problem = self.kind(target)
        if problem == "single_label_classification":
            self._check_classes(logits, target)
            return self.cross_entropy(logits, target)
        if self.smoothing:
            raise InputError(
                f"labels of the type {target.dtype} say {problem}, where label smoothing has no meaning: leave "
                "label_smoothing_factor at 0, or give whole numbers (class ids)."
            )
        if target.numel() != logits.numel():
            raise InputError(
                f"labels of shape {tuple(target.shape)} do not fit logits of shape {tuple(logits.shape)} ({problem}): "
                "one number per text and class is expected."
            )
        loss = squared_error if problem == "regression" else binary_cross_entropy
        return loss(logits, target.view_as(logits))

    @property
    def can_smooth(self) -> bool:
        """Not regression, nor several classes at once; where only the labels tell, `loss` refuses these."""
        if self.problem is not None:
            return self.problem == "single_label_classification"
        return self.output.out_features > 1

    def count(self, labels: Mapping[str, Tensor]) -> Tensor:
        """Texts, or texts times classes."""
        target = labels["labels"]
        if self.kind(target) == "single_label_classification":
            return count_labels(target)
        return torch.tensor(target.numel(), device=target.device)

    def kind(self, target: Tensor) -> str:
        """Which of the problem types these labels belong to."""
        if self.problem is not None:
            if self.problem == "single_label_classification" and target.is_floating_point():
                raise InputError(
                    f"labels are {target.dtype}, but problem_type {self.problem!r} needs whole numbers (class ids)."
                )
            return self.problem
        if self.output.out_features == 1:
            return "regression"
        return "multi_label_classification" if target.is_floating_point() else "single_label_classification"

    def _check_classes(self, logits: Tensor, target: Tensor) -> None:
        if target.numel() != len(logits):
            raise InputError(f"{target.numel()} labels for {len(logits)} texts; one class id per text is expected.")
        # on a GPU this look would make the loop wait; there the kernel itself stops at a wrong class
        if target.device.type == "cpu" and target.numel() and int(target.max()) >= logits.shape[-1]:
            raise ConfigError(
                f"label {int(target.max())} does not exist: this head has {logits.shape[-1]} classes, 0 to "
                f"{logits.shape[-1] - 1}. Load the model with num_labels={int(target.max()) + 1} or more."
            )
