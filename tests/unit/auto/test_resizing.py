"""Another size of the vocabulary."""

import pytest
import torch

from madang.errors import InputError
from madang.testing import tiny_model


def test_new_rows_are_near_the_mean_of_the_old():
    model = tiny_model("bert", "masked-language")
    mean = model.get_input_embeddings().weight.mean(0)
    table = model.resize_token_embeddings(64)
    assert (table.weight[61:] - mean).abs().max() < 0.01
    assert model.head.output.weight is table.weight
    assert model.head.output.bias.shape == (64,)
    assert not model.head.output.bias[61:].any()
    assert table.weight.requires_grad


def test_new_rows_can_be_drawn_as_in_training():
    model = tiny_model("bert", initializer_range=3.0)
    table = model.resize_token_embeddings(200, mean_resizing=False)
    assert table.weight[61:].std().item() == pytest.approx(3.0, rel=0.1)


def test_an_untied_output_keeps_its_rows():
    model = tiny_model("llama", "causal-language")
    before = model.head.output.weight.clone()
    model.resize_token_embeddings(70)
    assert torch.equal(model.head.output.weight[:61], before)
    assert model.head.output.weight is not model.get_input_embeddings().weight


def test_without_a_size_nothing_changes():
    model = tiny_model("bert")
    table = model.get_input_embeddings()
    assert model.resize_token_embeddings() is table
    assert model.resize_token_embeddings(61) is table


@pytest.mark.parametrize("size", [0, -3])
def test_an_impossible_size_is_refused(size):
    with pytest.raises(InputError, match="vocabulary"):
        tiny_model("bert").resize_token_embeddings(size)


def test_images_have_no_vocabulary():
    with pytest.raises(InputError, match="ViTModel"):
        tiny_model("vit").resize_token_embeddings(5)


def test_both_sides_of_an_encoder_decoder_grow():
    model = tiny_model("t5", "sequence-to-sequence-language")
    table = model.resize_token_embeddings(70)
    assert model.body.encoder.embed.tokens is model.body.decoder.embed.tokens is table
    assert model(input_ids=torch.tensor([[69, 1]]), labels=torch.tensor([[69, 1]])).logits.shape == (1, 2, 70)
