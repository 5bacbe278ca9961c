"""Adapters of the peft package here, and ours there: the same answers, the same files.

Needs MADANG_REFERENCE_5, an interpreter that has peft beside transformers 5.23.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import madang
from tests.parity.adapters_observed import CASES, logits

REFERENCE = os.environ.get("MADANG_REFERENCE_5", "")
SCRIPT = Path(__file__).with_name("adapters_observed.py")

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not Path(REFERENCE).is_file(),
        reason="needs MADANG_REFERENCE_5, a Python with transformers 5.23 and peft: `make test` installs one",
    ),
]


def ask(direction, folder):
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run(
        [REFERENCE, str(SCRIPT), direction, str(folder)],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout[-4000:]


def base(folder, name):
    return getattr(madang, f"AutoModelFor{CASES[name][1]}").from_pretrained(folder / name / "base")


def close(ours, theirs):
    torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=1e-5)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Base models and adapters of peft, with what it answers."""
    folder = tmp_path_factory.mktemp("adapters")
    ask("make", folder)
    return folder


@pytest.fixture(scope="module")
def checked(made):
    """The same adapters loaded and saved here, with what peft makes of them."""
    for name in CASES:
        base(made, name).load_adapter(made / name / "adapter").save_pretrained(made / name / "ours")
    ask("check", made)
    return made


each = pytest.mark.parametrize("name", CASES)


@each
def test_an_adapter_of_peft_gives_the_same_answers_here(made, name):
    said = load_file(made / name / "said.safetensors")
    model = base(made, name)
    close(logits(model, name), said["before"])
    model.load_adapter(made / name / "adapter")
    assert (said["adapted"] - said["before"]).abs().max() > 0.01
    close(logits(model, name), said["adapted"])
    with model.disable_adapter():
        close(logits(model, name), said["before"])
    close(logits(model.merge_and_unload(), name), said["merged"])


@each
def test_an_adapter_saved_here_gives_the_same_answers_in_peft(checked, name):
    said, answered = load_file(checked / name / "said.safetensors"), load_file(checked / name / "ours.safetensors")
    close(answered["adapted"], said["adapted"])
    close(answered["opened"], said["adapted"])


@each
def test_an_adapter_of_peft_is_saved_as_it_was(checked, name):
    theirs = load_file(checked / name / "adapter" / "adapter_model.safetensors")
    ours = load_file(checked / name / "ours" / "adapter_model.safetensors")
    # what peft writes twice where it wraps a module whose bias learns too
    theirs = {
        key: value for key, value in theirs.items() if ".original_module." not in key and ".modules_to_" not in key
    }
    assert ours.keys() == theirs.keys()
    for key, value in theirs.items():
        assert torch.equal(ours[key], value), key


@each
def test_as_many_numbers_learn_as_in_peft(made, name):
    said = load_file(made / name / "said.safetensors")
    model = madang.get_peft_model(base(made, name), madang.LoraConfig(**CASES[name][2]))
    assert model.get_nb_trainable_parameters()[0] == said["learning"]


@each
def test_the_config_says_the_same(checked, name):
    theirs = json.loads((checked / name / "adapter" / "adapter_config.json").read_text(encoding="utf-8"))
    ours = json.loads((checked / name / "ours" / "adapter_config.json").read_text(encoding="utf-8"))
    for key, value in ours.items():
        if key not in ("auto_mapping", "init_lora_weights"):
            assert alike(value) == alike(theirs[key]), key


def alike(value):
    return sorted(value) if isinstance(value, list) else value
