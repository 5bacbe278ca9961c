"""Adapters on disk: published names, both ways, and what does not fit."""

import json
import pickle
import warnings

import pytest
import torch
from safetensors.torch import load_file, save_file

from madang.adapt import LoraConfig, PeftModel, attach
from madang.auto import LoadingWarning
from madang.errors import CheckpointError, ConfigError, InputError, MissingFileError
from madang.testing import TINY, tiny_inputs, tiny_model

TASK = {"t5": "sequence-classification", "vit": "image-classification"}
WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"


def classifier(model_type, **changes):
    return tiny_model(model_type, TASK.get(model_type, "sequence-classification"), **changes)


def trained(model, **options):
    """`model` with an adapter all of whose numbers are random."""
    attach(model, LoraConfig(**{"r": 3, "init_lora_weights": False, "target_modules": "all-linear", **options}))
    drawn = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn(parameter.shape, generator=drawn))
    return model


def logits(model):
    with torch.no_grad():
        return model(**tiny_inputs(model)).logits


def saved_base(folder, model_type="bert", **changes):
    """A body without a head, as models are published: the head will be new."""
    tiny_model(model_type, **changes).save_pretrained(folder)
    return folder


def opened(cls_of, folder, **options):
    """Opened from `folder` as its own class, with warnings left aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadingWarning)
        return type(cls_of).from_pretrained(folder, **options)


@pytest.mark.parametrize("model_type", TINY)
def test_what_is_saved_loads_bit_for_bit(tmp_path, model_type):
    model = trained(classifier(model_type), bias="all")
    model.save_pretrained(tmp_path / "one")
    again = classifier(model_type).load_adapter(tmp_path / "one")
    # the last bit of a product with one row depends on where a matrix lies in memory; the tensors are compared exactly
    torch.testing.assert_close(logits(again), logits(model), rtol=0, atol=1e-6)
    again.save_pretrained(tmp_path / "two")
    one, two = load_file(tmp_path / "one" / WEIGHTS), load_file(tmp_path / "two" / WEIGHTS)
    assert one.keys() == two.keys()
    assert all(torch.equal(one[name], two[name]) for name in one)
    texts = [(tmp_path / name / CONFIG).read_text(encoding="utf-8") for name in ("one", "two")]
    assert texts[0] == texts[1]


@pytest.mark.parametrize("model_type", TINY)
def test_no_name_of_ours_reaches_the_disk(tmp_path, model_type):
    trained(classifier(model_type), bias="all").save_pretrained(tmp_path)
    text = " ".join(load_file(tmp_path / WEIGHTS)) + (tmp_path / CONFIG).read_text(encoding="utf-8")
    assert not any(word in text for word in (".blocks.", ".body.", ".head.", "feed_forward", ".transform."))


def test_projections_that_are_one_in_files_are_one_in_the_adapter(tmp_path):
    trained(tiny_model("gpt2", "causal-language"), target_modules=["c_attn"], bias="lora_only").save_pretrained(
        tmp_path
    )
    start = "base_model.model.transformer.h.0.attn.c_attn"
    shapes = {name: tuple(tensor.shape) for name, tensor in load_file(tmp_path / WEIGHTS).items() if ".0." in name}
    assert shapes == {
        f"{start}.lora_A.weight": (3, 24),
        f"{start}.lora_B.weight": (72, 3),
        f"{start}.base_layer.bias": (72,),
    }
    assert json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))["fan_in_fan_out"] is True


def test_an_adapter_opens_its_base_model_with_the_names_of_its_classes(tmp_path):
    base = saved_base(tmp_path / "base")
    labels = {0: "sport", 1: "politics", 2: "weather"}
    with pytest.warns(LoadingWarning, match="classifier"):
        model = type(classifier("bert")).from_pretrained(base, id2label=labels)
    trained(model, task_type="SEQ_CLS").save_pretrained(tmp_path / "adapter")
    assert sorted(file.name for file in (tmp_path / "adapter").iterdir()) == [
        "adapted_model_config.json",
        CONFIG,
        WEIGHTS,
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # nothing is new: the head came with the adapter
        again = type(model).from_pretrained(tmp_path / "adapter")
    assert again.config.id2label == labels
    assert again.name_or_path == str(base)
    assert not again.training
    assert torch.equal(logits(again), logits(model))
    assert again.get_nb_trainable_parameters()[0] == 0
    learning = type(model).from_pretrained(tmp_path / "adapter", is_trainable=True)
    assert learning.get_nb_trainable_parameters()[0] == model.get_nb_trainable_parameters()[0]


def test_what_was_drawn_and_does_not_come_with_the_adapter_is_still_told(tmp_path):
    model = opened(classifier("bert"), saved_base(tmp_path / "base"))
    trained(model, task_type="SEQ_CLS").save_pretrained(tmp_path / "adapter")
    (tmp_path / "adapter" / "adapted_model_config.json").unlink()
    weights = load_file(tmp_path / "base" / "model.safetensors")
    del weights["pooler.dense.weight"]
    save_file(weights, tmp_path / "base" / "model.safetensors")
    with pytest.warns(LoadingWarning, match=r"pooler\.dense\.weight") as told:
        type(model).from_pretrained(tmp_path / "adapter", num_labels=model.config.num_labels)
    assert "classifier" not in str(told[0].message)


def test_a_new_part_of_the_body_is_trained_and_saved_too(tmp_path):
    base = saved_base(tmp_path / "base")
    weights = load_file(base / "model.safetensors")
    del weights["pooler.dense.bias"]
    save_file(weights, base / "model.safetensors")
    model = trained(opened(classifier("bert"), base), target_modules=["query"])
    assert model.adapter.config.modules_to_save == ["bert.pooler.dense", "classifier"]
    model.save_pretrained(tmp_path / "adapter")
    assert torch.equal(logits(opened(model, tmp_path / "adapter")), logits(model))


def test_a_merged_model_is_an_ordinary_checkpoint(tmp_path):
    model = trained(classifier("gpt2"))
    model.save_pretrained(tmp_path)
    model.merge_and_unload().save_pretrained(tmp_path)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["config.json", "model.safetensors"]
    assert torch.equal(logits(type(model).from_pretrained(tmp_path)), logits(model))


def test_an_adapter_replaces_the_model_that_was_saved_in_its_folder_before(tmp_path):
    base, folder = saved_base(tmp_path / "base"), saved_base(tmp_path / "folder", vocab_size=67)
    model = trained(opened(classifier("bert"), base))
    model.save_pretrained(folder)
    assert not (folder / "model.safetensors").exists()
    assert torch.equal(logits(opened(model, folder)), logits(model))


def test_an_adapter_may_lie_beside_its_base_model(tmp_path):
    base = saved_base(tmp_path / "base")
    before = {file.name: file.read_bytes() for file in base.iterdir()}
    model = trained(opened(classifier("bert"), base))
    model.save_pretrained(base)
    assert all((base / name).read_bytes() == content for name, content in before.items())
    assert torch.equal(logits(opened(model, base)), logits(model))
    moved = base.rename(tmp_path / "elsewhere")
    assert torch.equal(logits(opened(model, moved)), logits(model))


def test_a_missing_base_model_is_named(tmp_path):
    model = trained(classifier("bert"))
    model.save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="does not say for which model"):
        type(model).from_pretrained(tmp_path)
    model.adapter.config.base_model_name_or_path = "./not-there"
    model.save_pretrained(tmp_path)
    with pytest.raises(MissingFileError, match=r"not-there.*load_adapter"):
        type(model).from_pretrained(tmp_path)


def test_an_adapter_of_another_model_names_everything_that_does_not_fit(tmp_path):
    model = trained(classifier("bert"), target_modules=["query"])
    model.save_pretrained(tmp_path)
    other = classifier("bert", hidden_size=12, num_labels=5)
    before = logits(other)
    with pytest.raises(CheckpointError, match=r"(?s)query\.lora_A\.weight: the file has \(3, 24\).*classifier\.weight"):
        other.load_adapter(tmp_path)
    assert other.adapter is None
    assert torch.equal(logits(other), before)
    with pytest.raises(CheckpointError, match="no place for it"):
        tiny_model("bert", "token-classification", num_hidden_layers=1, num_labels=4).load_adapter(tmp_path)
    with pytest.raises(InputError, match="fits no projection"):
        classifier("llama").load_adapter(tmp_path)


def test_a_tensor_that_is_missing_is_named(tmp_path):
    trained(classifier("bert"), target_modules=["query"]).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    del tensors["base_model.model.bert.encoder.layer.1.attention.self.query.lora_B.weight"]
    save_file(tensors, tmp_path / WEIGHTS)
    with pytest.raises(CheckpointError, match=r"layer\.1\.attention\.self\.query\.lora_B\.weight: missing in the file"):
        classifier("bert").load_adapter(tmp_path)


def test_tensors_of_older_and_of_bin_files_are_read(tmp_path):
    model = trained(classifier("bert"), bias="lora_only", target_modules=["query"])
    model.save_pretrained(tmp_path)
    tensors = load_file(tmp_path / WEIGHTS)
    (tmp_path / WEIGHTS).unlink()
    # before there was a wrapper, biases had their plain names; and a copy of the head's values may lie in the file
    older = {name.replace(".base_layer.", "."): tensor for name, tensor in tensors.items()}
    older["base_model.model.classifier.original_module.bias"] = torch.zeros(4)
    torch.save(older, tmp_path / "adapter_model.bin")
    assert torch.equal(logits(PeftModel.from_pretrained(classifier("bert"), tmp_path)), logits(model))


class Runs:
    """What a harmful file would hold."""

    def __reduce__(self):
        return (pytest.fail, ("code of the file was run",))


def test_files_that_hold_more_than_tensors_are_refused(tmp_path):
    trained(classifier("bert")).save_pretrained(tmp_path)
    (tmp_path / WEIGHTS).write_bytes(b"no safetensors")
    with pytest.raises(CheckpointError, match="damaged"):
        classifier("bert").load_adapter(tmp_path)
    (tmp_path / WEIGHTS).unlink()
    with pytest.raises(MissingFileError, match="no adapter"):
        classifier("bert").load_adapter(tmp_path)
    torch.save({"a": Runs()}, tmp_path / "adapter_model.bin", pickle_module=pickle)
    with pytest.raises(CheckpointError, match="never run"):
        classifier("bert").load_adapter(tmp_path)


def test_another_kind_of_adapter_is_refused_before_anything_changes(tmp_path):
    trained(classifier("bert")).save_pretrained(tmp_path)
    values = json.loads((tmp_path / CONFIG).read_text(encoding="utf-8"))
    (tmp_path / CONFIG).write_text(json.dumps({**values, "use_dora": True}), encoding="utf-8")
    model = classifier("bert")
    with pytest.raises(ConfigError, match="use_dora"):
        model.load_adapter(tmp_path)
    assert model.adapter is None


def test_values_are_replaced_in_place_on_a_model_that_has_the_adapter(tmp_path):
    model = trained(classifier("gpt2"))
    model.save_pretrained(tmp_path)
    other = attach(classifier("gpt2"), LoraConfig(r=3, target_modules="all-linear"))
    before = {name: parameter for name, parameter in other.named_parameters() if parameter.requires_grad}
    other.load_adapter(tmp_path)
    assert torch.equal(logits(other), logits(model))
    assert all(other.get_parameter(name) is parameter for name, parameter in before.items())
    assert all(parameter.requires_grad for parameter in before.values())
    with pytest.raises(InputError, match="another adapter already"):
        attach(classifier("gpt2"), LoraConfig(r=3, lora_alpha=2)).load_adapter(tmp_path)


def test_an_enlarged_table_of_tokens_goes_with_the_adapter(tmp_path):
    model = tiny_model("llama", "causal-language")
    model.resize_token_embeddings(63)
    trained(model, target_modules=["q_proj"], modules_to_save=["embed_tokens", "lm_head"]).save_pretrained(tmp_path)
    again = tiny_model("llama", "causal-language")
    with pytest.raises(CheckpointError, match=r"embed_tokens.weight: the file has \(63, 24\).*\(61, 24\)"):
        again.load_adapter(tmp_path)
    again.resize_token_embeddings(63)
    again.load_adapter(tmp_path)
    inputs = tiny_inputs(tiny_model("llama", "causal-language"))
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_the_precision_of_the_file_does_not_become_that_of_the_adapter(tmp_path):
    trained(classifier("bert")).save_pretrained(tmp_path)
    tensors = {name: tensor.bfloat16() for name, tensor in load_file(tmp_path / WEIGHTS).items()}
    save_file(tensors, tmp_path / WEIGHTS)
    model = classifier("bert").load_adapter(tmp_path)
    matrix = model.get_submodule("body.blocks.0.attention.query").lora_A.weight
    assert matrix.dtype == torch.float32
    name = "base_model.model.bert.encoder.layer.0.attention.self.query.lora_A.weight"
    assert torch.equal(matrix, tensors[name].float())
