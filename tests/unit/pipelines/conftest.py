"""Tiny models and tokenizers, made once."""

import pytest

from tests.unit.pipelines import tiny


@pytest.fixture(scope="session")
def words():
    """A BERT tokenizer."""
    return tiny.wordpiece()


@pytest.fixture(scope="session")
def pieces():
    """A GPT-2 tokenizer, without a padding token."""
    return tiny.byte_level()


@pytest.fixture(scope="session")
def classify(words):
    """A text-classification pipeline."""
    from madang.pipelines import TextClassificationPipeline

    return TextClassificationPipeline(tiny.bert("ForSequenceClassification", num_labels=3), words)


@pytest.fixture(scope="session")
def texts():
    """Texts of many lengths in no order, more than one batch of them."""
    return [" ".join(tiny.SENTENCES[(i * 5 + k) % 6][: 1 + (i * 7) % 23] for k in range(1 + i % 3)) for i in range(60)]
