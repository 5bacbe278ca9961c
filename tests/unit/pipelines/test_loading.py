"""A head that is random is not used in silence."""

import warnings

import pytest
import torch

import madang
from madang.auto import LoadingWarning
from madang.pipelines import UntrainedWarning, pipeline
from tests.unit.pipelines import tiny


@pytest.fixture(scope="module")
def body(tmp_path_factory, words):
    """A saved body without a head."""
    folder = tmp_path_factory.mktemp("body")
    tiny.bert("").save_pretrained(folder)
    words.save_pretrained(folder)
    return folder


def test_a_random_head_brings_one_warning_that_names_its_parameters(body):
    with pytest.warns(UntrainedWarning, match=r"text-classification pipeline are random.*`classifier.weight`") as said:
        pipeline("text-classification", model=body)
    assert len(said) == 1
    assert said[0].filename == __file__


def test_a_loaded_model_with_an_untouched_random_head_brings_it_too(body):
    with pytest.warns(LoadingWarning):
        model = madang.AutoModelForSequenceClassification.from_pretrained(body)
    with pytest.warns(UntrainedWarning, match="classifier.bias"):
        pipeline("text-classification", model=model)


def test_a_head_that_was_trained_since_is_used_in_silence(body):
    with pytest.warns(LoadingWarning):
        model = madang.AutoModelForSequenceClassification.from_pretrained(body)
    with torch.no_grad():
        model.head.output.bias.add_(0.1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline("text-classification", model=model)


def test_a_missing_pooler_does_not_matter_for_hidden_states(tmp_path, words):
    tiny.bert("ForMaskedLM").save_pretrained(tmp_path)
    words.save_pretrained(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pipeline("feature-extraction", model=tmp_path)


def test_a_missing_tokenizer_says_how_to_pass_one(tmp_path):
    tiny.bert("ForMaskedLM").save_pretrained(tmp_path)
    with pytest.raises(madang.errors.MadangError, match="pass tokenizer="):
        pipeline("fill-mask", model=tmp_path)
