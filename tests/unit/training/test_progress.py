import re
import sys
from types import ModuleType, SimpleNamespace

import pytest

from madang.datasets import Dataset
from madang.training import progress
from madang.training.progress import PrinterCallback, ProgressCallback, table_line, width
from tests.unit.training.firing import Run
from tests.unit.training.tiny import examples


@pytest.fixture
def terminal(monkeypatch, capsys):
    """All that was shown so far on a terminal of 80 columns, where bars are shown."""
    monkeypatch.setenv("MADANG_PROGRESS", "1")
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(type(sys.stdout), "isatty", lambda self: True)
    shown = []

    def look():
        shown.extend(capsys.readouterr())
        return "".join(shown)

    return look


@pytest.fixture
def clock(monkeypatch):
    class Clock:
        now = 100.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


def test_a_table_shows_losses_and_metrics_epoch_by_epoch(make_trainer, capsys):
    trainer = make_trainer(
        {"disable_tqdm": False, "num_train_epochs": 2, "eval_strategy": "epoch"},
        eval_dataset=Dataset.from_list(examples(5)),
        compute_metrics=lambda p: {"accuracy": float((p[0].argmax(-1) == p[1]).mean())},
    )
    trainer.train()
    heading, first, second = capsys.readouterr().out.strip().split("\n")
    assert re.split(r"\s{2,}", heading.strip()) == ["epoch", "step", "training loss", "validation loss", "accuracy"]
    assert first.split()[:2] == ["1.00", "3"]
    assert second.split()[:2] == ["2.00", "6"]
    logged = [entry["eval_loss"] for entry in trainer.state.log_history if "eval_loss" in entry]
    assert [f"{loss:.4f}" for loss in logged] == [first.split()[3], second.split()[3]]


def test_without_evaluation_every_epoch_is_a_line(make_trainer, capsys):
    make_trainer({"disable_tqdm": False, "num_train_epochs": 2}).train()
    captured = capsys.readouterr()
    assert [line.split()[0] for line in captured.out.strip().split("\n")] == ["epoch", "1.00", "2.00"]
    assert captured.err == ""


def test_without_bars_logs_are_printed_as_dicts(tmp_path, capsys):
    run = Run(tmp_path, [PrinterCallback])
    run.log(loss=1.5)
    assert capsys.readouterr().out == "{'loss': 1.5, 'epoch': 0.0}\n"


def test_only_the_main_process_shows_anything(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("MADANG_PROGRESS", "1")
    run = Run(tmp_path, [PrinterCallback, ProgressCallback])
    run.state.is_world_process_zero = False
    run.begin()
    run.step()
    run.log(loss=1.0)
    run.fire("on_prediction_step")
    run.evaluate(eval_loss=1.0)
    run.fire("on_epoch_end")
    run.end()
    assert capsys.readouterr() == ("", "")


def test_the_training_loss_is_that_since_the_line_before(tmp_path, capsys):
    run = Run(tmp_path, [ProgressCallback])
    run.begin()
    for losses in ([4.0, 2.0], [1.0]):
        for loss in losses:
            run.step(loss)
        run.fire("on_epoch_end")
    assert [line.split()[2] for line in capsys.readouterr().out.strip().split("\n")[1:]] == ["3.0000", "1.0000"]


def test_several_datasets_share_a_heading_and_the_training_loss(tmp_path, capsys):
    run = Run(tmp_path, [ProgressCallback], eval_strategy="steps")
    run.begin()
    run.step(0.25)
    for name, loss in (("seoul", 0.5), ("jeju_island", 0.75)):
        run.evaluate(**{f"eval_{name}_loss": loss, f"eval_{name}_f1": 0.125, f"eval_{name}_runtime": 1.0})
    heading, *lines = (re.split(r"\s{2,}", line.strip()) for line in capsys.readouterr().out.strip().split("\n"))
    assert heading == ["epoch", "step", "training loss", "data", "validation loss", "f1"]
    assert lines == [
        ["0.25", "1", "0.2500", "seoul", "0.5000", "0.1250"],
        ["0.25", "1", "0.2500", "jeju_island", "0.7500", "0.1250"],
    ]


def test_numbers_of_any_size_can_be_read(tmp_path, capsys):
    run = Run(tmp_path, [ProgressCallback], eval_strategy="steps")
    run.begin()
    run.step(2e-6)
    run.evaluate(eval_loss=float("nan"), eval_correct=12, eval_perplexity=3.5e9, eval_flag=True, eval_runtime=0.5)
    heading, line = capsys.readouterr().out.strip().split("\n")
    assert heading.split()[-2:] == ["correct", "perplexity"]
    assert line.split() == ["0.25", "1", "2e-06", "nan", "12", "3.5e+09"]


def test_columns_of_hangul_stand_under_each_other():
    assert (width("정확도 a"), width("é"), width("e\u0301")) == (8, 1, 1)
    heading, line, rest = table_line({"step": "1", "문장 정확도 평균": "0.5000", "f1": "0.2500"}, None)
    assert width(heading) == width(line) == 8 + 2 + 16 + 2 + 8
    assert rest == []


def test_a_table_fits_into_80_columns(tmp_path, terminal, monkeypatch):
    monkeypatch.setenv("MADANG_PROGRESS", "0")
    run = Run(tmp_path, [ProgressCallback], eval_strategy="steps")
    run.begin()
    run.step()
    run.evaluate(
        eval_loss=0.5, **{f"eval_{name}": 0.25 for name in ("accuracy", "macro_f1", "정밀도", "recall", "mcc")}
    )
    run.end()
    lines = terminal().splitlines()
    assert max(map(width, lines)) <= 80
    text = "\n".join(lines)
    assert all(f"{name} 0.2500" in text for name in ("recall", "mcc"))
    assert "정밀도" in next(line for line in lines if "validation loss" in line)


def test_the_bar_tells_loss_speed_and_time_left(tmp_path, terminal):
    run = Run(tmp_path, [ProgressCallback], device="cuda:0", run_name="뉴스 제목 분류 " * 9)
    run.begin()
    for _ in range(4):
        run.step()
    run.log(loss=0.125, learning_rate=1e-5)
    run.step()
    run.end()
    last = terminal().split("\r")[-1].strip("\n")
    assert re.search(r"뉴스 제목 분류 뉴스…:  50%\|.*\| 5/10 \[00:00<\d\d:\d\d, .*(step/s|s/step), loss=0.1250\]", last)


def test_a_resumed_training_begins_where_it_was(tmp_path, terminal):
    run = Run(tmp_path, [ProgressCallback])
    run.state.global_step = 6
    run.meter.losses = [100.0] * 6
    run.begin()
    assert "6/10" in terminal()
    run.step(2.0)
    run.fire("on_epoch_end")
    run.end()
    assert "7/10" in terminal()
    assert "2.0000" in terminal()


def test_the_loss_is_looked_up_once_a_second_on_the_cpu(tmp_path, terminal, clock):
    run = Run(tmp_path, [ProgressCallback])
    run.begin()
    for _ in range(10):
        run.step()
        clock.now += 0.3
    assert run.meter.looks == 2
    run.end()


def test_the_loss_is_never_looked_up_between_logs_on_other_devices(tmp_path, terminal, clock):
    run = Run(tmp_path, [ProgressCallback], device="cuda:0")
    run.begin()
    for _ in range(10):
        run.step()
        clock.now += 60
    assert run.meter.looks == 0
    run.end()


def test_an_evaluation_has_a_bar_that_goes_away(tmp_path, terminal):
    run = Run(tmp_path, [ProgressCallback])
    for _ in range(3):
        run.fire("on_prediction_step", eval_dataloader=[1, 2, 3])
    run.fire("on_predict", metrics={})
    assert "evaluating" in terminal()
    assert terminal().split("\r")[-1].strip() == ""


def test_a_notebook_gets_the_bar_that_is_made_for_it(tmp_path, terminal, monkeypatch):
    made = []
    stand_in = ModuleType("tqdm.notebook")
    stand_in.tqdm = lambda **options: made.append(options) or SimpleNamespace(close=lambda: None)
    for name, module in {"ipykernel": ModuleType("ipykernel"), "tqdm.notebook": stand_in}.items():
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setattr(progress, "find_spec", lambda name: name == "ipywidgets")
    run = Run(tmp_path, [ProgressCallback])
    run.begin()
    run.end()
    assert [options["total"] for options in made] == [10]


def test_a_terminal_needs_nothing_that_is_for_notebooks(tmp_path, terminal):
    run = Run(tmp_path, [ProgressCallback])
    run.begin()
    run.end()
    assert "tqdm.notebook" not in sys.modules
