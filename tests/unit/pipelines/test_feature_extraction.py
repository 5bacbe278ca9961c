"""feature-extraction: the body's hidden states, one for every token."""

import numpy as np
import pytest
import torch

from madang.errors import InputError
from madang.pipelines import FeatureExtractionPipeline
from tests.unit.pipelines import tiny


@pytest.fixture(scope="module")
def extract(words):
    return FeatureExtractionPipeline(tiny.bert(""), words)


def test_a_text_gives_one_vector_for_every_token(extract, words):
    text = tiny.SENTENCES[0]
    encoded = words(text, return_tensors="pt")
    expected = extract.model(**encoded).last_hidden_state
    features = extract(text)
    assert np.asarray(features).shape == (1, encoded["input_ids"].shape[1], 24)
    torch.testing.assert_close(torch.tensor(features), expected, atol=1e-5, rtol=0)


def test_padding_is_cut_off_again(extract, words):
    for text, features in zip(tiny.SENTENCES, extract(tiny.SENTENCES), strict=True):
        assert len(features[0]) == len(words(text)["input_ids"])
        np.testing.assert_allclose(features, extract(text), atol=1e-5)


def test_tensors_and_arrays(extract):
    (found,) = extract([tiny.SENTENCES[1]], return_tensors=True)
    assert isinstance(found, torch.Tensor)
    assert found.shape[0] == 1
    array = extract(tiny.SENTENCES[1], return_tensors="np")
    np.testing.assert_allclose(array, found.numpy(), atol=1e-6)


def test_of_a_model_with_a_head_the_body_is_asked(extract, words):
    model = tiny.bert("ForSequenceClassification", num_labels=3)
    features = FeatureExtractionPipeline(model, words)("the cat")
    assert np.asarray(features).shape[-1] == 24


def test_long_texts_must_be_cut(extract):
    with pytest.raises(InputError, match="positions for 64"):
        extract("the cat " * 80)
    assert len(extract("the cat " * 80, truncation=True)[0]) == 64
    assert len(extract("the cat " * 80, tokenize_kwargs={"truncation": True, "max_length": 9})[0]) == 9
