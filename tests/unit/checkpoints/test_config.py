"""config.json: read in every spelling, never ignored in silence, saved for every reader."""

from typing import ClassVar

import pytest

from madang.auto import AutoConfig
from madang.checkpoints.config import Config, read_json
from madang.errors import CheckpointError, ConfigError
from madang.families.bert import BertConfig
from madang.families.gpt2 import GPT2Config
from madang.families.llama import LlamaConfig
from madang.families.t5 import T5Config


class TeaConfig(Config):
    """A config of a family that does not exist."""

    model_type = "tea"
    spellings: ClassVar = {"hidden_size": "leaves"}
    possible: ClassVar = {"sugar": (0, None)}

    leaves: int = 3
    cups: list = [1, 2]  # noqa: RUF012 - copied for each config


def test_defaults_are_copied():
    one, other = TeaConfig(), TeaConfig()
    one.cups.append(3)
    assert other.cups == TeaConfig().cups == [1, 2]


def test_both_spellings_are_read_set_and_given():
    config = TeaConfig(hidden_size=5)
    assert config.leaves == config.hidden_size == 5
    config.hidden_size = 6
    assert config.leaves == 6
    assert config.to_dict()["leaves"] == 6
    assert "hidden_size" not in config.to_dict()


def test_keys_nobody_knows_are_kept_readable_and_saved():
    config = TeaConfig(milk="oat")
    assert config.milk == "oat"
    assert config.to_dict()["milk"] == "oat"


def test_an_unknown_attribute_names_the_nearest():
    with pytest.raises(AttributeError, match="Did you mean 'leaves'"):
        _ = TeaConfig().leavs


def test_what_cannot_be_followed_is_refused_with_its_key():
    with pytest.raises(ConfigError, match=r"sugar=2.*only 0 or None"):
        TeaConfig(sugar=2)
    assert TeaConfig(sugar=0).sugar == 0
    with pytest.raises(ConfigError, match="quantization_config"):
        TeaConfig(quantization_config={"bits": 4})


def test_labels_are_numbered_and_named_both_ways():
    config = BertConfig(id2label={"0": "no", "1": "yes"})
    assert config.id2label == {0: "no", 1: "yes"}
    assert config.label2id == {"no": 0, "yes": 1}
    assert BertConfig(label2id={"no": 0, "yes": 1}).id2label == config.id2label
    assert BertConfig(id2label=["no", "yes"]).id2label == config.id2label
    assert BertConfig(num_labels=3).id2label == {0: "LABEL_0", 1: "LABEL_1", 2: "LABEL_2"}
    assert BertConfig().num_labels == 2
    config.num_labels = 1
    assert config.id2label == {0: "LABEL_0"}
    config.id2label = {0: "a", 1: "b", 2: "c"}
    assert config.num_labels == 3
    assert config.label2id["c"] == 2


def test_overrides_win_over_the_file_in_every_spelling():
    values = {
        "hidden_size": 768,
        "id2label": {"0": "x", "1": "y"},
        "label2id": {"x": 0, "y": 1},
        "torch_dtype": "float16",
    }
    config = BertConfig.from_dict(values, hidden_size=12, id2label={0: "a", 1: "b", 2: "c"})
    assert (config.hidden_size, config.num_labels, config.label2id) == (12, 3, {"a": 0, "b": 1, "c": 2})
    assert BertConfig.from_dict(values, num_labels=5).id2label[4] == "LABEL_4"
    assert BertConfig.from_dict(values).id2label == {0: "x", 1: "y"}
    assert BertConfig.from_dict(values).dtype == "float16"
    assert BertConfig.from_dict(values, dtype="bfloat16").dtype == "bfloat16"
    assert GPT2Config.from_dict({"n_embd": 768}, hidden_size=12).n_embd == 12


def test_dtype_has_two_names():
    config = BertConfig(torch_dtype="torch.bfloat16")
    assert config.dtype == config.torch_dtype == "bfloat16"
    assert config.to_dict()["torch_dtype"] == config.to_dict()["dtype"] == "bfloat16"
    config.torch_dtype = "float32"
    assert config.dtype == "float32"


def test_saving_and_reading_back_is_the_same(tmp_path):
    config = BertConfig(hidden_size=12, num_attention_heads=3, id2label={0: "정치", 1: "스포츠"}, tea="green")
    config.save_pretrained(tmp_path)
    text = (tmp_path / "config.json").read_text(encoding="utf-8")
    assert "정치" in text, "people read it"
    again = AutoConfig.from_pretrained(tmp_path)
    assert type(again) is BertConfig
    assert again.to_dict() == config.to_dict()
    assert again.to_json_string() == config.to_json_string() == text
    assert again.name_or_path == str(tmp_path)


def test_a_config_says_what_it_is():
    assert repr(BertConfig()).startswith("BertConfig {")


def test_both_homes_of_rope_keys_are_read_and_written():
    old = LlamaConfig(rope_theta=500.0, rope_scaling={"type": "linear", "factor": 2.0})
    new = LlamaConfig(rope_parameters={"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0})
    assert old.rope_theta == new.rope_theta == 500.0
    for config in (old, new):
        values = config.to_dict()
        # readers of 2024 take exactly these two keys
        assert values["rope_scaling"] == {"type": "linear", "factor": 2.0}
        assert values["rope_parameters"] == {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}
    plain = LlamaConfig().to_dict()
    assert plain["rope_scaling"] is None
    assert plain["rope_parameters"] == {"rope_type": "default", "rope_theta": 10000.0}


def test_an_override_of_a_rope_key_wins_whatever_the_file_says():
    values = {"rope_parameters": {"rope_type": "linear", "factor": 2.0, "rope_theta": 500.0}}
    config = LlamaConfig.from_dict(values, rope_theta=900.0)
    assert config.rope_theta == 900.0
    assert config.rope_scaling["factor"] == 2.0
    assert LlamaConfig.from_dict(values, rope_scaling=None).rope_scaling is None
    other = LlamaConfig.from_dict({"rope_theta": 5.0}, rope_parameters={"rope_type": "default", "rope_theta": 7.0})
    assert other.rope_theta == 7.0


def test_the_first_trained_length_is_found_beside_the_rope_keys():
    scaling = {"rope_type": "yarn", "factor": 2.0}
    config = LlamaConfig(rope_scaling=scaling, original_max_position_embeddings=128)
    assert config.rope_parameters["original_max_position_embeddings"] == 128


def test_t5_tells_from_tying_whether_outputs_are_scaled():
    assert T5Config().scale_decoder_outputs is True
    assert T5Config(tie_word_embeddings=False).scale_decoder_outputs is False
    assert T5Config(scale_decoder_outputs=False).tie_word_embeddings is True


@pytest.mark.parametrize(("content", "said"), [("{", "not readable as JSON"), ("[1]", "list"), ("\udcff", "")])
def test_a_file_that_is_no_object_is_named(tmp_path, content, said):
    path = tmp_path / "config.json"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    with pytest.raises(CheckpointError, match=r"config\.json") as raised:
        read_json(path)
    assert said in str(raised.value)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(OSError, match=r"config\.json"):
        AutoConfig.from_pretrained(tmp_path)
