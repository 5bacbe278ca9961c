"""What all models have in common, beyond what tests/families asks of each."""

import pytest
import torch

from madang.auto import AutoModelForSequenceClassification
from madang.errors import InputError
from madang.testing import tiny_config, tiny_inputs, tiny_model


def test_the_first_inputs_go_without_names():
    model = tiny_model("bert")
    inputs = tiny_inputs(model)
    with torch.no_grad():
        named = model(**inputs)
        placed = model(inputs["input_ids"], inputs["attention_mask"], inputs["token_type_ids"])
    assert torch.equal(named.last_hidden_state, placed.last_hidden_state)
    with pytest.raises(InputError, match="without names"):
        model(*range(20))


def test_inputs_that_are_none_are_as_good_as_absent():
    model = tiny_model("bert", "sequence-classification")
    inputs = tiny_inputs(model)
    assert model(**{**inputs, "labels": None, "inputs_embeds": None}).loss is None
    assert model(input_ids=inputs["input_ids"], past=None).logits is not None


def test_what_the_config_says_about_outputs_is_done():
    model = tiny_model("bert", output_hidden_states=True, output_attentions=True, return_dict=False)
    parts = model(**tiny_inputs(model))
    assert isinstance(parts, tuple)
    assert len(parts) == 4
    output = model(**tiny_inputs(model), return_dict=True, output_attentions=False)
    assert "attentions" not in output
    assert len(output.hidden_states) == 3


def test_device_and_dtype_are_those_of_the_parameters():
    model = tiny_model("bert")
    assert model.device == torch.device("cpu")
    assert model.to(torch.float64).dtype == torch.float64
    assert model.get_memory_footprint() == 8 * model.num_parameters()


def test_embeddings_can_be_left_out_of_the_count():
    model = tiny_model("bert")
    tables = 61 * 24 + 19 * 24 + 2 * 24
    assert model.num_parameters() - model.num_parameters(exclude_embeddings=True) == tables


def test_tied_output_follows_the_table():
    model = tiny_model("gpt2", "causal-language")
    assert model.get_output_embeddings().weight is model.get_input_embeddings().weight
    table = torch.nn.Embedding(61, 24)
    model.set_input_embeddings(table)
    assert model.get_input_embeddings() is table
    assert model.get_output_embeddings().weight is table.weight
    assert tiny_model("bert").get_output_embeddings() is None


def test_an_encoder_decoder_shares_its_table():
    model = tiny_model("t5", "sequence-to-sequence-language")
    table = torch.nn.Embedding(61, 24)
    model.set_input_embeddings(table)
    assert model.body.encoder.embed.tokens is model.body.decoder.embed.tokens is table


def test_token_types_default_to_the_first():
    model = tiny_model("bert")
    inputs = tiny_inputs(model)
    zeros = torch.zeros_like(inputs["input_ids"])
    del inputs["token_type_ids"]
    with torch.no_grad():
        torch.testing.assert_close(
            model(**inputs).last_hidden_state, model(**inputs, token_type_ids=zeros).last_hidden_state
        )


def test_positions_can_be_given():
    model = tiny_model("gpt2")
    ids = tiny_inputs(model, (5, 5))["input_ids"]
    with torch.no_grad():
        usual = model(ids).last_hidden_state
        for positions in (torch.arange(5)[None], torch.arange(5).expand(2, 5)):
            torch.testing.assert_close(model(ids, position_ids=positions).last_hidden_state, usual)
        assert not torch.allclose(model(ids, position_ids=torch.arange(5)[None] + 3).last_hidden_state, usual)
        with pytest.raises(InputError, match="19 positions"):
            model(ids, position_ids=torch.arange(5)[None] + 17)


def test_roberta_counts_positions_over_tokens_that_are_no_padding():
    model = tiny_model("roberta")
    ids = torch.tensor([[1, 1, 8, 9, 10], [8, 9, 10, 1, 1]])
    with torch.no_grad():
        states = model(ids, attention_mask=(ids != 1).long()).last_hidden_state
    torch.testing.assert_close(states[0, 2:], states[1, :3], atol=1e-6, rtol=1e-5)


def test_an_embedding_says_nothing_about_the_next_token_to_decoders():
    model = tiny_model("llama", "causal-language")
    ids = torch.randint(4, 61, (1, 7))
    changed = ids.clone()
    changed[0, 5] = (changed[0, 5] + 1) % 50 + 4
    with torch.no_grad():
        one, other = model(ids).logits, model(changed).logits
    torch.testing.assert_close(one[:, :5], other[:, :5])
    assert not torch.allclose(one[:, 5:], other[:, 5:])


def test_the_last_token_is_found_by_padding_id_or_mask():
    model = tiny_model("gpt2", "sequence-classification")
    inputs = {name: value for name, value in tiny_inputs(model).items() if name != "labels"}
    without = tiny_model("gpt2", "sequence-classification", pad_token_id=None)
    with torch.no_grad():
        wanted = model(**inputs).logits
        torch.testing.assert_close(model(inputs["input_ids"]).logits, wanted)
        torch.testing.assert_close(without(**inputs).logits, wanted)
        alone = without(inputs["input_ids"][1:, :5]).logits
        torch.testing.assert_close(alone, wanted[1:], atol=1e-6, rtol=1e-5)
        with pytest.raises(InputError, match="pad_token_id"):
            without(inputs["input_ids"])


def test_only_language_models_that_go_on_can_generate():
    assert tiny_model("gpt2", "causal-language").can_generate
    assert tiny_model("t5", "sequence-to-sequence-language").can_generate
    assert not tiny_model("bert", "masked-language").can_generate
    with pytest.raises(InputError, match="AutoModelForCausalLM"):
        tiny_model("bert", "masked-language").generate(torch.tensor([[5]]))


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'save_pretrained'"):
        _ = tiny_model("bert").save_pretraned


def test_parts_are_reached_by_their_published_names():
    model = tiny_model("bert", "sequence-classification")
    assert model.bert is model.base_model is model.body
    assert model.classifier is model.head.output
    assert model.bert.pooler is not None


def test_floating_point_labels_for_classes_are_refused():
    model = tiny_model("bert", "sequence-classification", problem_type="single_label_classification")
    with pytest.raises(InputError, match=r"float32.*single_label_classification"):
        model(**{**tiny_inputs(model), "labels": torch.tensor([0.0, 1.0])})


def test_the_problem_is_told_anew_by_each_batch():
    model = tiny_model("bert", "sequence-classification")
    inputs = tiny_inputs(model)
    several = model(**{**inputs, "labels": torch.ones(2, 4)}).loss
    single = model(**{**inputs, "labels": torch.tensor([0, 3])}).loss
    assert model.config.problem_type is None, "one batch must not decide for the next"
    assert several != single


def test_an_unknown_problem_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="Did you mean 'regression'"):
        AutoModelForSequenceClassification.from_config(tiny_config("bert", problem_type="regresion"))


def test_images_may_be_of_another_size_when_asked_for():
    model = tiny_model("vit", "image-classification")
    pixels = torch.randn(2, 3, 16, 20)
    with pytest.raises(InputError, match=r"16 x 20.*12 x 12.*interpolate_pos_encoding"):
        model(pixels)
    assert model(pixels, interpolate_pos_encoding=True).logits.shape == (2, 4)
    small = torch.randn(2, 3, 12, 12)
    assert torch.equal(model(small).logits, model(small, interpolate_pos_encoding=True).logits)
