"""Which projections are adapted, by their published names."""

import pytest

from madang.adapt import LoraConfig, attach
from madang.errors import InputError, UnknownNameError
from madang.testing import TINY, tiny_model


def adapted(model_type, task="body", **options):
    """Published names of what is adapted, sorted."""
    model = attach(tiny_model(model_type, task), LoraConfig(**options))
    names = [step.stored for step in model.naming.steps(model) if step.stored.endswith(".lora_A.weight")]
    return sorted(name.removesuffix(".lora_A.weight") for name in names)


@pytest.mark.parametrize(
    ("model_type", "endings"),
    [
        ("bert", ["query", "value"]),
        ("roberta", ["query", "value"]),
        ("deberta-v2", ["query_proj", "value_proj"]),
        ("gpt2", ["c_attn"]),
        ("llama", ["q_proj", "v_proj"]),
        ("t5", ["q", "v"]),
        ("vit", ["query", "value"]),
    ],
)
def test_queries_and_values_are_adapted_unless_said(model_type, endings):
    model = attach(tiny_model(model_type), LoraConfig())
    assert model.adapter.config.target_modules == endings


def test_every_type_of_model_has_a_default():
    for model_type in TINY:
        assert adapted(model_type)


def test_endings_are_whole_words():
    layer = "bert.encoder.layer"
    names = adapted("bert", "token-classification", target_modules=["output.dense"])
    assert names == sorted(f"{layer}.{i}.{part}output.dense" for i in (0, 1) for part in ("", "attention."))
    with pytest.raises(UnknownNameError, match="query"):
        adapted("bert", target_modules=["uery"])


def test_an_expression_is_for_the_whole_name():
    assert adapted("bert", target_modules=r"encoder\.layer\.1\..*\.(query|key)") == [
        "encoder.layer.1.attention.self.key",
        "encoder.layer.1.attention.self.query",
    ]
    with pytest.raises(InputError, match="fits no projection"):
        adapted("bert", target_modules="query")


def test_layers_and_exclusions_narrow_the_choice():
    assert adapted("llama", target_modules=["q_proj", "v_proj"], layers_to_transform=1, exclude_modules=["v_proj"]) == [
        "layers.1.self_attn.q_proj"
    ]
    assert adapted("t5", target_modules=["q"], layers_to_transform=[2], layers_pattern="block") == [
        "decoder.block.2.layer.0.SelfAttention.q",
        "decoder.block.2.layer.1.EncDecAttention.q",
    ]


def test_all_linear_leaves_out_the_last_projection():
    names = adapted("llama", "causal-language", target_modules="all-linear")
    assert len(names) == 2 * 7
    assert "lm_head" not in names
    assert not any(name.startswith("classifier") for name in adapted("bert", "token-classification"))


def test_a_misspelled_target_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'q_proj'"):
        adapted("llama", target_modules=["q_porj", "v_proj"])


def test_a_target_that_is_no_projection_says_so():
    with pytest.raises(InputError, match="modules_to_save"):
        adapted("gpt2", target_modules=["wte"])
    with pytest.raises(InputError, match="no linear projection"):
        adapted("vit", target_modules=["patch_embeddings.projection"])


def test_a_matrix_that_is_the_embedding_table_is_refused():
    with pytest.raises(InputError, match="tie_word_embeddings"):
        adapted("gpt2", "causal-language", target_modules=["lm_head"])
    for module in ("wte", "lm_head"):
        with pytest.raises(InputError, match="tie_word_embeddings"):
            adapted("gpt2", "causal-language", modules_to_save=[module])
    # apart, both are possible
    assert "lm_head" in adapted("llama", "causal-language", target_modules=["lm_head", "q_proj"])


def test_an_unknown_module_to_save_is_answered_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'classifier'"):
        adapted("bert", "token-classification", modules_to_save=["clasifier"])


def test_the_modules_of_a_task_may_be_absent():
    model = attach(tiny_model("t5", "sequence-classification"), LoraConfig(task_type="SEQ_CLS"))
    assert model.adapter.config.modules_to_save == [
        "classifier",
        "score",
        "classification_head.dense",
        "classification_head.out_proj",
    ]
