"""Real data that lies beside the checkout; tests that want it are skipped, saying so, where it is absent."""

import os
from pathlib import Path

import pytest

ROOT = Path(os.environ.get("MADANG_SHARED_DATA") or Path(__file__).parents[2] / "shared" / "data")


def shared(path: str) -> Path:
    """The path of one shared file or folder, or the end of this test as skipped."""
    found = ROOT / path
    if not found.exists():
        pytest.skip(f"needs the shared data {path!r}; set MADANG_SHARED_DATA to the folder that has it")
    return found
