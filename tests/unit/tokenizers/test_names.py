"""Classes by their published names."""

import pickle

import pytest

import madang.tokenizers
from madang.tokenizers import PreTrainedTokenizerFast, named_tokenizer_class
from madang.tokenizers.names import BY_MODEL_TYPE, KINDS


@pytest.mark.parametrize(
    "name", ["Bert", "Roberta", "GPT2", "T5", "DebertaV2", "Llama", "Electra", "DistilBert", "XLMRoberta"]
)
def test_names_with_and_without_fast_are_one_class(name: str) -> None:
    fast = named_tokenizer_class(f"{name}TokenizerFast")
    assert fast is named_tokenizer_class(f"{name}Tokenizer")
    assert fast is not None
    assert fast.__name__ == f"{name}TokenizerFast"
    assert issubclass(fast, PreTrainedTokenizerFast)
    assert pickle.loads(pickle.dumps(fast)) is fast
    assert getattr(madang.tokenizers, f"{name}Tokenizer") is fast


@pytest.mark.parametrize(
    "name", ["Bert", "BertModel", "FooTokenizer", "Tokenizer", "TokenizerFast", "BertFastTokenizer", "BertFast"]
)
def test_other_names_are_none(name: str) -> None:
    assert named_tokenizer_class(name) is None
    with pytest.raises(AttributeError):
        getattr(madang.tokenizers, name)


def test_names_of_the_general_class() -> None:
    for name in ("PreTrainedTokenizer", "PreTrainedTokenizerBase", "PreTrainedTokenizerFast", "TokenizersBackend"):
        assert named_tokenizer_class(name) is PreTrainedTokenizerFast


def test_every_model_type_leads_to_a_known_class() -> None:
    assert set(BY_MODEL_TYPE.values()) <= set(KINDS)
    for kind in KINDS.values():
        assert kind.input_names[0] == "input_ids"
        assert kind.padding_side in ("left", "right")
