"""LoraConfig: the familiar options, and adapter_config.json."""

import json
import math

import pytest

from madang.adapt import LoraConfig, TaskType
from madang.errors import ConfigError, InputError, UnknownNameError


def test_an_unknown_option_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="lora_alpha"):
        LoraConfig(lora_alfa=16)


def test_an_option_that_is_not_supported_is_refused_unless_it_asks_for_nothing():
    assert LoraConfig(use_dora=False, layer_replication=None).r == 8
    with pytest.raises(InputError, match="use_dora"):
        LoraConfig(use_dora=True)


@pytest.mark.parametrize(
    "options",
    [
        {"r": 0},
        {"r": 2.5},
        {"rank_pattern": {"query": 0}},
        {"lora_dropout": 1.0},
        {"init_lora_weights": "pissa"},
        {"bias": "some"},
        {"task_type": "SEQ_CLASS"},
        {"layers_to_transform": [0], "target_modules": ".*query"},
    ],
)
def test_impossible_values_are_refused(options):
    with pytest.raises((InputError, UnknownNameError)):
        LoraConfig(**options)


def test_task_types_are_given_as_members_or_text():
    assert LoraConfig(task_type=TaskType.SEQ_CLS).task_type == LoraConfig(task_type="seq_cls").task_type == "SEQ_CLS"


def test_the_scale_follows_rank_alpha_and_patterns():
    config = LoraConfig(r=4, lora_alpha=8, rank_pattern={"key": 2}, alpha_pattern={r"0\..*": 3})
    assert (config.scale("a.1.query"), config.scale("a.1.key"), config.scale("a.0.query")) == (2, 4, 0.75)
    assert LoraConfig(r=4, lora_alpha=8, use_rslora=True).scale("query") == pytest.approx(8 / math.sqrt(4))


def test_a_pattern_is_for_whole_words_at_the_end():
    config = LoraConfig(r=4, rank_pattern={"proj": 2})
    assert (config.rank("layer.proj"), config.rank("layer.q_proj"), config.rank("proj.query")) == (2, 4, 4)


def test_what_is_saved_reads_back_the_same(tmp_path):
    config = LoraConfig(r=3, target_modules=("query", "key"), task_type="SEQ_CLS", exclude_modules=["a"])
    config.save_pretrained(tmp_path)
    values = json.loads((tmp_path / "adapter_config.json").read_text(encoding="utf-8"))
    assert values["peft_type"] == "LORA"
    assert values["inference_mode"] is True
    again = LoraConfig.from_dict(values)
    again.inference_mode = False
    assert again == config


def test_a_key_of_tomorrow_is_fine_while_it_asks_for_nothing():
    assert LoraConfig.from_dict({"r": 2, "peft_version": "9", "use_tomorrow": False, "tomorrow_config": None}).r == 2
    with pytest.raises(ConfigError, match="use_tomorrow"):
        LoraConfig.from_dict({"r": 2, "use_tomorrow": True})


def test_other_kinds_of_adapters_and_changed_base_models_are_refused():
    with pytest.raises(ConfigError, match="IA3"):
        LoraConfig.from_dict({"peft_type": "IA3"})
    with pytest.raises(ConfigError, match="pissa"):
        LoraConfig.from_dict({"peft_type": "LORA", "init_lora_weights": "pissa"})
