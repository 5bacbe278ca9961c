"""The same seed gives the order of rows that the original Trainer has, so that runs of both can be compared."""

import json
import os
import subprocess
from pathlib import Path

import pytest

import madang
from tests.parity.row_order_observed import order_of

SCRIPT = Path(__file__).with_name("row_order_observed.py")


@pytest.mark.parity
@pytest.mark.parametrize("variable", ["MADANG_REFERENCE_5", "MADANG_REFERENCE_4"])
def test_rows_come_in_the_order_of_the_original(variable):
    reference = os.environ.get(variable, "")
    if not Path(reference).is_file():
        pytest.skip(f"needs {variable}, a Python with transformers: `make test` installs one")
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    done = subprocess.run([reference, str(SCRIPT)], capture_output=True, text=True, env=environment, timeout=300)
    assert done.returncode == 0, done.stderr[-3000:]
    theirs = json.loads(done.stdout.splitlines()[-1])
    ours = [order_of(madang, seed=7), order_of(madang, seed=7, data_seed=3)]
    several = 1 if variable.endswith("4") else 2  # 4.40.1 draws its rows from `seed`, whatever `data_seed` says
    assert ours[:several] == theirs[:several]
