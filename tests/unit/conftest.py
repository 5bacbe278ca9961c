"""A hub on this machine and an empty cache for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stand_in_hub import StandInHub, stand_in_hub


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Where downloads of this test are kept."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, cache: Path) -> Iterator[StandInHub]:
    """A hub that HF_ENDPOINT points to."""
    with stand_in_hub() as running:
        monkeypatch.setenv("HF_ENDPOINT", running.address)
        yield running
