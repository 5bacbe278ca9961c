"""One call for every family, chosen by config.json."""

import json
import warnings

import pytest
import torch

import madang
from madang.auto import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForImageClassification,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
)
from madang.auto.registry import MODEL_TYPES
from madang.errors import ConfigError, InputError, UnknownNameError
from madang.testing import tiny_config, tiny_model


@pytest.mark.parametrize("model_type", sorted(MODEL_TYPES))
def test_the_class_follows_the_model_type(model_type, tmp_path):
    model = tiny_model(model_type)
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert type(again) is type(model)
    assert type(again).__name__ == f"{model.family.stem}Model"
    assert type(AutoConfig.from_pretrained(tmp_path)) is type(model.config)
    assert not again.training


def test_a_model_from_a_config_is_drawn_anew():
    model = AutoModelForSequenceClassification.from_config(tiny_config("bert", num_labels=7))
    assert type(model).__name__ == "BertForSequenceClassification"
    assert model.head.output.out_features == 7
    std = model.get_input_embeddings().weight[1:].std().item()
    assert std == pytest.approx(model.config.initializer_range, rel=0.2)
    assert not model.get_input_embeddings().weight[0].any(), "the padding token has no vector"
    assert not model.head.output.bias.any()
    assert torch.equal(model.body.embed.norm.weight, torch.ones(24))


def test_an_unknown_model_type_names_the_nearest(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "robeta"}', encoding="utf-8")
    for loader in (AutoModel, AutoConfig, AutoModelForMaskedLM):
        with pytest.raises(UnknownNameError, match=r"'robeta'.*Did you mean 'roberta'"):
            loader.from_pretrained(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'gpt2'"):
        AutoConfig.for_model("gpt-2")


def test_a_config_without_a_model_type_lists_the_known(tmp_path):
    (tmp_path / "config.json").write_text('{"hidden_size": 3}', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"no model_type.*bert, deberta-v2"):
        AutoModel.from_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("loader", "model_type"),
    [
        (AutoModelForSeq2SeqLM, "bert"),
        (AutoModelForImageClassification, "gpt2"),
        (AutoModelForMaskedLM, "t5"),
        (AutoModelForCausalLM, "vit"),
    ],
)
def test_a_head_that_a_family_lacks_names_the_families_that_have_it(loader, model_type, tmp_path):
    tiny_model(model_type).save_pretrained(tmp_path)
    with pytest.raises(UnknownNameError, match=rf"{loader.__name__} '{model_type}'.*Known: "):
        loader.from_pretrained(tmp_path)


def test_auto_classes_are_not_made_but_loaded():
    for loader in (AutoModel, AutoConfig, AutoModelForTokenClassification):
        with pytest.raises(InputError, match=r"from_pretrained"):
            loader()


def test_only_the_path_goes_without_a_name(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    with pytest.raises(InputError, match="name"):
        AutoModel.from_pretrained(tmp_path, 3)


def test_a_path_that_is_not_there_is_named(tmp_path):
    with pytest.raises(OSError, match="nowhere"):
        AutoModel.from_pretrained(tmp_path / "nowhere")
    with pytest.raises(OSError, match=r"config\.json"):
        AutoModel.from_pretrained(tmp_path)


def test_a_model_lies_in_a_subfolder(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path / "best")
    assert type(AutoModel.from_pretrained(tmp_path, subfolder="best")).__name__ == "BertModel"


def test_public_names_and_named_classes_are_the_same_things(tmp_path):
    assert madang.AutoModel is AutoModel
    model = madang.BertForSequenceClassification(madang.BertConfig(**{**tiny_config("bert").to_dict()}))
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text(encoding="utf-8"))["architectures"] == [
        "BertForSequenceClassification"
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (
            type(AutoModelForSequenceClassification.from_pretrained(tmp_path)) is madang.BertForSequenceClassification
        )
    with pytest.raises(AttributeError, match="BertForSequenceClasification"):
        _ = madang.BertForSequenceClasification
