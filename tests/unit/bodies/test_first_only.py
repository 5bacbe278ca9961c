"""The last block may work out first tokens alone, when the caller reads no others."""

import pytest
import torch

from madang.ops.packing import Padded
from madang.testing.tiny import tiny_inputs, tiny_model

ENCODERS = ("bert", "roberta")


def states(model, inputs, **options):
    given = {name: value for name, value in inputs.items() if name in model.body.input_names}
    return model.body(**given, **options)


@pytest.mark.parametrize("model_type", ENCODERS)
@pytest.mark.parametrize("padded", [True, False])
def test_first_tokens_and_gradients_are_the_same(model_type, padded):
    model = tiny_model(model_type, "sequence-classification")
    inputs = tiny_inputs(model)
    if not padded:
        inputs["attention_mask"] = torch.ones_like(inputs["attention_mask"])
    whole, alone = states(model, inputs), states(model, inputs, first_only=True)

    assert alone.layout == Padded(len(inputs["input_ids"]), 1)
    firsts = whole.layout.first(whole.tokens), alone.layout.first(alone.tokens)
    torch.testing.assert_close(firsts[1], firsts[0])

    weights = torch.randn(firsts[0].shape, generator=torch.Generator().manual_seed(0))
    parameters = [p for name, p in model.body.named_parameters() if "pooler" not in name]
    gradients = [torch.autograd.grad((first * weights).sum(), parameters) for first in firsts]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_what_a_pooler_makes_of_it_is_the_same():
    model = tiny_model("bert", "sequence-classification")
    inputs = tiny_inputs(model)
    torch.testing.assert_close(states(model, inputs, first_only=True).pooled, states(model, inputs).pooled)


def test_checkpointing_runs_the_blocks_before_as_they_ran():
    model = tiny_model("bert", "sequence-classification").train()
    inputs = tiny_inputs(model)
    gradients = []
    for checkpointing in (False, True):
        model.body.checkpointing = checkpointing
        torch.manual_seed(0)
        model.zero_grad()
        states(model, inputs, first_only=True).pooled.square().sum().backward()
        gradients.append(model.body.embed.tokens.weight.grad.clone())
    torch.testing.assert_close(*gradients)


def test_images_too():
    model = tiny_model("vit", "image-classification")
    inputs = tiny_inputs(model)
    whole, alone = states(model, inputs), states(model, inputs, first_only=True)
    assert alone.tokens.shape[1] == 1
    torch.testing.assert_close(alone.tokens[:, 0], whole.tokens[:, 0])


@pytest.mark.parametrize("options", [{"record": ("hidden_states",)}, {"record": ("attentions",)}, {"plain": True}])
def test_all_tokens_are_worked_out_when_somebody_may_read_them(options):
    model = tiny_model("bert", "sequence-classification")
    inputs = tiny_inputs(model)
    whole, asked = states(model, inputs, **options), states(model, inputs, **options, first_only=True)
    torch.testing.assert_close(asked.tokens, whole.tokens)


@pytest.mark.parametrize("model_type", ["deberta-v2", "gpt2", "llama"])
def test_families_whose_tokens_know_their_places_otherwise_work_out_all(model_type):
    model = tiny_model(model_type, "sequence-classification")
    inputs = tiny_inputs(model)
    torch.testing.assert_close(
        states(model, inputs, first_only=True).tokens, states(model, inputs).tokens, equal_nan=True
    )


def test_a_batch_with_an_empty_text_works_out_all_tokens():
    model = tiny_model("bert", "sequence-classification")
    inputs = tiny_inputs(model)
    inputs["attention_mask"][0] = 0
    torch.testing.assert_close(states(model, inputs, first_only=True).tokens, states(model, inputs).tokens)
