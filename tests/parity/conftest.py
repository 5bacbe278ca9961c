"""The reference packages, each asked once per direction for all models together."""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.parity.cases import NEW, OLD, VERSIONS, as_json
from tests.parity.reference import CASES

VARIABLES = {NEW: "MADANG_REFERENCE_5", OLD: "MADANG_REFERENCE_4"}
SCRIPT = Path(__file__).parent / "reference.py"


def interpreter(version):
    """The Python that has this version of the reference package, or the end of this test as skipped."""
    found = os.environ.get(VARIABLES[version], "")
    if not Path(found).is_file():
        pytest.skip(f"needs {VARIABLES[version]}, a Python with transformers {version}: `make test` installs one")
    return found


def start(version, direction, folder):
    """Begin to ask one version; it works while others do."""
    command = [interpreter(version), str(SCRIPT), direction, str(folder)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONPATH", None)
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process):
    """Wait for it; its own words when it failed as a whole."""
    if not process.stdout.closed:
        process.said, _ = process.communicate(timeout=600)
    assert process.returncode == 0, process.said[-4000:]


@dataclass
class Asked:
    """Where each version wrote what it made, and processes that still write."""

    root: Path
    processes: dict

    def of(self, version):
        """The folder of one version, complete."""
        if version not in self.processes:
            pytest.skip(f"needs {VARIABLES[version]}, a Python with transformers {version}: `make test` installs one")
        finish(self.processes[version])
        return self.root / version


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Random models of the reference packages: made.of(version) / case.folder."""
    root = tmp_path_factory.mktemp("made")
    for version in VERSIONS:
        (root / version).mkdir()
        (root / version / CASES).write_text(json.dumps(as_json()), encoding="utf-8")
    there = [version for version in VERSIONS if Path(os.environ.get(VARIABLES[version], "")).is_file()]
    return Asked(root, {version: start(version, "make", root / version) for version in there})
