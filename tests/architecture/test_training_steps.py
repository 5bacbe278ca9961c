"""docs/training-steps.md shows the loop that runs, every statement of it explained."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def building(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """docs/builders/training_steps.py as a module."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    spec = importlib.util.spec_from_file_location("training_steps", ROOT / "docs" / "builders" / "training_steps.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_page_is_what_the_loop_gives_now(building: ModuleType, language: str) -> None:
    written = building.PAGES[language].read_text(encoding="utf-8")
    assert written == building.page(language), "run: python docs/builders/training_steps.py"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            '        fire("on_epoch_begin")\n',
            '        fire("on_epoch_begin")\n        trainer.sing()\n',
            "sing.*no expl",
        ),
        ("            trainer.gradient_norm = trainer.clip_gradients()\n", "", "no explanation"),
        ("\n\ndef steps(", "\n\ndef dance():\n    pass\n\n\ndef steps(", "dance"),
        ("The training loop.", "The loop.", "translation"),
    ],
)
def test_a_step_and_its_explanation_come_and_go_together(
    building: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, said: str
) -> None:
    source = building.LOOP.read_text(encoding="utf-8")
    assert old in source
    changed = tmp_path / "loop.py"
    changed.write_text(source.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(building, "LOOP", changed)
    with pytest.raises(ValueError, match=said):
        building.page("en")


def test_callbacks_and_methods_that_the_page_names_exist(building: ModuleType) -> None:
    from madang.training import Trainer
    from madang.training.callbacks import EVENTS

    steps = [step for part in building.PARTS for step in part.steps]
    assert {event for step in steps for event in step.events} <= set(EVENTS)
    assert [name for step in steps for name in step.methods if not hasattr(Trainer, name)] == []
