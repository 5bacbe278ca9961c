"""Adafactor, the choice of what decays, and smoothed losses beside those of transformers 5.23.0.

Needs MADANG_REFERENCE_5, an interpreter that has it; one process of it answers all cases.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from madang.auto.classes import model_class
from madang.ops.losses import count_labels, cross_entropy
from madang.testing import TINY
from madang.training.adafactor import Adafactor
from madang.training.optimizer import parameter_groups
from tests.parity.cases import HEADS
from tests.parity.optimizers_observed import smoothed_case, steps

REFERENCE = os.environ.get("MADANG_REFERENCE_5", "")
SCRIPT = Path(__file__).with_name("optimizers_observed.py")

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not Path(REFERENCE).is_file(),
        reason="needs MADANG_REFERENCE_5, a Python with transformers 5.23.0: `make test` installs one",
    ),
]

ABSOLUTE = {"lr": 0.03, "scale_parameter": False, "relative_step": False}
ADAFACTOR = [
    {"options": options, "dtype": dtype}
    for options, dtype in (
        (ABSOLUTE, "float32"),
        ({}, "float32"),
        ({"warmup_init": True}, "float32"),
        ({**ABSOLUTE, "scale_parameter": True, "weight_decay": 0.1}, "float32"),
        ({**ABSOLUTE, "beta1": 0.9, "clip_threshold": 0.5, "decay_rate": -0.6, "eps": (1e-8, 1e-2)}, "float32"),
        ({**ABSOLUTE, "beta1": 0.9, "weight_decay": 0.1}, "bfloat16"),
    )
]
DECAYING = [
    {
        "model_type": model_type,
        "task": task,
        "class_name": class_name,
        "config": {
            **TINY[model_type],
            **({"is_decoder": True} if class_name.endswith(("LMHeadModel", "CausalLM")) else {}),
        }
        if model_type in ("bert", "roberta")
        else TINY[model_type],
    }
    for model_type, heads in HEADS.items()
    for task, class_name in heads.items()
]
SMOOTHED = [0.0, 0.1, 0.7]


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """What the reference answers to all of them."""
    root = tmp_path_factory.mktemp("optimizers")
    asked = {"adafactor": ADAFACTOR, "decaying": DECAYING, "smoothed": SMOOTHED}
    (root / "cases.json").write_text(json.dumps(asked), encoding="utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = [REFERENCE, str(SCRIPT), str(root / "cases.json"), str(root / "answers.json")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr[-4000:]
    return json.loads((root / "answers.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("index", range(len(ADAFACTOR)), ids=[str(case["options"]) for case in ADAFACTOR])
def test_adafactor_takes_the_same_twenty_steps(index, theirs):
    case = ADAFACTOR[index]
    ours = steps(Adafactor, case["options"], case["dtype"])
    assert ours == pytest.approx(theirs["adafactor"][index], abs=1e-6, rel=1e-6)


@pytest.mark.parametrize("index", range(len(DECAYING)), ids=[case["class_name"] for case in DECAYING])
def test_the_same_parameters_decay(index, theirs):
    case = DECAYING[index]
    model = model_class(case["model_type"], case["task"])
    model = model(model.config_class(**case["config"]))
    decaying = {id(p) for group in parameter_groups(model, 0.1) if group["weight_decay"] for p in group["params"]}
    own = dict(model.named_parameters())
    ours = {}
    for step in model.naming.steps(model):
        (ours[step.stored],) = {id(own[name]) in decaying for name in step.parameters}
    assert ours == theirs["decaying"][index]


@pytest.mark.parametrize("index", range(len(SMOOTHED)))
def test_a_smoothed_loss_is_the_same(index, theirs):
    logits, labels = smoothed_case()
    part = SMOOTHED[index]
    whole = cross_entropy(logits, labels, part) / count_labels(labels)
    moved = cross_entropy(logits[:, :-1], labels[:, 1:], part) / count_labels(labels[:, 1:])
    assert [whole.item(), moved.item()] == pytest.approx(theirs["smoothed"][index], abs=1e-6)
