"""Options of from_pretrained, and what is said about a load."""

import json
import warnings

import pytest
import torch

from madang.auto import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    LoadingWarning,
)
from madang.auto.classes import model_class
from madang.errors import CheckpointError, ConfigError, InputError, UnknownNameError
from madang.testing import tiny_config, tiny_inputs, tiny_model


@pytest.fixture
def folder(tmp_path):
    """A saved BERT that sorts into four classes."""
    tiny_model("bert", "sequence-classification").save_pretrained(tmp_path)
    return tmp_path


def load(folder, **options):
    """A classifier, with no word of warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return AutoModelForSequenceClassification.from_pretrained(folder, **options)


def test_a_complete_file_loads_in_silence(folder):
    model, info = load(folder, output_loading_info=True)
    assert not any(info.values())
    assert str(model.loading_report) == ""
    assert model.name_or_path == str(folder)


def test_a_body_out_of_a_file_with_a_head_loads_in_silence(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model, info = AutoModel.from_pretrained(folder, output_loading_info=True)
    assert info["unexpected_keys"] == ["classifier.bias", "classifier.weight"]
    assert model.loading_report.unused == info["unexpected_keys"]


def test_a_new_head_is_one_warning_that_points_here(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    with pytest.warns(LoadingWarning) as warned:
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path, num_labels=7)
    assert len(warned) == 1
    assert warned[0].filename == __file__
    text = str(warned[0].message)
    assert text == str(model.loading_report)
    assert "BertForSequenceClassification" in text
    assert str(tmp_path) in text
    assert "`classifier.weight`" in text
    assert "Train before use" in text
    assert model.loading_report.missing == ["classifier.weight", "classifier.bias"]
    assert model.config.num_labels == 7


def test_a_new_head_is_drawn_as_the_seed_says(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    drawn = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        with pytest.warns(LoadingWarning):
            drawn.append(AutoModelForSequenceClassification.from_pretrained(tmp_path).head.output.weight)
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[0], drawn[2])


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        (None, torch.bfloat16),
        ("auto", torch.bfloat16),
        ("float32", torch.float32),
        ("torch.float16", torch.float16),
        (torch.float32, torch.float32),
    ],
)
@pytest.mark.parametrize("name", ["dtype", "torch_dtype"])
def test_the_dtype_is_that_of_the_file_or_the_one_asked_for(tmp_path, name, asked, found):
    tiny_model("bert").to(torch.bfloat16).save_pretrained(tmp_path)
    model = AutoModel.from_pretrained(tmp_path, **{name: asked})
    assert model.dtype == found
    assert model.config.dtype == str(found).removeprefix("torch.")


def test_an_unknown_dtype_names_the_nearest(folder):
    with pytest.raises(UnknownNameError, match="Did you mean 'float16'"):
        load(folder, dtype="flaot16")
    with pytest.raises(UnknownNameError):
        load(folder, dtype="int8")


def test_labels_can_be_named_while_loading(folder):
    names = {0: "정치", 1: "경제", 2: "사회", 3: "문화"}
    model = load(folder, id2label=names, label2id={name: index for index, name in names.items()})
    assert model.config.id2label == names
    assert model.config.label2id["문화"] == 3


def test_another_number_of_labels_is_an_error_until_it_is_meant(folder):
    with pytest.raises(CheckpointError, match=r"(?s)classifier\.weight.*\(4, 24\).*\(7, 24\).*ignore_mismatched_sizes"):
        load(folder, num_labels=7)
    with pytest.warns(LoadingWarning, match=r"classifier\.weight"):
        model = AutoModelForSequenceClassification.from_pretrained(folder, num_labels=7, ignore_mismatched_sizes=True)
    assert model(**{**tiny_inputs(model), "labels": None}).logits.shape == (2, 7)


def test_any_key_of_the_config_can_be_overridden(folder):
    model = load(folder, hidden_dropout_prob=0.7, classifier_dropout=0.3)
    assert model.config.hidden_dropout_prob == 0.7
    assert model.body.embed.dropout.p == 0.7
    assert model.head.transform.p == 0.3


def test_a_config_given_wins_over_the_file_and_stays_as_it_is(folder):
    config = tiny_config("bert", hidden_act="relu")
    before = config.to_dict()
    model = load(folder, config=config, hidden_dropout_prob=0.7)
    assert (model.config.hidden_act, model.config.hidden_dropout_prob) == ("relu", 0.7)
    assert config.to_dict() == before


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [("num_label", "num_labels"), ("hidden_dropout_probs", "hidden_dropout_prob"), ("revison", "revision")],
)
def test_an_unknown_option_names_the_nearest(folder, wrong, nearest):
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        load(folder, **{wrong: 3})
    with pytest.raises(UnknownNameError, match=f"Did you mean '{nearest}'"):
        load(folder, config=tiny_config("bert"), **{wrong: 3})


@pytest.mark.parametrize("option", ["proxies", "from_tf", "load_in_8bit"])
def test_options_that_cannot_be_followed_are_refused(folder, option):
    with pytest.raises(InputError, match=option):
        load(folder, **{option: True})
    load(folder, **{option: False})


def test_options_of_other_releases_that_change_nothing_are_taken(folder):
    load(folder, low_cpu_mem_usage=True, use_safetensors=True, _fast_init=False, resume_download=None)
    assert not hasattr(load(folder, trust_remote_code=True).config, "trust_remote_code")
    assert not hasattr(AutoConfig.from_pretrained(folder, trust_remote_code=True), "trust_remote_code")


@pytest.mark.parametrize("asked", ["auto", "cpu", {"": "cpu"}, {"body": "cpu", "head": torch.device("cpu")}])
def test_a_device_map_names_one_device(folder, asked):
    assert load(folder, device_map=asked).device.type in ("cpu", "cuda")


@pytest.mark.parametrize(("asked", "said"), [("gpu", "no device"), ({"body": "cpu", "head": "meta"}, "spreads")])
def test_a_device_map_that_cannot_be_followed_is_refused(folder, asked, said):
    with pytest.raises(InputError, match=said):
        load(folder, device_map=asked)


def test_attention_can_be_chosen(folder):
    assert load(folder).attn_implementation == "sdpa"
    assert load(folder, attn_implementation="eager").attn_implementation == "eager"
    with pytest.raises(UnknownNameError, match="attn_implementation"):
        load(folder, attn_implementation="eagre")


def test_a_class_of_another_family_is_refused(folder):
    with pytest.raises(ConfigError, match=r"'bert' model.*RobertaModel"):
        model_class("roberta", "body").from_pretrained(folder)


def test_a_body_can_be_loaded_without_its_pooler(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = AutoModel.from_pretrained(tmp_path, add_pooling_layer=False)
    assert "pooler_output" not in model(**tiny_inputs(model))
    assert not any("pooler" in name for name, _ in model.named_parameters())


def test_generation_options_come_from_their_file(tmp_path):
    tiny_model("gpt2", "causal-language").save_pretrained(tmp_path)
    (tmp_path / "generation_config.json").write_text(
        json.dumps({"max_new_tokens": 4, "eos_token_id": [2, 9]}), encoding="utf-8"
    )
    model = AutoModelForCausalLM.from_pretrained(tmp_path)
    assert model.generation_config.max_new_tokens == 4
    assert model.generation_config.eos_token_id == [2, 9]
    model.save_pretrained(tmp_path / "again")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "again")
    assert again.generation_config == model.generation_config


def test_loading_leaves_the_random_numbers_alone(folder):
    torch.manual_seed(3)
    wanted = torch.rand(3)
    torch.manual_seed(3)
    load(folder)
    assert torch.equal(torch.rand(3), wanted)
