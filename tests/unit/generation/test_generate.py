"""Continuing texts, greedily or by drawing."""

import pytest
import torch

from madang.errors import InputError, UnknownNameError
from madang.generation import GenerationConfig, generate
from madang.testing import tiny_inputs, tiny_model


@pytest.fixture(scope="module")
def model():
    return tiny_model("llama", "causal-language")


IDS = torch.tensor([[7, 8, 9], [10, 11, 12]])


def new(model, ids=IDS, **options):
    """The tokens that were added."""
    return model.generate(ids, **{"max_new_tokens": 5, "eos_token_id": None, **options})[:, ids.shape[1] :]


def step_by_step(model, ids, count):
    """Greedy by the definition: the whole text anew for each token."""
    with torch.no_grad():
        for _ in range(count):
            ids = torch.cat((ids, model(ids).logits[:, -1].argmax(-1, keepdim=True)), 1)
    return ids


def test_greedy_takes_the_likeliest_token_each_time(model):
    assert torch.equal(model.generate(IDS, max_new_tokens=6, eos_token_id=None), step_by_step(model, IDS, 6))
    assert torch.equal(generate(model, input_ids=IDS, max_new_tokens=6, eos_token_id=None), step_by_step(model, IDS, 6))


def test_a_text_ends_at_its_end_and_is_filled_with_padding(model):
    whole = new(model, max_new_tokens=8)
    end = int(whole[0, 2])
    first = whole[0].tolist().index(end)
    ended = new(model, max_new_tokens=8, eos_token_id=end, pad_token_id=3)
    assert ended[0, : first + 1].tolist() == whole[0, : first + 1].tolist()
    assert set(ended[0, first + 1 :].tolist()) <= {3}
    several = new(model, max_new_tokens=8, eos_token_id=[end, 60], pad_token_id=3)
    assert torch.equal(several[0], ended[0][: several.shape[1]]) or 60 in whole[0].tolist()


def test_all_texts_ended_is_the_end(model):
    end = int(new(model, IDS[:1])[0, 1])
    assert new(model, IDS[:1], max_new_tokens=9, eos_token_id=end).shape[1] <= 2


def test_a_least_number_of_tokens_forbids_the_end(model):
    end = int(new(model, IDS[:1])[0, 0])
    found = new(model, IDS[:1], eos_token_id=end, min_new_tokens=3)
    assert end not in found[0, :3].tolist()
    assert found.shape[1] >= 3
    assert new(model, IDS[:1], eos_token_id=end).shape[1] == 1


def test_draws_repeat_with_a_generator_and_with_a_seed(model):
    def drawn(seed):
        return new(model, do_sample=True, top_k=0, max_new_tokens=9, generator=torch.Generator().manual_seed(seed))

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))
    torch.manual_seed(5)
    one = new(model, do_sample=True, max_new_tokens=9)
    torch.manual_seed(5)
    assert torch.equal(one, new(model, do_sample=True, max_new_tokens=9))


def test_drawing_among_one_is_greedy(model):
    greedy = new(model)
    assert torch.equal(new(model, do_sample=True, top_k=1), greedy)
    assert torch.equal(new(model, do_sample=True, top_p=1e-6, top_k=0), greedy)
    assert torch.equal(new(model, do_sample=True, temperature=1e-5, top_k=0), greedy)


def test_draws_follow_the_distribution(model):
    ids = IDS[:1].repeat(4000, 1)
    with torch.no_grad():
        wanted = (model(IDS[:1]).logits[0, -1] / 0.7).softmax(-1)
    generator = torch.Generator().manual_seed(0)
    found = new(model, ids, max_new_tokens=1, do_sample=True, temperature=0.7, top_k=0, generator=generator)[:, 0]
    share = torch.bincount(found, minlength=61) / 4000
    assert (share - wanted).abs().max() < 0.03


def test_several_answers_to_each_text(model):
    found = model.generate(IDS, max_new_tokens=4, do_sample=True, num_return_sequences=3, eos_token_id=None, top_k=0)
    assert found.shape == (6, 7)
    assert torch.equal(found[:3, :3], IDS[:1].expand(3, -1))
    assert torch.equal(found[3:, :3], IDS[1:].expand(3, -1))
    assert len({tuple(row) for row in found[:3].tolist()}) > 1
    with pytest.raises(InputError, match="do_sample=True"):
        model.generate(IDS, max_new_tokens=4, num_return_sequences=3)


def test_a_penalty_makes_repeating_rarer(model):
    free = new(model, max_new_tokens=12)
    kept = new(model, max_new_tokens=12, repetition_penalty=50.0)
    assert len(set(kept[0].tolist())) > len(set(free[0].tolist())) or len(set(kept[0].tolist())) == 12
    with pytest.raises(InputError, match="repetition_penalty"):
        new(model, repetition_penalty=0.0)


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(model, side):
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 0, 0]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0]])
    if side == "left":
        ids[1], mask[1] = ids[1].roll(2), mask[1].roll(2)
    found = model.generate(ids, attention_mask=mask, max_new_tokens=5, eos_token_id=None)
    assert torch.equal(found[:, :4], ids)
    assert torch.equal(found[0, 4:], new(model, ids[:1])[0])
    assert torch.equal(found[1, 4:], new(model, torch.tensor([[9, 10]]))[0])


def test_the_total_length_can_be_said_instead(model):
    assert model.generate(IDS, max_length=7, eos_token_id=None).shape == (2, 7)
    with pytest.raises(InputError, match=r"3 tokens already.*max_new_tokens"):
        model.generate(IDS, max_length=3)


def test_no_text_starts_from_the_first_token_of_all(model):
    found = model.generate(max_new_tokens=3, eos_token_id=None)
    assert found.shape == (1, 4)
    assert found[0, 0] == model.config.bos_token_id
    with pytest.raises(InputError, match="bos_token_id"):
        model.generate(max_new_tokens=3, bos_token_id=None)


def test_positions_that_run_out_are_said():
    model = tiny_model("gpt2", "causal-language")
    ids = torch.randint(4, 61, (1, 17))
    with pytest.warns(UserWarning, match="2 are added, not 9"):
        assert model.generate(ids, max_new_tokens=9, eos_token_id=None).shape == (1, 19)
    with pytest.raises(InputError, match="positions for 19"):
        model.generate(torch.randint(4, 61, (1, 19)), max_new_tokens=1)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"max_new_tokens": 0}, "at least one token"),
        ({"do_sample": True, "temperature": 0.0}, "do_sample=False"),
        ({"do_sample": True, "top_p": 0.0}, "top_p"),
        ({"num_beams": 4}, "num_beams=4"),
        ({"no_repeat_ngram_size": 2}, "no_repeat_ngram_size"),
    ],
)
def test_what_is_not_possible_is_said(model, options, said):
    with pytest.raises(InputError, match=said):
        new(model, **options)


def test_a_strategy_that_a_file_asks_for_is_not_ignored(model):
    with pytest.raises(InputError, match="num_beams=4"):
        model.generate(IDS, max_new_tokens=2, generation_config=GenerationConfig(num_beams=4))
    assert model.generate(
        IDS, max_new_tokens=2, generation_config=GenerationConfig(num_beams=4), num_beams=1
    ).shape == (2, 5)


def test_an_unknown_option_names_the_nearest(model):
    with pytest.raises(UnknownNameError, match="Did you mean 'temperature'"):
        new(model, temperatur=2.0)


@pytest.mark.parametrize("ids", [torch.tensor([1, 2]), torch.zeros(2, 0, dtype=torch.long)])
def test_ids_of_a_wrong_shape_are_refused(model, ids):
    with pytest.raises(InputError, match="shape"):
        model.generate(ids, max_new_tokens=2)


def test_generating_keeps_the_mode_and_makes_no_gradients(model):
    copy = tiny_model("llama", "causal-language").train()
    ids = copy.generate(IDS, max_new_tokens=2)
    assert copy.training
    assert not ids.requires_grad
    assert not model.training


def test_an_encoder_decoder_answers_from_its_start():
    model = tiny_model("t5", "sequence-to-sequence-language")
    inputs = {name: tiny_inputs(model)[name] for name in ("input_ids", "attention_mask")}
    found = model.generate(**inputs, max_new_tokens=4, eos_token_id=None)
    assert found.shape == (2, 5)
    assert (found[:, 0] == model.config.decoder_start_token_id).all()
    ids = found[:, :1]
    with torch.no_grad():
        for _ in range(4):
            logits = model(**inputs, decoder_input_ids=ids).logits
            ids = torch.cat((ids, logits[:, -1].argmax(-1, keepdim=True)), 1)
    assert torch.equal(found, ids)
    drawn = model.generate(**inputs, max_new_tokens=4, do_sample=True, num_return_sequences=3, eos_token_id=None)
    assert drawn.shape == (6, 5)
    with pytest.raises(InputError, match="input_ids"):
        model.generate(max_new_tokens=3)
