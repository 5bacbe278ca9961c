"""Reading weights: every kind of file, and clear words for every kind of damage."""

import json
import os
import pickle
import zipfile

import pytest
import torch
from safetensors.torch import save_file

from madang.checkpoints.tensors import open_stored
from madang.client import open_source
from madang.errors import CheckpointError, MadangError

TENSORS = {"a.weight": torch.arange(6.0).view(2, 3), "b.bias": torch.tensor([1, 2]), "c": torch.ones(2).half()}


def stored(folder, **options):
    return open_stored(open_source(folder), **options)


def same(found):
    assert set(found.readers) == set(TENSORS)
    for name, value in TENSORS.items():
        assert torch.equal(found.take(name), value)
        assert found.take(name).dtype == found.dtypes[name] == value.dtype
        assert found.shapes[name] == value.shape
        assert name in found


def test_a_safetensors_file(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    same(stored(tmp_path))


def test_a_bin_file(tmp_path):
    torch.save(TENSORS, tmp_path / "pytorch_model.bin")
    same(stored(tmp_path))


def test_a_bin_file_of_old_releases(tmp_path):
    torch.save(TENSORS, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    same(stored(tmp_path))


def test_a_bin_file_of_parameters(tmp_path):
    torch.save(
        {name: torch.nn.Parameter(value, requires_grad=False) for name, value in TENSORS.items()},
        tmp_path / "pytorch_model.bin",
    )
    same(stored(tmp_path))


def test_safetensors_are_preferred(tmp_path):
    save_file(TENSORS, tmp_path / "model.safetensors")
    torch.save({"wrong": torch.ones(1)}, tmp_path / "pytorch_model.bin")
    same(stored(tmp_path))


def test_shards(tmp_path):
    save_file({"a.weight": TENSORS["a.weight"]}, tmp_path / "model-00001-of-00002.safetensors")
    save_file({name: TENSORS[name] for name in ("b.bias", "c")}, tmp_path / "model-00002-of-00002.safetensors")
    where = {"a.weight": "model-00001-of-00002.safetensors", "b.bias": "model-00002-of-00002.safetensors"}
    where["c"] = where["b.bias"]
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    same(stored(tmp_path))


def test_a_variant_has_its_own_file(tmp_path):
    save_file(TENSORS, tmp_path / "model.fp16.safetensors")
    same(stored(tmp_path, variant="fp16"))
    with pytest.raises(MadangError, match="no weights"):
        stored(tmp_path)


def test_no_weights_at_all_are_said_with_the_folder(tmp_path):
    with pytest.raises(MadangError, match=r"no weights.*model\.safetensors") as raised:
        stored(tmp_path)
    assert str(tmp_path) in str(raised.value)


def test_a_missing_shard_is_named(tmp_path):
    where = {"a": "model-00001-of-00001.safetensors"}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": where}), encoding="utf-8")
    with pytest.raises(MadangError, match="model-00001-of-00001"):
        stored(tmp_path)


@pytest.mark.parametrize("shard", ["../model.safetensors", "/etc/passwd", "a/../../b.safetensors", 3, None])
def test_a_shard_that_lies_elsewhere_is_refused(tmp_path, shard):
    inside = tmp_path / "inside"
    inside.mkdir()
    save_file(TENSORS, tmp_path / "model.safetensors")
    (inside / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": shard}}), encoding="utf-8")
    with pytest.raises(CheckpointError, match="does not lie beside it"):
        stored(inside)


@pytest.mark.parametrize("index", ["{}", '{"weight_map": []}', "[", '{"weight_map": 3}'])
def test_an_index_that_is_none_is_named(tmp_path, index):
    (tmp_path / "model.safetensors.index.json").write_text(index, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"model\.safetensors\.index\.json"):
        stored(tmp_path)


def damaged_safetensors(path):
    """Ways in which a download goes wrong."""
    save_file(TENSORS, path)
    whole = path.read_bytes()
    yield whole[: len(whole) // 2]
    yield whole[:-1]
    yield whole[:4]
    yield b""
    yield b"<html>404</html>"
    yield b"\xff" * 8 + whole[8:]
    yield whole[:8] + b"{" * 20 + whole[28:]


def test_a_damaged_safetensors_file_is_named(tmp_path):
    path = tmp_path / "model.safetensors"
    for content in list(damaged_safetensors(path)):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"model\.safetensors is damaged"):
            stored(tmp_path)


def test_a_damaged_bin_file_is_named(tmp_path):
    path = tmp_path / "pytorch_model.bin"
    torch.save(TENSORS, path)
    whole = path.read_bytes()
    for content in (whole[: len(whole) // 2], whole[:4], b"", b"<html>404</html>", whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=r"pytorch_model\.bin is damaged"):
            stored(tmp_path)


class Evil:
    """Runs a command when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_bin_file_is_refused_and_not_run(tmp_path, zipped):
    torch.save({"a": Evil(tmp_path / "run")}, tmp_path / "pytorch_model.bin", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="never run"):
        stored(tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_bare_pickle_is_refused_and_not_run(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Evil(tmp_path / "run"), protocol=2))
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        stored(tmp_path)
    assert not (tmp_path / "run").exists()


def test_a_zip_file_of_something_else_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "pytorch_model.bin", "w") as file:
        file.writestr("a.txt", "hello")
    with pytest.raises(CheckpointError, match=r"pytorch_model\.bin"):
        stored(tmp_path)


def test_a_bin_file_of_something_else_says_what_it_holds(tmp_path):
    torch.save([torch.ones(2)], tmp_path / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="holds a list"):
        stored(tmp_path)
