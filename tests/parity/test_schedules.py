"""Our learning rate schedules beside those of transformers 5.23.0: the same number at every step.

Needs MADANG_REFERENCE_5, an interpreter that has it; one process of it answers all cases.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from madang.training import get_scheduler
from madang.training.schedule import SCHEDULES
from tests.parity.schedules_observed import observe

REFERENCE = os.environ.get("MADANG_REFERENCE_5", "")
SCRIPT = Path(__file__).with_name("schedules_observed.py")

pytestmark = [
    pytest.mark.parity,
    pytest.mark.skipif(
        not Path(REFERENCE).is_file(),
        reason="needs MADANG_REFERENCE_5, a Python with transformers 5.23.0: `make test` installs one",
    ),
]

OPTIONS = {
    "linear": [{}],
    "cosine": [{}, {"num_cycles": 0.25}, {"num_cycles": 1.5}],
    "cosine_with_restarts": [{}, {"num_cycles": 3}],
    "polynomial": [{}, {"power": 2.0}, {"lr_end": 1e-5, "power": 0.5}],
    "constant": [{}],
    "constant_with_warmup": [{}],
    "inverse_sqrt": [{}, {"timescale": 7}],
    "reduce_lr_on_plateau": [{"patience": 2}, {"patience": 1, "factor": 0.5, "cooldown": 1}],
    "cosine_with_min_lr": [{"min_lr": 1e-5}, {"min_lr_rate": 0.1, "num_cycles": 1.0}],
    "cosine_warmup_with_min_lr": [{"min_lr": 1e-5}, {"min_lr_rate": 0.1}, {"min_lr": 0.0, "warmup_lr_rate": 0.2}],
    "warmup_stable_decay": [
        {"num_decay_steps": 5},
        {"num_decay_steps": 5, "min_lr_ratio": 0.1, "warmup_type": "cosine", "decay_type": "linear"},
        {"num_decay_steps": 4, "num_stable_steps": 3, "warmup_type": "1-sqrt", "decay_type": "1-sqrt"},
        {"num_decay_steps": 6, "num_cycles": 1.0},
    ],
}
SHAPES = [(0, 12), (3, 23), (10, 17)]  # warm-up and all steps

CASES = [
    {"name": name, "lr": 3e-4, "warmup": warmup, "total": total, "options": options}
    for name, several in OPTIONS.items()
    for options in several
    for warmup, total in SHAPES
]


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """(theirs, ours), one list of learning rates a case."""
    root = tmp_path_factory.mktemp("schedules")
    (root / "cases.json").write_text(json.dumps(CASES), encoding="utf-8")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    command = [REFERENCE, str(SCRIPT), str(root / "cases.json"), str(root / "answers.json")]
    said = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert said.returncode == 0, said.stderr[-4000:]
    return json.loads((root / "answers.json").read_text(encoding="utf-8")), observe(get_scheduler, CASES)


def test_every_schedule_is_compared():
    assert set(OPTIONS) == set(SCHEDULES)


@pytest.mark.parametrize(
    "index",
    range(len(CASES)),
    ids=[f"{case['name']}-{case['warmup']}-{case['total']}-{case['options']}".replace(" ", "") for case in CASES],
)
def test_the_learning_rate_is_that_of_the_reference(index, answers):
    theirs, ours = answers
    assert ours[index] == pytest.approx(theirs[index], rel=1e-12, abs=1e-18)
