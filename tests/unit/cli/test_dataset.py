"""`madang dataset`: looking at datasets, converting and pushing them."""

import json
from pathlib import Path

import pyarrow as pa
import pytest

from madang.cli.dataset import EXAMPLES
from madang.cli.main import main
from madang.cli.tables import width_of
from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.features import ClassLabel, Features, Image, Value
from tests.stand_in_hub import StandInHub


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Prepared datasets of this test, and a terminal of 60 places."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    monkeypatch.setenv("COLUMNS", "60")


@pytest.fixture
def news(tmp_path: Path) -> str:
    """A small file."""
    lines = ["title,topic,score", *(f"제목 {i},{'정치' if i % 3 else '경제'},{i / 2}" for i in range(30))]
    (tmp_path / "news.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return str(tmp_path / "news.csv")


def said(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["dataset", *argv]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def refused(capsys: pytest.CaptureFixture[str], *argv: str) -> str:
    assert main(["dataset", *argv]) == 1
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    return captured.err


# show -------------------------------------------------------------------------------------------------------------


def test_show_tells_splits_rows_and_types(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "show", news).splitlines()
    assert lines[0] == "split  rows  in memory"
    assert lines[2].startswith("train    30  ")
    assert lines[3:] == [
        "",
        "column  type",
        "──────  ────────────────",
        "title   Value('string')",
        "topic   Value('string')",
        "score   Value('float64')",
    ]
    assert json.loads(said(capsys, "show", news, "--json"))["splits"] == {"train": 30}


def test_show_opens_folders_that_were_saved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    label = Features({"label": ClassLabel(names=["아니오", "예"])})
    data = Dataset.from_dict({"label": [0, 1]}, features=label, split="train")
    DatasetDict(train=data, test=data).save_to_disk(tmp_path / "x")
    assert "ClassLabel: 0 아니오, 1 예" in said(capsys, "show", str(tmp_path / "x"))
    assert "test" not in said(capsys, "show", str(tmp_path / "x"), "--split", "train")
    assert "test" in refused(capsys, "show", str(tmp_path / "x"), "--split", "dev")


# head -------------------------------------------------------------------------------------------------------------


def test_head_is_a_table_that_fits(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "head", news, "-n", "2").splitlines()
    assert lines == ["title   topic  score", "──────  ─────  ─────", "제목 0  경제       0", "제목 1  정치     0.5"]
    assert len(said(capsys, "head", news).splitlines()) == 12


def test_head_as_json_cuts_nothing(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "head", news, "-n", "2", "--json", "--columns", "score", "title").splitlines()
    assert [json.loads(line) for line in lines] == [
        {"score": 0.0, "title": "제목 0"},
        {"score": 0.5, "title": "제목 1"},
    ]
    assert "제목" in lines[0]


def test_head_shows_any_value_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    features = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "image": Image()})
    rows = {
        "text": ["a\n\x1b[2Jb" * 9, None],
        "label": [1, None],
        "image": [{"bytes": b"x" * 2000, "path": None}, None],
    }
    Dataset.from_dict(rows, features=features).save_to_disk(tmp_path / "x")
    lines = said(capsys, "head", str(tmp_path / "x")).splitlines()
    assert all(line.isprintable() and width_of(line) <= 60 for line in lines)
    assert lines[2].startswith("a↵\\x1b[2Jba↵")
    assert lines[2].endswith("…  1 yes  <image 2.0 kB>")
    assert lines[3].split() == ["-", "-", "-"]
    assert (
        json.loads(said(capsys, "head", str(tmp_path / "x"), "--json").splitlines()[0])["image"]["bytes"] == "<2.0 kB>"
    )


def test_head_names_the_other_splits(news: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d").mkdir()
    for split in ("train", "test"):
        (tmp_path / "d" / f"{split}.csv").write_bytes(Path(news).read_bytes())
    assert said(capsys, "head", str(tmp_path / "d")).endswith("(train; the other splits: test)\n")
    assert "other splits" not in said(capsys, "head", str(tmp_path / "d"), "--split", "test")


# stats ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streaming", [[], ["--streaming"]])
def test_stats_count_each_column(news: str, capsys: pytest.CaptureFixture[str], streaming: list[str]) -> None:
    shown = said(capsys, "stats", news, *streaming)
    assert shown.startswith("train: 30 rows\n\ntitle   Value('string')\n  length 4 … 5, mean 4.667")
    assert "  정치  20   66.7%  █" in shown
    lines = [json.loads(line) for line in said(capsys, "stats", news, "--json", *streaming).splitlines()]
    assert lines[1]["counts"] == {"정치": 20, "경제": 10}
    assert (lines[2]["split"], lines[2]["min"], lines[2]["max"]) == ("train", 0, 14.5)


# convert ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.json", "a.jsonl", "a.parquet", "a.jsonl.gz", "a.csv.xz"])
def test_every_format_becomes_every_other(
    news: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown = said(capsys, "convert", news, str(tmp_path / name))
    assert shown.startswith(f"{tmp_path / name}: 30 rows, ")
    said(capsys, "convert", str(tmp_path / name), str(tmp_path / "back.csv"), "--streaming")
    assert (tmp_path / "back.csv").read_text() == (tmp_path / "back.csv").read_text()
    assert Dataset.from_csv(str(tmp_path / "back.csv"))[:] == Dataset.from_csv(news)[:]


def test_arrow_files_are_streams(news: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said(capsys, "convert", news, str(tmp_path / "a.arrow"))
    with pa.ipc.open_stream(tmp_path / "a.arrow") as stream:
        assert stream.read_all().num_rows == 30


def test_splits_become_a_file_each(news: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "d").mkdir()
    for split in ("train", "test"):
        (tmp_path / "d" / f"{split}.csv").write_bytes(Path(news).read_bytes())
    said(capsys, "convert", str(tmp_path / "d"), str(tmp_path / "out"), "--to", "jsonl")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["test.jsonl", "train.jsonl"]
    said(capsys, "convert", str(tmp_path / "d"), str(tmp_path / "one.parquet"), "--split", "train[:10%]")
    assert len(Dataset.from_parquet(str(tmp_path / "one.parquet"))) == 3
    assert "choose one with --split" in refused(capsys, "convert", str(tmp_path / "d"), str(tmp_path / "a.csv"))
    assert "Pass --to" in refused(capsys, "convert", str(tmp_path / "d"), str(tmp_path / "other"))


def test_a_format_that_is_not_known_is_refused(news: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "let it end in one of .csv" in refused(capsys, "convert", news, str(tmp_path / "a.xlsx"))
    assert not (tmp_path / "a.xlsx").exists()


@pytest.mark.parametrize("name", ["a.parquet.gz", "a.arrow.zst"])
def test_what_is_compressed_inside_is_not_compressed_again(
    news: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(capsys, "convert", news, str(tmp_path / name))
    assert f"is compressed inside; leave out {Path(name).suffix}" in said
    assert not (tmp_path / name).exists()


# push -------------------------------------------------------------------------------------------------------------


@pytest.mark.loopback
def test_a_file_becomes_a_repository(
    news: str, hub: StandInHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    address = said(capsys, "push", news, "alice/news", "--as-subset", "2026", "--message", "First", "--private").strip()
    repository = hub.repositories["datasets/alice/news"]
    assert address == f"{hub.address}/datasets/alice/news/commit/{repository.branches['main']}"
    assert (repository.private, repository.messages[-1]) == (True, "First")
    assert "2026/train-00000-of-00001.parquet" in hub.files("datasets/alice/news")
    said(capsys, "push", news, "alice/news", "--split", "train[:10]", "--as-split", "few")
    assert "data/few-00000-of-00001.parquet" in hub.files("datasets/alice/news")
    assert "discussions/1" in said(capsys, "push", news, "alice/news", "--create-pr")


@pytest.mark.loopback
def test_what_the_card_says_is_shown_without_downloading(
    news: str, hub: StandInHub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    said(capsys, "push", news, "alice/news")
    hub.requests.clear()
    assert "train    30" in said(capsys, "show", "alice/news")
    assert not any(".parquet" in request for request in hub.requests)
    assert "제목 0" in said(capsys, "head", "alice/news", "-n", "1")


@pytest.mark.loopback
def test_errors_of_the_hub_are_one_line(hub: StandInHub, capsys: pytest.CaptureFixture[str]) -> None:
    assert "alice/nothing" in refused(capsys, "show", "alice/nothing")


# help -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("action", EXAMPLES)
def test_every_action_has_examples_that_can_be_read(action: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["dataset", action, "--help"])
    shown = capsys.readouterr().out
    assert f"madang dataset {action} " in shown
    assert "--split" in shown


def test_a_wrong_number_is_refused(news: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dataset", "head", news, "-n", "0"])
    assert ended.value.code == 2
    assert "'0' is no whole number above 0" in capsys.readouterr().err
