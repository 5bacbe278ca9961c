"""Several texts in one row: every family gives the same as for the texts side by side."""

import pytest
import torch

from madang.errors import InputError
from madang.training.collate import DataCollatorWithFlattening
from tests.families.each import LABELLED, TEXT_HEADS, close, each, tiny_inputs, tiny_model

BY_TOKEN = ("body", "encoder", "masked-language", "causal-language", "token-classification")
ROWS = [
    (model_type, task)
    for model_type, task in TEXT_HEADS
    if task in BY_TOKEN and "position_ids" in tiny_model(model_type, task).input_names
]
LENGTHS = (7, 5, 2, 5)


def both_ways(model):
    """The same texts padded and in a row; the labels leave out what a row has no place for."""
    padded = tiny_inputs(model, LENGTHS)
    if "labels" in padded:
        padded["labels"][:, 0] = -100
    names = [name for name in padded if name != "attention_mask"]
    rows = [{name: padded[name][number, :length] for name in names} for number, length in enumerate(LENGTHS)]
    row = DataCollatorWithFlattening(position_ids_start=model.body.embed.number.first)(rows)
    if "labels" not in padded:
        del row["labels"]
    return padded, row


def in_a_row(value, mask):
    """(B, T, …) -> (1, N, …)."""
    return value[mask.bool()][None]


@each(ROWS)
def test_texts_in_a_row_give_the_same_as_side_by_side(model_type, task):
    model = tiny_model(model_type, task)
    padded, row = both_ways(model)
    for attention in ("sdpa", "eager"):
        model.set_attn_implementation(attention)
        wanted, found = model(**padded), model(**row)
        name = "last_hidden_state" if model.head is None else "logits"
        close(found[name], in_a_row(wanted[name], padded["attention_mask"]))
        if "loss" in wanted:
            close(found.loss, wanted.loss)
            assert model.count_targets(row) == model.count_targets(padded)


@each([head for head in ROWS if head in LABELLED])
def test_texts_in_a_row_teach_the_same(model_type, task):
    model = tiny_model(model_type, task)
    gradients = []
    for inputs in both_ways(model):
        output = model(**inputs)
        model.zero_grad()
        output.loss.backward()
        gradients.append({name: part.grad for name, part in model.named_parameters() if part.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        close(gradients[1][name], gradient, 1e-5)


@each(ROWS)
def test_what_is_recorded_lies_in_the_row_as_well(model_type, task):
    model = tiny_model(model_type, task)
    padded, row = both_ways(model)
    asked = {"output_hidden_states": True, "output_attentions": True}
    with torch.no_grad():
        wanted, found = model(**padded, **asked), model(**row, **asked)
    for one, other in zip(found.hidden_states, wanted.hidden_states, strict=True):
        close(one, in_a_row(other, padded["attention_mask"]))
    total = sum(LENGTHS)
    for one, other in zip(found.attentions, wanted.attentions, strict=True):
        assert one.shape == (1, other.shape[1], total, total)
        start = 0
        for number, length in enumerate(LENGTHS):
            block = one[0, :, start : start + length]
            close(block[:, :, start : start + length], other[number, :, :length, :length])
            assert not block[:, :, :start].any()
            assert not block[:, :, start + length :].any()
            start += length


@each(ROWS)
def test_positions_that_only_go_up_are_one_text(model_type, task):
    model = tiny_model(model_type, task)
    ids, first = torch.randint(4, 61, (1, 9)), model.body.embed.number.first
    positions = torch.arange(first, first + 9)[None]
    name = "last_hidden_state" if model.head is None else "logits"
    with torch.no_grad():
        assert torch.equal(model(input_ids=ids, position_ids=positions)[name], model(input_ids=ids)[name])


def test_a_convolution_does_not_reach_from_text_to_text():
    model = tiny_model("deberta-v2", conv_kernel_size=3, conv_act="gelu")
    padded, row = both_ways(model)
    close(model(**row).last_hidden_state, in_a_row(model(**padded).last_hidden_state, padded["attention_mask"]))


def test_positions_that_a_family_does_not_count_from_are_refused():
    row = DataCollatorWithFlattening()([{"input_ids": [5, 6]}, {"input_ids": [7, 8, 9]}])
    with pytest.raises(InputError, match="position_ids_start=2"):
        tiny_model("roberta", "masked-language")(**row)


def test_a_row_longer_than_the_positions_of_a_model_holds_texts_that_are_not():
    model = tiny_model("bert")
    row = DataCollatorWithFlattening()([{"input_ids": [5] * 15}] * 3)
    del row["labels"]
    assert model(**row).last_hidden_state.shape == (1, 45, 24)
    row = DataCollatorWithFlattening()([{"input_ids": [5] * 15}, {"input_ids": [5] * 20}])
    del row["labels"]
    with pytest.raises(InputError, match="20 tokens"):
        model(**row)


def test_with_a_mask_or_a_cache_a_row_is_one_text():
    model = tiny_model("llama")
    ids, positions = torch.randint(4, 61, (1, 6)), torch.tensor([[0, 1, 2, 0, 1, 2]])
    apart = model(input_ids=ids, position_ids=positions).last_hidden_state
    masked = model(input_ids=ids, position_ids=positions, attention_mask=torch.ones(1, 6)).last_hidden_state
    cached = model(input_ids=ids, position_ids=positions, use_cache=True).last_hidden_state
    close(masked, cached)
    close(apart[:, :3], masked[:, :3])
    assert not torch.allclose(apart[:, 3:], masked[:, 3:])
