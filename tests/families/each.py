"""Every family with every head: what the tests of this folder go through. A new family is tested without a new line."""

import pytest
import torch

from madang.auto.registry import families
from madang.testing import tiny_inputs, tiny_model

HEADS = [(family.model_type, task) for family in families() for task in family.recipes]
BODIES = [(model_type, task) for model_type, task in HEADS if task == "body"]
TEXT_HEADS = [
    (model_type, task) for model_type, task in HEADS if tiny_model(model_type, task).family.main_input == "input_ids"
]
LABELLED = [(model_type, task) for model_type, task in HEADS if tiny_model(model_type, task).head is not None]


def each(heads):
    """Run a test for each of these (model_type, task)."""
    return pytest.mark.parametrize(("model_type", "task"), [pytest.param(*head, id="-".join(head)) for head in heads])


def without_labels(model, inputs):
    """The inputs a model answers to, without those it learns from; what a decoder read off these it is given."""
    left = {name: value for name, value in inputs.items() if name not in model.label_names}
    if model.task == "sequence-to-sequence-language":
        left["decoder_input_ids"] = inputs["labels"].clamp(min=0)
    return left


def answers(output):
    """What a user reads off an output: tensors by name, without what was only recorded."""
    return {name: value for name, value in output.items() if isinstance(value, torch.Tensor)}


def real(inputs, name, value, model):
    """`value` where there are real tokens, flattened; all of it for outputs without tokens."""
    mask = inputs.get("attention_mask")
    # a decoder's tokens are others than those that the mask is about, except where both sides read the same
    apart = "decoder_input_ids" in model.input_names and not (model.head is not None and model.head.reads_source)
    if mask is None or value.ndim < 2 or (apart and not name.startswith("encoder")):
        return value
    return value[mask.bool()] if value.shape[:2] == mask.shape else value


def close(one, other, tolerance=2e-6):
    """Whether two tensors are as good as equal, float32."""
    torch.testing.assert_close(one, other, atol=tolerance, rtol=1e-5)


__all__ = [
    "BODIES",
    "HEADS",
    "LABELLED",
    "TEXT_HEADS",
    "answers",
    "close",
    "each",
    "real",
    "tiny_inputs",
    "tiny_model",
    "without_labels",
]
