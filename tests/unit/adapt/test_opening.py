"""The classes that choose by themselves open adapters too."""

import warnings

import pytest
import torch

from madang.adapt import LoraConfig, attach
from madang.auto import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, LoadingWarning
from madang.testing import tiny_inputs, tiny_model


@pytest.mark.parametrize("keeps_config", [True, False], ids=["ours", "as other programs save it"])
def test_the_class_is_that_of_the_base_model(tmp_path, keeps_config):
    tiny_model("gpt2", "causal-language").save_pretrained(tmp_path / "base")
    model = attach(AutoModelForCausalLM.from_pretrained(tmp_path / "base"), LoraConfig(init_lora_weights=False))
    model.save_pretrained(tmp_path / "adapter")
    if not keeps_config:
        (tmp_path / "adapter" / "adapted_model_config.json").unlink()
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "adapter")
    assert type(again) is type(model)
    inputs = tiny_inputs(model)
    assert torch.equal(again(**inputs).logits, model(**inputs).logits)


def test_the_names_of_the_classes_come_with_the_adapter(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path / "base")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoadingWarning)
        model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "base", id2label={0: "a", 1: "b", 2: "c"})
    attach(model, LoraConfig(task_type="SEQ_CLS")).save_pretrained(tmp_path / "adapter")
    assert AutoConfig.from_pretrained(tmp_path / "adapter").label2id == {"a": 0, "b": 1, "c": 2}
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "adapter").config.num_labels == 3
