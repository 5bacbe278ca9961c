"""Losses are sums, so that whoever knows all targets divides once."""

import pytest
import torch
from torch.nn import functional

from madang.errors import InputError
from madang.ops.losses import IGNORED, binary_cross_entropy, count_labels, cross_entropy, squared_error


def test_cross_entropy_sums_over_targets_only():
    logits, labels = torch.randn(2, 5, 7), torch.randint(0, 7, (2, 5))
    labels[0, 2:] = IGNORED
    wanted = -sum(
        logits[row, place].log_softmax(-1)[labels[row, place]]
        for row in range(2)
        for place in range(5)
        if labels[row, place] >= 0
    )
    torch.testing.assert_close(cross_entropy(logits, labels), wanted)
    assert count_labels(labels) == 7


def test_half_precision_is_summed_in_float32():
    logits, labels = torch.randn(3, 4).bfloat16(), torch.tensor([0, 1, 2])
    found = cross_entropy(logits, labels)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, cross_entropy(logits.float(), labels))


def test_nothing_to_foretell_is_zero():
    assert cross_entropy(torch.randn(2, 4), torch.full((2,), IGNORED)) == 0
    assert cross_entropy(torch.randn(0, 4), torch.zeros(0, dtype=torch.long)) == 0


def test_squared_error_and_binary_cross_entropy_are_sums():
    predicted, wanted = torch.randn(3, 2), torch.randint(0, 2, (3, 2))
    torch.testing.assert_close(squared_error(predicted, wanted), ((predicted - wanted) ** 2).sum())
    probability = predicted.sigmoid()
    by_hand = -(wanted * probability.log() + (1 - wanted) * (1 - probability).log()).sum()
    torch.testing.assert_close(binary_cross_entropy(predicted, wanted), by_hand)


def test_int32_labels_are_labels():
    logits = torch.randn(3, 4)
    assert cross_entropy(logits, torch.tensor([1, 2, 3], dtype=torch.int32)) == functional.cross_entropy(
        logits, torch.tensor([1, 2, 3]), reduction="sum"
    )


def test_labels_that_do_not_fit_are_refused_with_both_shapes():
    with pytest.raises(InputError, match=r"\(3, 2\).*\(3, 4\)"):
        cross_entropy(torch.randn(3, 4), torch.zeros(3, 2))
    with pytest.raises(InputError, match="label 4 does not exist"):
        cross_entropy(torch.randn(3, 4), torch.tensor([0, 4, 1]))
