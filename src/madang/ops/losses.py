"""Losses as sums over targets, and how many targets there are.

A head adds up; whoever knows how many targets the whole optimisation step has divides, once. A mean of means would
depend on how the step is split into micro-batches.
"""

import torch
from torch import Tensor
from torch.nn import functional

from madang.errors import InputError

IGNORED = -100  # a label that is not a target


def cross_entropy(logits: Tensor, labels: Tensor, smoothing: float = 0.0) -> Tensor:
    """Sum of -log softmax(logits)[label] over labels that are not IGNORED: (…, C), (…) -> ().

    `smoothing` is the part of a label that is spread evenly over all classes (Szegedy et al. 2016): with it a target's
    loss is (1 - smoothing) * -log p[label] + smoothing * the mean over classes of -log p.
    """
    if labels.numel() != logits.numel() // logits.shape[-1]:
        raise InputError(f"labels of shape {tuple(labels.shape)} do not fit logits of shape {tuple(logits.shape)}.")
    # on a GPU this look would make the loop wait; there the kernel itself stops at a wrong class
    if labels.device.type == "cpu" and labels.numel():
        wrong = labels[(labels >= logits.shape[-1]) | ((labels < 0) & (labels != IGNORED))]
        if len(wrong):
            raise InputError(f"label {int(wrong[0])} does not exist: there are {logits.shape[-1]} classes, from 0.")
    # float32: a sum over thousands of tokens in half precision loses the last ones
    return functional.cross_entropy(
        logits.flatten(0, -2).float(),
        labels.flatten().long(),
        ignore_index=IGNORED,
        reduction="sum",
        label_smoothing=smoothing,
    )


def squared_error(predicted: Tensor, labels: Tensor) -> Tensor:
    """Sum of (predicted - label)² over all elements."""
    return functional.mse_loss(predicted.flatten().float(), labels.flatten().float(), reduction="sum")


def binary_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Sum over all elements of the binary cross entropy of sigmoid(logits), labels being 0 or 1 of any dtype."""
    return functional.binary_cross_entropy_with_logits(logits.float(), labels.float(), reduction="sum")


def count_labels(labels: Tensor) -> Tensor:
    """How many labels are targets, i.e. not IGNORED, as a 0-d tensor."""
    return torch.count_nonzero(labels != IGNORED)
