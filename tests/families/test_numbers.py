"""What every family computes: the same beside any text, however it lies in memory, and in whatever steps."""

import warnings

import pytest
import torch

from madang.blocks.context import Cache
from madang.errors import ConfigError, InputError
from tests.families.each import (
    HEADS,
    LABELLED,
    TEXT_HEADS,
    answers,
    close,
    each,
    real,
    tiny_inputs,
    tiny_model,
    without_labels,
)

GENERATING = [(model_type, task) for model_type, task in HEADS if tiny_model(model_type, task).can_generate]


def row(inputs, number, model):
    """One text of a batch, without its padding."""
    alone = {}
    for name, value in inputs.items():
        mask = (
            inputs["decoder_attention_mask" if name.startswith("decoder_") else "attention_mask"]
            if mask_of(inputs, name)
            else None
        )
        one = value[number : number + 1]
        if mask is not None and one.shape == mask[number : number + 1].shape:
            one = one[mask[number : number + 1].bool()][None]
        alone[name] = one
    return {name: value for name, value in alone.items() if not name.endswith("attention_mask")}


def mask_of(inputs, name):
    """Whether there is a mask for this input."""
    return ("decoder_attention_mask" if name.startswith("decoder_") else "attention_mask") in inputs


def positioned(inputs, model):
    """Inputs whose positions are counted from the first real token, for models that would count from the left edge."""
    if "position_ids" not in model.input_names or model.config.model_type == "roberta":
        return inputs
    return {**inputs, "position_ids": (inputs["attention_mask"].cumsum(-1) - 1).clamp(min=0)}


@each(TEXT_HEADS)
@pytest.mark.parametrize("side", ["right", "left"])
def test_a_text_gives_the_same_alone_and_beside_a_longer_one(model_type, task, side):
    model = tiny_model(model_type, task)
    if model.head is not None and model.head.choices:
        pytest.skip("a text of choices is a batch itself")
    inputs = without_labels(model, tiny_inputs(model, (7, 5, 2), side=side))
    if side == "left":
        inputs = positioned(inputs, model)
    with torch.no_grad():
        together = answers(model(**inputs))
        for number in range(3):
            alone = row(inputs, number, model)
            if "position_ids" in alone:
                alone["position_ids"] = torch.arange(alone["input_ids"].shape[1])[None]
            for name, value in answers(model(**alone)).items():
                mask = inputs["attention_mask"][number].bool()
                found = together[name][number]
                by_token = value.ndim > 1 and value.shape[1] == int(mask.sum()) and found.shape[:1] == mask.shape
                close(found[mask] if by_token else found, value[0])


@each(LABELLED)
def test_more_padding_changes_neither_answers_nor_loss(model_type, task):
    model = tiny_model(model_type, task)
    if model.family.main_input != "input_ids":
        pytest.skip("images have no padding")
    inputs = tiny_inputs(model)
    # of an encoder-decoder the answers may be as wide as they are: only the text to read gets padding
    padded = {"input_ids": model.config.pad_token_id, "attention_mask": 0, "token_type_ids": 0}
    if task in ("masked-language", "causal-language", "token-classification"):
        padded["labels"] = -100
    wider = {
        name: torch.nn.functional.pad(value, (0, 3), value=padded[name]) if name in padded else value
        for name, value in inputs.items()
    }
    with torch.no_grad():
        one, other = answers(model(**inputs)), answers(model(**wider))
    width = inputs["input_ids"].shape[-1]
    for name, value in one.items():
        found = other[name]
        if value.ndim > 1 and found.shape != value.shape:
            found = found[:, :width]
        close(found, value)
    assert model.count_targets(wider) == model.count_targets(inputs)


@each(TEXT_HEADS)
def test_packed_padded_and_step_by_step_agree(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model, (7, 5, 2) if model.head is None or not model.head.choices else (7, 5))
    with torch.no_grad():
        packed = answers(model(**inputs))
        recorded = model(**inputs, output_attentions=True, output_hidden_states=True)
        model.set_attn_implementation("eager")
        plain = answers(model(**inputs))
        model.set_attn_implementation("sdpa")
    for name, value in packed.items():
        close(real(inputs, name, plain[name], model), real(inputs, name, value, model))
        close(real(inputs, name, recorded[name], model), real(inputs, name, value, model))


@each(TEXT_HEADS)
def test_holes_in_a_text_are_left_out_of_attention(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model, (7, 7)))
    if model.head is not None and model.head.reads_source and model.config.is_encoder_decoder:
        pytest.skip("its decoder reads the token in the hole one place later")
    inputs["attention_mask"][..., 0, 3] = 0
    other = {name: value.clone() for name, value in inputs.items()}
    other["input_ids"][..., 0, 3] = (other["input_ids"][..., 0, 3] + 5) % 50 + 4
    kept = inputs["attention_mask"].bool()
    with torch.no_grad():
        one, two = answers(model(**inputs)), answers(model(**other))
        model.set_attn_implementation("eager")
        plain = answers(model(**inputs))
    for name, value in one.items():
        shown = kept if value.shape[: kept.ndim] == kept.shape else ...
        close(plain[name][shown], value[shown])
        if value.shape[: kept.ndim] == kept.shape:
            close(two[name][kept], value[kept])
        elif not (model_type in ("gpt2", "llama") and task == "sequence-classification"):
            close(two[name], value)


@each(TEXT_HEADS)
def test_a_batch_of_nothing_but_padding_beside_a_text_is_finite(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    if model_type == "t5" and task == "sequence-classification":
        pytest.skip("every text must have an end")
    inputs["attention_mask"][1] = 0
    with torch.no_grad():
        for name, value in answers(model(**inputs)).items():
            if name != "loss":
                assert torch.isfinite(value).all() or "start" in name or "end" in name, name


@each(HEADS)
def test_all_outputs_can_be_asked_for(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    with torch.no_grad():
        plain = model(**inputs)
        full = model(**inputs, output_hidden_states=True, output_attentions=True)
    own = "decoder_" if "encoder_last_hidden_state" in full else ""
    sides = [own, *(["encoder_"] if own else [])]
    assert not any(key.endswith(("hidden_states", "attentions")) for key in plain)
    for side in sides:
        hidden, attentions = full[f"{side}hidden_states"], full[f"{side}attentions"]
        assert len(hidden) == len(attentions) + 1
        assert len({state.shape for state in hidden}) == 1
        for weights in attentions:
            close(weights.sum(-1), torch.ones_like(weights.sum(-1)), 1e-5)
    if model.head is None and model_type != "vit":
        close(full[f"{own}hidden_states"][-1], full.last_hidden_state)
    if own:
        assert len(full.cross_attentions) == len(full.decoder_attentions)


@each(HEADS)
def test_an_output_is_read_by_attribute_name_index_and_as_a_tuple(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    with torch.no_grad():
        output = model(**inputs)
        parts = model(**inputs, return_dict=False)
    names = list(output)
    assert names[0] == ("loss" if model.head is not None else "last_hidden_state")
    assert isinstance(parts, tuple)
    assert len(parts) == len(names)
    for number, name in enumerate(names):
        assert output[name] is output[number] is getattr(output, name)
        if isinstance(output[name], torch.Tensor):
            assert torch.equal(parts[number], output[name])
    assert dict(**output).keys() == set(names)
    assert output.to_tuple()[0] is output[0]
    assert output[:1] == (output[0],)
    assert output.attentions is None
    with pytest.raises(AttributeError, match="logitz"):
        _ = output.logitz
    with torch.no_grad():
        assert model(**without_labels(model, inputs)).loss is None


@each(GENERATING)
def test_a_cache_changes_nothing(model_type, task):
    model = tiny_model(model_type, task)
    inputs = {"input_ids": tiny_inputs(model, (7, 7))["input_ids"]}
    ids = torch.randint(4, 61, (2, 7))
    if model.config.is_encoder_decoder:
        with torch.no_grad():
            whole = model(**inputs, decoder_input_ids=ids).logits
            cache, parts = Cache(), []
            for first, last in ((0, 3), (3, 4), (4, 5), (5, 7)):
                parts.append(model(**inputs, decoder_input_ids=ids[:, first:last], past_key_values=cache).logits)
    else:
        with torch.no_grad():
            whole = model(input_ids=ids).logits
            cache, parts = Cache(), []
            for first, last in ((0, 3), (3, 4), (4, 5), (5, 7)):
                parts.append(model(input_ids=ids[:, first:last], past_key_values=cache).logits)
    close(torch.cat(parts, 1), whole)
    assert cache.get_seq_length() == 7


@each(GENERATING)
def test_use_cache_returns_what_continues_the_text(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model, (7, 7)))
    ids = torch.randint(4, 61, (2, 7))
    given = {**inputs, "decoder_input_ids": ids} if model.config.is_encoder_decoder else {"input_ids": ids}
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    with torch.no_grad():
        whole = model(**given).logits
        first = model(**{**given, name: ids[:, :4]}, use_cache=True)
        rest = model(**{**given, name: ids[:, 4:]}, past_key_values=first.past_key_values).logits
    close(torch.cat((first.logits, rest), 1), whole)


@each(GENERATING)
def test_greedy_texts_are_the_same_with_cache_padding_and_company(model_type, task):
    model = tiny_model(model_type, task)
    inputs = {name: tiny_inputs(model, (7, 5, 2), side="left")[name] for name in ("input_ids", "attention_mask")}
    options = {"max_new_tokens": 5, "do_sample": False, "eos_token_id": None}
    together = model.generate(**inputs, **options)
    assert torch.equal(together, model.generate(**inputs, **options, use_cache=False))
    for number, length in enumerate((7, 5, 2)):
        alone = model.generate(inputs["input_ids"][number : number + 1, -length:], **options)
        new = together[number, -5:]
        assert torch.equal(alone[0, -5:], new)
    if not model.config.is_encoder_decoder:
        right = {name: tiny_inputs(model, (7, 5, 2), side="right")[name] for name in ("input_ids", "attention_mask")}
        for number, length in enumerate((7, 5, 2)):
            right["input_ids"][number, :length] = inputs["input_ids"][number, -length:]
        continued = model.generate(**right, **options)
        assert torch.equal(continued[:, -5:], together[:, -5:])
        assert torch.equal(continued[:, :-5], right["input_ids"])


@each(HEADS)
def test_half_precision_is_finite_and_near(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    with torch.no_grad():
        wide = answers(model(**inputs))
        half = model.to(torch.bfloat16)
        found = answers(half(**inputs))
        attentive = half(**inputs, output_attentions=True)
    assert found.keys() <= set(attentive)
    for name, value in found.items():
        assert value.dtype == (torch.float32 if name == "loss" else torch.bfloat16), name
        shown = real(inputs, name, value, model)
        assert torch.isfinite(shown).all()
        assert (shown.float() - real(inputs, name, wide[name], model)).abs().max() < 0.5


@each(HEADS)
def test_a_weight_that_is_not_a_number_shows_and_does_not_crash(model_type, task):
    model = tiny_model(model_type, task)
    with torch.no_grad():
        model.body.get_submodule(
            "blocks.0" if hasattr(model.body, "blocks") else "encoder.blocks.0"
        ).feed_forward.down.weight[0, 0] = torch.nan
        for name, value in answers(model(**tiny_inputs(model))).items():
            assert torch.isnan(value).any(), name


@each(TEXT_HEADS)
def test_vectors_instead_of_ids_give_the_same(model_type, task):
    model = tiny_model(model_type, task)
    if "inputs_embeds" not in model.input_names:
        pytest.fail("text models take inputs_embeds")
    # roberta counts positions from ids, and heads that look for padding or ends need ids
    if (model_type, task) in (("t5", "sequence-classification"), ("t5", "question-answering")):
        pytest.skip("its decoder reads the ids themselves")
    inputs = tiny_inputs(model, (7, 7))
    given = {name: value for name, value in inputs.items() if name != "input_ids"}
    with torch.no_grad():
        wanted = answers(model(**inputs))
        found = answers(model(**given, inputs_embeds=model.get_input_embeddings()(inputs["input_ids"])))
    for name, value in wanted.items():
        close(found[name], value)


@each(TEXT_HEADS)
def test_the_vocabulary_can_grow_and_shrink(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model))
    with torch.no_grad():
        before = answers(model(**inputs))
        table = model.resize_token_embeddings(70)
        assert table is model.get_input_embeddings()
        assert table.num_embeddings == model.config.vocab_size == 70
        after = answers(model(**inputs))
        grown = {**inputs, "input_ids": torch.where(inputs["input_ids"] > 8, inputs["input_ids"], inputs["input_ids"])}
        grown["input_ids"][..., 0, 1] = 69
        assert all(
            torch.isfinite(real(grown, name, value, model)).all() for name, value in answers(model(**grown)).items()
        )
    for name, value in before.items():
        if value.shape != after[name].shape:
            assert after[name].shape[-1] == 70
            close(after[name][..., :61], value)
        else:
            close(after[name], value)
    model.resize_token_embeddings(61)
    with torch.no_grad():
        for name, value in answers(model(**inputs)).items():
            close(value, before[name])
    assert model.resize_token_embeddings(pad_to_multiple_of=8).num_embeddings == 64


@each(TEXT_HEADS)
def test_a_resized_model_is_saved_with_its_size(model_type, task, tmp_path):
    model = tiny_model(model_type, task)
    model.resize_token_embeddings(70)
    model.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again = type(model).from_pretrained(tmp_path)
    assert again.get_input_embeddings().num_embeddings == 70
    if again.get_output_embeddings() is not None:
        assert again.get_output_embeddings().out_features == 70


# ----------------------------------------------------------------------------------------------------- bad input


@each(LABELLED)
def test_a_label_that_does_not_exist_is_named(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    if task == "question-answering":
        pytest.skip("a position outside the text is no target")
    inputs["labels"][:, ...] = 61 if model.task.endswith("language") else 4
    with pytest.raises((InputError, ConfigError), match=r"label (61|4) does not exist|from 0 to 61"):
        model(**inputs)


@each(HEADS)
def test_an_unknown_input_is_named_with_the_nearest(model_type, task):
    model = tiny_model(model_type, task)
    main = model.family.main_input
    inputs = tiny_inputs(model)
    inputs[f"{main}x"] = inputs.pop(main)
    with pytest.raises(InputError, match=rf"{main}x.*Did you mean '{main}'"):
        model(**inputs)


@each(TEXT_HEADS)
def test_an_id_outside_the_vocabulary_is_named(model_type, task):
    model = tiny_model(model_type, task)
    for wrong in (61, -1):
        inputs = tiny_inputs(model)
        inputs["input_ids"][..., 0, 1] = wrong
        with pytest.raises(InputError, match=r"0 to 60"):
            model(**without_labels(model, inputs))


@each(TEXT_HEADS)
def test_ids_of_a_wrong_kind_are_refused(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model))
    with pytest.raises(InputError, match="float32"):
        model(**{**inputs, "input_ids": inputs["input_ids"].float()})
    if model.head is None or not model.head.choices:
        with pytest.raises(InputError, match="shape"):
            model(**{**inputs, "input_ids": inputs["input_ids"][0]})
    with pytest.raises(InputError, match=r"input_ids|shape"):
        model(**{name: value for name, value in inputs.items() if name != "input_ids"})


@each(TEXT_HEADS)
def test_a_text_that_is_too_long_is_told_the_limit_and_the_remedy(model_type, task):
    model = tiny_model(model_type, task)
    if model.maximum_length is None:
        inputs = without_labels(model, tiny_inputs(model, (90, 30)))
        with torch.no_grad():
            assert all(torch.isfinite(value).all() for name, value in answers(model(**inputs)).items())
        return
    inputs = without_labels(model, tiny_inputs(model, (model.maximum_length + 1, 3)))
    with pytest.raises(InputError, match=rf"{model.maximum_length}.*truncation=True"):
        model(**inputs)
    longest = without_labels(model, tiny_inputs(model, (model.maximum_length, 3)))
    with torch.no_grad():
        model(**longest)


@each(TEXT_HEADS)
def test_token_types_beyond_those_known_are_named(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model))
    inputs["token_type_ids"] = torch.full_like(inputs["input_ids"], 7)
    with pytest.raises(InputError, match="token_type_ids"):
        model(**inputs)


@each(TEXT_HEADS)
def test_a_mask_of_another_width_is_refused(model_type, task):
    model = tiny_model(model_type, task)
    inputs = without_labels(model, tiny_inputs(model))
    inputs["attention_mask"] = inputs["attention_mask"][..., :-1]
    with pytest.raises(InputError, match="attention_mask"):
        model(**inputs)


@each(HEADS)
def test_an_empty_batch_is_refused_or_answered_with_nothing(model_type, task):
    model = tiny_model(model_type, task)
    inputs = {name: value[:0] for name, value in without_labels(model, tiny_inputs(model)).items()}
    with torch.no_grad():
        output = model(**inputs)
    assert all(len(value) == 0 for value in answers(output).values())


@each(TEXT_HEADS)
def test_texts_without_tokens_are_refused(model_type, task):
    model = tiny_model(model_type, task)
    inputs = {name: value[..., :0] for name, value in without_labels(model, tiny_inputs(model)).items()}
    with pytest.raises(InputError, match="token"):
        model(**inputs)


@each([("vit", "body"), ("vit", "image-classification")])
def test_images_of_a_wrong_shape_are_refused(model_type, task):
    model = tiny_model(model_type, task)
    pixels = tiny_inputs(model)["pixel_values"]
    for wrong in (pixels[:, :2], pixels[0], pixels[..., :8]):
        with pytest.raises(InputError):
            model(pixel_values=wrong)


@each(LABELLED)
def test_labels_that_do_not_fit_are_refused(model_type, task):
    model = tiny_model(model_type, task)
    inputs = tiny_inputs(model)
    wrong = {name: inputs[name][:1].repeat(5, *[1] * (inputs[name].ndim - 1)) for name in model.label_names}
    with pytest.raises(InputError, match=r"label|positions"):
        model(**{**inputs, **wrong})
