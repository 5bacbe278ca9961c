"""The options of generate, and their file."""

import json

import pytest

from madang.errors import InputError, UnknownNameError
from madang.generation import GenerationConfig
from madang.testing import tiny_config


def test_a_file_wins_over_the_config_of_the_model():
    config = tiny_config("gpt2", temperature=0.5)
    made = GenerationConfig.from_model(config, {"eos_token_id": 9, "unheard_of": 1})
    assert (made.eos_token_id, made.pad_token_id, made.temperature) == (9, 0, 0.5)
    assert made.unheard_of == 1


def test_only_what_differs_is_saved(tmp_path):
    GenerationConfig(eos_token_id=9, top_k=50, unheard_of=1).save_pretrained(tmp_path)
    found = json.loads((tmp_path / "generation_config.json").read_text(encoding="utf-8"))
    assert found == {"eos_token_id": 9, "unheard_of": 1}


def test_options_make_a_new_config():
    config = GenerationConfig()
    other = config.with_options({"top_k": 3})
    assert (config.top_k, other.top_k) == (50, 3)
    assert other != config
    other.top_k = 50
    assert other == config
    assert "eos_token_id" in repr(GenerationConfig(eos_token_id=1))


def test_unknown_and_impossible_options_are_errors():
    with pytest.raises(UnknownNameError, match="Did you mean 'top_k'"):
        GenerationConfig().with_options({"topk": 3})
    with pytest.raises(InputError, match="num_beams"):
        GenerationConfig().with_options({"num_beams": 2})
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = GenerationConfig().nothing_like_it
