"""Our files beside those of the datasets package: each reads the other's, and texts are the same to the letter.

Needs MADANG_REFERENCE_5, an interpreter that has it; one process of it per direction does everything.
"""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import madang.datasets
from tests.parity import datasets_files_observed as observed
from tests.stand_in_hub import StandInHub, stand_in_hub

REFERENCE = os.environ.get("MADANG_REFERENCE_5", "")
SCRIPT = Path(__file__).with_name("datasets_files_observed.py")

pytestmark = [
    pytest.mark.parity,
    pytest.mark.loopback,
    # huggingface_hub itself, when it uploads a large file
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
    pytest.mark.skipif(
        not Path(REFERENCE).is_file(),
        reason="needs MADANG_REFERENCE_5, a Python with datasets 5: `make test` installs one",
    ),
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pytest.MonkeyPatch]:
    """An own home for everything that is downloaded and prepared."""
    from huggingface_hub import constants

    home = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
        patched.setattr(constants, "HF_HUB_DISABLE_XET", True)
        patched.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
        patched.setenv("HF_DATASETS_CACHE", str(home / "prepared"))
        patched.setenv("HF_TOKEN", "hf_alice")
        yield patched


@pytest.fixture(scope="module")
def hub(environment: pytest.MonkeyPatch) -> Iterator[StandInHub]:
    """A hub both push to. The original needs one with large-file storage."""
    with stand_in_hub() as running:
        running.large_from = 1000
        environment.setenv("HF_ENDPOINT", running.address)
        yield running


def ask(direction: str, folder: Path, hub: StandInHub, home: Path) -> None:
    """One process of the original."""
    settings = {
        "HF_ENDPOINT": hub.address,
        "HF_TOKEN": "hf_alice",
        "HF_HOME": str(home),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
    }
    environment = {name: value for name, value in os.environ.items() if not name.startswith("HF_")} | settings
    environment.pop("PYTHONPATH", None)
    command = [REFERENCE, str(SCRIPT), direction, str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr[-4000:]


@pytest.fixture(scope="module")
def theirs(hub: StandInHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the original wrote and pushed."""
    folder = tmp_path_factory.mktemp("theirs")
    ask("write", folder, hub, tmp_path_factory.mktemp("home-of-theirs"))
    return folder


@pytest.fixture(scope="module")
def ours(hub: StandInHub, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What we wrote and pushed."""
    folder = tmp_path_factory.mktemp("ours")
    observed.write(madang.datasets, folder, "alice/ours")
    return folder


@pytest.fixture(scope="module")
def read_by_them(ours: Path, hub: StandInHub, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the original reads in ours."""
    ask("read", ours, hub, tmp_path_factory.mktemp("home-of-readers"))
    answers: dict[str, Any] = json.loads((ours / "answers.json").read_text(encoding="utf-8"))
    return answers


@pytest.fixture(scope="module")
def read_by_us(theirs: Path, hub: StandInHub) -> dict[str, Any]:
    """What we read in theirs."""
    return observed.read(madang.datasets, theirs, "alice/theirs")


def chosen(rows: dict[str, list[Any]], places: list[int]) -> dict[str, list[Any]]:
    return {name: [values[place] for place in places] for name, values in rows.items()}


@pytest.mark.parametrize("reader", ["read_by_them", "read_by_us"])
def test_every_file_holds_the_same_rows_for_both(reader: str, request: pytest.FixtureRequest) -> None:
    found = request.getfixturevalue(reader)
    whole = observed.told(observed.made(madang.datasets))
    assert whole["features"] == observed.FEATURES
    rows = whole["rows"]
    expected = {
        "disk": whole,
        "dict": {"train": whole, "test": {**whole, "rows": chosen(rows, [3, 1])}},
        "format": {"type": "numpy", "format_kwargs": {}, "columns": ["count"], "output_all_columns": False},
        "parquet": whole,
        "default": {
            "train": whole,
            "test": {**whole, "rows": chosen(rows, [1]), "split": "test"},
            "extra": {**whole, "split": "extra"},
        },
        "default splits": {"train": 10, "test": 1, "extra": 10},
        "more": {"dev": {**whole, "split": "dev"}},
        "more splits": {"dev": 10},
    }
    for name, value in expected.items():
        assert found[name] == value, name


@pytest.mark.parametrize("name", observed.CSV)
def test_csv_is_the_same_to_the_letter(name: str, ours: Path, theirs: Path) -> None:
    assert (ours / name).read_bytes() == (theirs / name).read_bytes()


@pytest.mark.parametrize("name", observed.JSON)
def test_json_is_the_same_to_the_letter(name: str, ours: Path, theirs: Path) -> None:
    assert (ours / name).read_bytes() == (theirs / name).read_bytes()


def test_folders_hold_the_same_files_and_keys(ours: Path, theirs: Path) -> None:
    def names(folder: Path) -> list[str]:
        kept = [path for path in folder.rglob("*") if path.is_file() and path.name != "answers.json"]
        return sorted(str(path.relative_to(folder)) for path in kept)

    assert names(ours) == names(theirs)
    for name in ("disk/dataset_info.json", "dict/dataset_dict.json"):
        assert (ours / name).read_text() == (theirs / name).read_text()
    states = [json.loads((folder / "disk/state.json").read_text()) for folder in (ours, theirs)]
    assert [state.pop("_fingerprint") != "" for state in states] == [True, True]
    assert states[0] == states[1]


def test_repositories_hold_the_same_files_and_the_same_card(ours: Path, theirs: Path, hub: StandInHub) -> None:
    from madang.datasets.card import split_card

    mine, other = hub.files("datasets/alice/ours"), hub.files("datasets/alice/theirs")
    assert sorted(mine) == sorted(other)
    cards = [split_card(files["README.md"].decode())[0] for files in (mine, other)]
    for card in cards:
        for info in card["dataset_info"]:
            assert info.pop("download_size") > 0  # who writes the Parquet files decides
        card["configs"].sort(key=lambda config: config["config_name"])
    assert cards[0] == cards[1]
