"""Writing weights: whole or not at all."""

import json

import pytest
import torch
from safetensors.torch import load_file

import madang.auto.saving
from madang.auto import AutoModel
from madang.checkpoints.save import is_weights_file, save_tensors
from madang.errors import InputError
from madang.testing import tiny_model


def sizes(folder):
    return {path.name: path.stat().st_size for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("size", "shards"), [("5GB", 1), (10**9, 1), ("100B", 3), (100, 3), ("0.1KB", 3), ("1 kB", 1), (1, 3)]
)
def test_shards_are_as_large_as_asked_for(tmp_path, size, shards):
    tensors = {name: torch.ones(20) for name in ("a", "b", "c")}
    save_tensors(tensors, tmp_path, max_shard_size=size)
    files = sorted(tmp_path.glob("*.safetensors"))
    assert len(files) == shards
    if shards > 1:
        assert [file.name for file in files] == [f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)]
        index = json.loads((tmp_path / "model.safetensors.index.json").read_text(encoding="utf-8"))
        assert index["metadata"]["total_size"] == 240
        assert all(name in load_file(tmp_path / file) for name, file in index["weight_map"].items())


@pytest.mark.parametrize("size", ["5 elephants", "GB", ""])
def test_a_size_that_is_none_is_refused(tmp_path, size):
    with pytest.raises(InputError, match="5GB"):
        save_tensors({"a": torch.ones(2)}, tmp_path, max_shard_size=size)


def test_weights_are_told_from_other_files():
    yes = ["model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json"]
    no = [
        "config.json",
        "pytorch_model.bin",
        "model.fp16.safetensors",
        "my-model.safetensors",
        "adapter_model.safetensors",
    ]
    assert all(map(is_weights_file, yes))
    assert not any(map(is_weights_file, no))


def test_an_interrupted_save_leaves_the_earlier_one_whole(tmp_path, monkeypatch):
    model = tiny_model("bert")
    model.save_pretrained(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def half(tensors, folder, **options):
        save_tensors(dict(list(tensors.items())[:3]), folder, **options)
        raise KeyboardInterrupt

    monkeypatch.setattr(madang.auto.saving, "save_tensors", half)
    with pytest.raises(KeyboardInterrupt):
        tiny_model("bert", seed=1).save_pretrained(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    assert torch.equal(
        AutoModel.from_pretrained(tmp_path).get_input_embeddings().weight, model.get_input_embeddings().weight
    )


def test_an_interrupted_first_save_leaves_nothing_that_looks_like_a_model(tmp_path, monkeypatch):
    def fail(*arguments, **options):
        raise OSError("no space left on device")

    monkeypatch.setattr(madang.auto.saving, "save_tensors", fail)
    with pytest.raises(OSError, match="no space"):
        tiny_model("bert").save_pretrained(tmp_path / "new")
    assert not list((tmp_path / "new").iterdir())


def test_other_files_of_the_folder_stay(tmp_path):
    (tmp_path / "README.md").write_text("hello", encoding="utf-8")
    (tmp_path / "pytorch_model.bin").write_bytes(b"old")
    tiny_model("bert").save_pretrained(tmp_path, max_shard_size="4KB")
    tiny_model("bert").save_pretrained(tmp_path)
    assert sorted(sizes(tmp_path)) == ["README.md", "config.json", "model.safetensors", "pytorch_model.bin"]


def test_saved_files_can_be_read_by_others(tmp_path):
    tiny_model("bert").save_pretrained(tmp_path)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o044 or path.stat().st_mode & 0o777 == 0o600, path.name


def test_a_path_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "model").write_text("", encoding="utf-8")
    with pytest.raises(OSError, match="is a file"):
        tiny_model("bert").save_pretrained(tmp_path / "model")


def test_pickles_are_not_written(tmp_path):
    with pytest.raises(InputError, match="safetensors only"):
        tiny_model("bert").save_pretrained(tmp_path, safe_serialization=False)


def test_values_of_another_state_can_be_saved(tmp_path):
    model = tiny_model("bert")
    state = {name: torch.zeros_like(value) for name, value in model.state_dict().items()}
    model.save_pretrained(tmp_path, state_dict=state)
    assert not any(value.any() for value in load_file(tmp_path / "model.safetensors").values())
