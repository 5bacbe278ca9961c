import sys

import pytest

from madang.errors import InputError
from madang.training.curve import CurveCallback, curves, draw_curve
from tests.unit.training.firing import Run

HISTORY = [
    {"loss": 1.0, "learning_rate": 0.1, "grad_norm": 2.0, "epoch": 0.5, "step": 5},
    {"loss": 0.5, "learning_rate": 0.05, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.75, "eval_accuracy": 0.5, "eval_macro_f1": 0.25, "eval_runtime": 3.0, "epoch": 1.0, "step": 10},
    {"eval_loss": 0.5, "eval_accuracy": 0.75, "eval_samples_per_second": 3.0, "epoch": 2.0, "step": 20},
    {"train_loss": 0.625, "train_runtime": 9.0, "epoch": 2.0, "step": 20},
]


def test_losses_and_metrics_become_lines():
    assert curves(HISTORY) == (
        {"training": [(5, 1.0), (10, 0.5)], "validation": [(10, 0.75), (20, 0.5)]},
        {"accuracy": [(10, 0.5), (20, 0.75)], "macro f1": [(10, 0.25)]},
    )


def test_every_dataset_has_its_loss():
    losses, _ = curves([{"eval_a_loss": 1.0, "eval_b_loss": 2.0, "step": 1}])
    assert losses == {"validation a": [(1, 1.0)], "validation b": [(1, 2.0)]}


def test_what_is_evaluated_after_training_does_not_replace_the_last_evaluation():
    losses, _ = curves([*HISTORY, {"eval_loss": 9.0, "step": 20}])
    assert losses["validation"][-1] == (20, 0.5)


def test_what_cannot_be_drawn_is_left_out():
    history = [{"loss": float("nan"), "step": 1}, {"loss": 2.0, "step": 2}]
    history += [{"eval_ok": True, "eval_text": "x", "eval_loss": None, "step": 2}]
    assert curves(history) == ({"training": [(2, 2.0)]}, {})


def shape(path):
    from PIL import Image

    with Image.open(path) as image:
        assert image.format == "PNG"
        return image.size


def test_the_picture_is_wide_enough_and_has_a_panel_for_each_scale(tmp_path):
    assert draw_curve(HISTORY, tmp_path / "two.png") == tmp_path / "two.png"
    draw_curve(HISTORY[:2], tmp_path / "one.png")
    draw_curve([*HISTORY, {"eval_perplexity": 30.0, "eval_$x$_한글": 0.5, "step": 20}], tmp_path / "three.png")
    (width, one), (_, two), (_, three) = (shape(tmp_path / f"{name}.png") for name in ("one", "two", "three"))
    assert width == 1280
    assert one < two < three
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "three.png", "two.png"]


def test_many_steps_are_smoothed_without_losing_any(tmp_path):
    draw_curve([{"loss": 1 / step, "step": step} for step in range(1, 2000)], tmp_path / "long.png")
    assert shape(tmp_path / "long.png")[0] == 1280


def test_nothing_of_a_picture_stays(tmp_path):
    draw_curve(HISTORY, tmp_path / "curve.png")
    if "matplotlib.pyplot" in sys.modules:
        assert sys.modules["matplotlib.pyplot"].get_fignums() == []


def test_without_numbers_there_is_no_picture(tmp_path):
    assert draw_curve([{"train_runtime": 1.0, "step": 3}], tmp_path / "curve.png") is None
    assert not (tmp_path / "curve.png").exists()


def test_without_matplotlib_it_says_how_to_get_it(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(InputError, match=r"pip install 'madang\[plots\]'"):
        draw_curve(HISTORY, tmp_path / "curve.png")
    run = Run(tmp_path, [CurveCallback])
    run.state.log_history = HISTORY
    run.end()
    assert capsys.readouterr().out.count("\n") == 1
    assert (tmp_path / "metrics.jsonl").read_text(encoding="utf-8").count("\n") == len(HISTORY)


def test_at_the_end_of_training_the_main_process_leaves_picture_and_numbers(tmp_path):
    run = Run(tmp_path / "out", [CurveCallback])
    run.state.log_history, run.state.is_world_process_zero = HISTORY, False
    run.end()
    assert not (tmp_path / "out").exists()
    run.state.is_world_process_zero = True
    run.end()
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["curve.png", "metrics.jsonl"]
