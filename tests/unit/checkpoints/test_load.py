"""Filling a model from a file."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from madang.auto import AutoModel, AutoModelForCausalLM, AutoModelForMaskedLM
from madang.testing import tiny_model

MAPS = Path("/proc/self/maps")


def saved(tmp_path, model_type="bert", task="body", **changes):
    """A model and the folder it is saved in."""
    model = tiny_model(model_type, task, **changes)
    model.save_pretrained(tmp_path)
    return model


@pytest.mark.skipif(not MAPS.exists(), reason="only Linux tells what is mapped where")
def test_tensors_are_views_of_the_file(tmp_path):
    saved(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    lines = MAPS.read_text(encoding="utf-8").splitlines()
    ranges = [
        tuple(int(end, 16) for end in line.split()[0].split("-")) for line in lines if "model.safetensors" in line
    ]
    assert all(any(low <= parameter.data_ptr() < high for low, high in ranges) for parameter in model.parameters())


def test_training_a_loaded_model_leaves_the_file_alone(tmp_path):
    saved(tmp_path)
    before = (tmp_path / "model.safetensors").read_bytes()
    model = AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    assert (tmp_path / "model.safetensors").read_bytes() == before


def test_a_model_can_be_saved_over_the_file_it_is_loaded_from(tmp_path):
    saved(tmp_path)
    model = AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(1.0)
    wanted = {name: value.clone() for name, value in model.state_dict().items()}
    model.save_pretrained(tmp_path)
    again = AutoModel.from_pretrained(tmp_path)
    assert all(torch.equal(value, wanted[name]) for name, value in again.state_dict().items())
    assert all(torch.equal(value, wanted[name]) for name, value in model.state_dict().items())


def test_loading_twice_gives_models_apart(tmp_path):
    saved(tmp_path)
    one, other = AutoModel.from_pretrained(tmp_path), AutoModel.from_pretrained(tmp_path)
    with torch.no_grad():
        one.get_input_embeddings().weight.zero_()
    assert other.get_input_embeddings().weight.any()


def test_fresh_parameters_take_the_dtype_of_the_file(tmp_path):
    saved(tmp_path).to(torch.bfloat16).save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="Train before use"):
        model = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.bfloat16}


def test_an_output_matrix_of_its_own_unties_where_the_config_is_silent(tmp_path):
    model = saved(tmp_path, "bert", "masked-language", tie_word_embeddings=False)
    path = tmp_path / "config.json"
    values = json.loads(path.read_text(encoding="utf-8"))
    del values["tie_word_embeddings"]
    path.write_text(json.dumps(values), encoding="utf-8")
    apart = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert apart.head.output.weight is not apart.get_input_embeddings().weight
    assert torch.equal(apart.head.output.weight, model.head.output.weight)
    values["tie_word_embeddings"] = True
    path.write_text(json.dumps(values), encoding="utf-8")
    tied = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert tied.head.output.weight is tied.get_input_embeddings().weight
    assert not tied.loading_report.missing


def test_a_matrix_stored_twice_stays_tied(tmp_path):
    saved(tmp_path, "bert", "masked-language")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"].clone()
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"].clone()
    save_file(tensors, tmp_path / "model.safetensors")
    model = AutoModelForMaskedLM.from_pretrained(tmp_path)
    assert model.head.output.weight is model.get_input_embeddings().weight
    assert not str(model.loading_report)


def test_masks_and_numbers_that_old_releases_saved_mean_nothing(tmp_path):
    saved(tmp_path, "gpt2", "causal-language")
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["transformer.h.0.attn.bias"] = torch.ones(1, 1, 19, 19)
    tensors["transformer.h.1.attn.masked_bias"] = torch.tensor(-1e4)
    save_file(tensors, tmp_path / "model.safetensors")
    model, info = AutoModelForCausalLM.from_pretrained(tmp_path, output_loading_info=True)
    assert not any(info.values())
    assert not str(model.loading_report)
