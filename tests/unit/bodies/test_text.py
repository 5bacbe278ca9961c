"""The body of texts: what it computes, and what it refuses."""

import pytest
import torch

from madang.blocks.context import Cache
from madang.errors import InputError
from madang.ops.packing import Packed, Padded
from madang.testing import tiny_inputs, tiny_model


def test_padding_takes_no_part_in_the_computation():
    model = tiny_model("bert")
    seen = []
    model.body.blocks[0].feed_forward.register_forward_hook(lambda module, inputs, output: seen.append(inputs[0].shape))
    inputs = tiny_inputs(model, (7, 2))
    states = model.body(**inputs)
    assert isinstance(states.layout, Packed)
    assert seen == [(9, 24)]
    assert states.padded().shape == (2, 7, 24)
    assert not states.padded()[1, 2:].any()


def test_texts_of_one_length_stay_a_rectangle():
    model = tiny_model("bert")
    assert isinstance(model.body(**tiny_inputs(model, (5, 5))).layout, Padded)


def test_a_text_may_be_shorter_than_a_rectangle_that_is_too_wide():
    model = tiny_model("roberta")
    ids = torch.full((1, 25), 1)
    ids[0, :4] = torch.tensor([5, 6, 7, 8])
    states = model(ids, attention_mask=(ids != 1).long()).last_hidden_state
    torch.testing.assert_close(states[:, :4], model(ids[:, :4]).last_hidden_state)


def test_with_a_cache_the_mask_covers_all_tokens_so_far():
    model = tiny_model("gpt2")
    ids, mask = torch.randint(4, 61, (2, 5)), torch.tensor([[0, 0, 1, 1, 1], [1, 1, 1, 1, 1]])
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    with torch.no_grad():
        whole = model(ids, attention_mask=mask, position_ids=positions).last_hidden_state
        cache = Cache()
        model(ids[:, :4], attention_mask=mask[:, :4], position_ids=positions[:, :4], past_key_values=cache)
        last = model(
            ids[:, 4:], attention_mask=mask, position_ids=positions[:, 4:], past_key_values=cache
        ).last_hidden_state
        torch.testing.assert_close(last, whole[:, 4:])
        short = tiny_model("gpt2")
        cache = Cache()
        short(ids[:, :4], attention_mask=mask[:, :4], past_key_values=cache)
        with pytest.raises(InputError, match="columns"):
            short(ids[:, 4:], attention_mask=mask[:, :4], past_key_values=cache)


def test_either_ids_or_vectors():
    model = tiny_model("bert")
    with pytest.raises(InputError, match="one of the two"):
        model(input_ids=torch.ones(1, 2).long(), inputs_embeds=torch.ones(1, 2, 24))
    with pytest.raises(InputError, match="one of the two"):
        model(attention_mask=torch.ones(1, 2))


def test_a_mask_of_truth_values_or_fractions_is_a_mask():
    model = tiny_model("bert")
    inputs = tiny_inputs(model)
    with torch.no_grad():
        wanted = model(**inputs).last_hidden_state
        for dtype in (torch.bool, torch.float32, torch.int32):
            assert torch.equal(
                model(**{**inputs, "attention_mask": inputs["attention_mask"].to(dtype)}).last_hidden_state, wanted
            )


def test_a_body_that_reads_both_ways_has_no_cache():
    assert "past_key_values" not in tiny_model("bert").input_names
    assert "past_key_values" in tiny_model("bert", "causal-language").input_names
    assert "past_key_values" in tiny_model("llama").input_names
