import pytest

from madang import datasets
from madang.datasets import Dataset, progress


@pytest.fixture(autouse=True)
def nothing_said(monkeypatch):
    monkeypatch.setattr(progress, "_switched", None)
    monkeypatch.delenv("MADANG_PROGRESS", raising=False)
    monkeypatch.delenv("HF_HUB_DISABLE_PROGRESS_BARS", raising=False)


@pytest.fixture
def bars(monkeypatch):
    """Every bar that is shown."""
    import tqdm

    made = []

    class Bar:
        def __init__(self, **options):
            self.options, self.count = options, 0
            made.append(self)

        def __enter__(self):
            return self

        def __exit__(self, *_):
            self.closed = True

        def update(self, count):
            self.count += count

    monkeypatch.setattr(tqdm, "tqdm", Bar)
    return made


def test_bars_are_switched_by_the_program():
    datasets.disable_progress_bars()
    assert not datasets.is_progress_bar_enabled()
    assert datasets.are_progress_bars_disabled()
    datasets.enable_progress_bars()
    assert datasets.is_progress_bar_enabled()


def test_the_environment_decides_until_then(monkeypatch):
    assert progress.is_progress_bar_enabled()
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    assert not progress.is_progress_bar_enabled()
    progress.enable_progress_bar()
    assert progress.is_progress_bar_enabled()


def test_a_bar_counts_rows_of_the_work_it_names(bars):
    Dataset.from_dict({"a": list(range(2500))}).map(lambda row: {"b": 1}, desc="Tokenising")
    assert [(bar.options["desc"], bar.options["total"], bar.count) for bar in bars] == [("Tokenising", 2500, 2500)]
    assert bars[0].options["delay"] == 1.0  # quick work shows none
    Dataset.from_dict({"a": [1]}).filter(lambda row: bool(row["a"]))
    assert bars[1].options["desc"] == "Filter"


def test_it_is_closed_when_the_function_fails(bars):
    with pytest.raises(ZeroDivisionError):
        Dataset.from_dict({"a": [1]}).map(lambda row: 1 // 0)
    assert bars[0].closed


def test_no_bar_where_none_is_wanted(bars):
    progress.disable_progress_bar()
    Dataset.from_dict({"a": [1]}).map(lambda row: {"b": 1})
    assert bars == []


def test_any_work_may_have_one(bars):
    with progress.bar(None, "Downloading", "B", scaled=True) as advance:
        advance(3)
        advance(4)
    assert (bars[0].count, bars[0].options["unit"], bars[0].options["unit_scale"]) == (7, "B", True)
    assert bars[0].options["total"] is None
    progress.disable_progress_bar()
    with progress.bar(3, "Uploading", "files") as advance:
        advance(1)
    assert len(bars) == 1
