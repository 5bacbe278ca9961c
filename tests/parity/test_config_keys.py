"""Every key of a reference package's configs is followed here, refused by name, or listed as changing no number."""

import json

import pytest

from madang.auto.registry import MODEL_TYPES, family
from madang.checkpoints.config import _NOT_KEPT, COMMONLY_POSSIBLE
from madang.errors import ConfigError, MadangError
from madang.generation.config import DEFAULTS, ONLY
from madang.testing import tiny_model
from tests.parity.cases import VERSIONS
from tests.parity.reference import KEYS, READ

# Keys that change no number that a model or `generate` gives, and why.
NO_NUMBER = {
    "_name_or_path": "where the config came from",
    "model_type": "chooses the family",
    "transformers_version": "who wrote the file",
    "torch_dtype": "the older name of dtype",
    "label2id": "said again by id2label",
    "tokenizer_class": "which tokenizer to open",
    "sep_token_id": "a matter of the tokenizer",
    "prefix": "text that somebody may put before prompts; nothing here does",
    "task_specific_params": "options that pipelines of long ago chose among",
    "finetuning_task": "a note",
    "chunk_size_feed_forward": "the same numbers in several steps, to save memory",
    "use_bfloat16": "only read by TensorFlow models",
    "tf_legacy_loss": "only read by TensorFlow models",
    "diversity_penalty": "only read by strategies of several beams, which are refused",
    "length_penalty": "only read by strategies of several beams, which are refused",
    "early_stopping": "only read by strategies of several beams, which are refused",
    "remove_invalid_values": "replaces numbers that are none in logits; ours stay visible",
    "summary_type": "only of heads with two outputs, which Madang has not",
    "summary_use_proj": "only of heads with two outputs, which Madang has not",
    "summary_activation": "only of heads with two outputs, which Madang has not",
    "summary_first_dropout": "only of heads with two outputs, which Madang has not",
    "summary_last_dropout": "only of heads with two outputs, which Madang has not",
    "summary_proj_to_labels": "only of heads with two outputs, which Madang has not",
    "dense_act_fn": "said again by feed_forward_proj",
    "is_gated_act": "said again by feed_forward_proj",
    "is_decoder": "only bert and roberta can be either; of the others decoders always are, and the rest never",
    "rope_parameters": "translated into rope_theta and rope_scaling",
}


def followed(model_type):
    """The keys that this family's config reads or refuses."""
    config = family(model_type).config
    return {*config.defaults, *config.spellings, *config.possible, *COMMONLY_POSSIBLE, *DEFAULTS, *ONLY}


@pytest.mark.parity
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model_type", sorted(MODEL_TYPES))
def test_no_key_of_the_reference_is_silently_ignored(made, version, model_type):
    keys = json.loads((made.of(version) / KEYS).read_text(encoding="utf-8"))[model_type]
    assert keys["model_type"] == model_type
    left = set(keys) - followed(model_type) - set(NO_NUMBER)
    assert not left, f"{model_type} has keys that Madang neither follows nor refuses: {sorted(left)}"


# What the source of the reference reads beside keys of config.json.
NO_KEY = {
    "_attn_implementation": "how it is computed",
    "_name_or_path": "where it came from",
    "use_return_dict": "the older name of return_dict",
    "is_encoder_decoder": "what the type says already",
    "num_labels": "the length of id2label",
    "to_dict": "a method",
    "get_text_config": "a method",
    "layer_types": "of other families",
    "attn_implementation": "in a remark",
    "n_layers": "in a remark",
    "n_positions": "in a remark, where it is not a key",
    "_pre_quantization_dtype": "of quantised models, which are refused",
}


@pytest.mark.parity
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model_type", sorted(MODEL_TYPES))
def test_no_key_that_the_source_of_the_reference_reads_is_ignored(made, version, model_type):
    read = json.loads((made.of(version) / READ).read_text(encoding="utf-8"))[model_type]
    assert len(read) > 10
    left = set(read) - followed(model_type) - set(NO_NUMBER) - set(NO_KEY)
    assert not left, f"{model_type} has keys that Madang neither follows nor refuses: {sorted(left)}"


@pytest.mark.parity
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("model_type", sorted(MODEL_TYPES))
def test_defaults_are_those_of_the_reference(made, version, model_type):
    theirs = json.loads((made.of(version) / KEYS).read_text(encoding="utf-8"))[model_type]
    ours = family(model_type).config()
    derived = {"pooler_hidden_size", "pooler_output_size", "num_key_value_heads", "head_dim", "num_decoder_layers"}
    # null in older files means the same
    same_as_absent = {"scale_decoder_outputs"}
    for key, value in theirs.items():
        if key in family(model_type).config.defaults and key not in derived | same_as_absent:
            mine = getattr(ours, key)
            mine = {str(index): name for index, name in mine.items()} if key == "id2label" else mine
            assert mine == value, key


REFUSED = [
    pytest.param(model_type, key, id=f"{model_type}-{key}")
    for model_type in sorted(MODEL_TYPES)
    for key in {**COMMONLY_POSSIBLE, **family(model_type).config.possible}
]


@pytest.mark.parametrize(("model_type", "key"), REFUSED)
def test_a_key_that_cannot_be_followed_is_refused_by_name(model_type, key):
    with pytest.raises(ConfigError, match=key):
        family(model_type).config(**{key: "something else"})


@pytest.mark.parametrize(
    ("model_type", "key", "value"),
    [
        ("bert", "hidden_act", "gelu_12"),
        ("bert", "num_attention_heads", 5),
        ("bert", "problem_type", "sorting"),
        ("llama", "num_key_value_heads", 5),
        ("llama", "rope_scaling", {"type": "spiral", "factor": 2.0}),
        ("llama", "rope_scaling", {"type": "linear"}),
        ("llama", "partial_rotary_factor", 0.5),
        ("t5", "feed_forward_proj", "twice-gated-gelu"),
        ("gpt2", "activation_function", "gelu_12"),
    ],
)
def test_a_value_that_is_not_possible_is_refused(model_type, key, value):
    with pytest.raises(MadangError, match=value if isinstance(value, str) else None):
        tiny_model(model_type, "sequence-classification", **{key: value})


def test_the_list_of_keys_without_effect_names_no_key_that_is_followed():
    everywhere = set.intersection(*(followed(model_type) for model_type in MODEL_TYPES))
    assert not everywhere & set(NO_NUMBER) - {"label2id"}
    assert set(_NOT_KEPT) <= {*NO_NUMBER, "num_labels"}
