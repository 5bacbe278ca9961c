"""Environment variables."""

import pytest

from madang import settings


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_ENDPOINT", "HF_HUB_DISABLE_PROGRESS_BARS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("MADANG_PROGRESS", raising=False)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize(("value", "expected"), [("1", True), ("TRUE", True), ("yes", True), ("0", False), ("", False)])
def test_offline_by_either_name(monkeypatch, name, value, expected):
    assert settings.offline() is False
    monkeypatch.setenv(name, value)
    assert settings.offline() is expected


def test_the_endpoint_is_read_at_each_use(monkeypatch):
    assert settings.endpoint() is None
    monkeypatch.setenv("HF_ENDPOINT", "http://hub.school.kr:8000/")
    assert settings.endpoint() == "http://hub.school.kr:8000"


@pytest.mark.parametrize(
    ("name", "value"), [("MADANG_PROGRESS", "0"), ("MADANG_PROGRESS", "off"), ("HF_HUB_DISABLE_PROGRESS_BARS", "1")]
)
def test_progress_bars_unless_switched_off(monkeypatch, name, value):
    assert settings.progress_bars() is True
    monkeypatch.setenv(name, value)
    assert settings.progress_bars() is False
