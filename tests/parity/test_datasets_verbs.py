"""The verbs of a dataset do to the same random table what those of the datasets package do.

Needs MADANG_REFERENCE_5, a Python that has datasets 5.2 (`make references`).
"""

import json
import os
import subprocess

import pytest

from madang import datasets
from tests.parity import datasets_verbs_observed as observed
from tests.parity.cases import NEW
from tests.parity.conftest import interpreter

pytestmark = pytest.mark.parity

# what is meant to be another, and why
OTHERWISE = {
    "map pandas": "whole numbers with empty cells and texts keep their types on the way through pandas",
}


@pytest.fixture(scope="module")
def theirs(tmp_path_factory):
    """What the datasets package makes."""
    folder = tmp_path_factory.mktemp("verbs")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "home")}
    environment.pop("PYTHONPATH", None)
    command = [interpreter(NEW), observed.__file__, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads((folder / "seen.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def ours():
    """What Madang makes."""
    return observed.seen(datasets)


@pytest.mark.parametrize("name", sorted(observed.steps(datasets)))
def test_a_verb_makes_the_same(theirs, ours, name):
    assert "error" not in ours[name]
    if name in OTHERWISE:
        assert ours[name] != theirs[name], f"the same by now: {OTHERWISE[name]}"
        return
    assert ours[name] == theirs[name]
