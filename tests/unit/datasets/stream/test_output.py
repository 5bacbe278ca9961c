"""Streams as files and tables."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from madang.datasets import ClassLabel, Dataset, Features, Value
from madang.datasets.stream import IterableDataset

FEATURES = Features({"a": Value("int32"), "label": ClassLabel(names=["no", "yes"])})
ROWS = [{"a": 1, "label": 0}, {"a": None, "label": 1}, {"a": 3, "label": 1}]


def known() -> IterableDataset:
    return IterableDataset.from_list(ROWS, features=FEATURES)


def mapped() -> IterableDataset:
    return IterableDataset.from_generator(lambda: iter(ROWS)).map(lambda row: {"n": [row["label"]]})


def test_lists_and_dicts() -> None:
    assert known().to_list() == ROWS
    assert known().with_format("numpy").to_dict() == {"a": [1, None, 3], "label": [0, 1, 1]}
    assert mapped().to_dict()["n"] == [[0], [1], [1]]
    assert known().filter(lambda row: False).to_dict() == {"a": [], "label": []}


def test_batches_are_read_as_they_are_asked_for() -> None:
    asked = []

    def rows() -> Iterator[dict[str, int]]:
        for number in range(3):
            asked.append(number)
            yield {"a": number}

    batches: Any = IterableDataset.from_generator(rows).to_dict(batch_size=2, batched=True)
    assert asked == []
    assert next(batches) == {"a": [0, 1]}
    assert asked == [0, 1]


def test_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    frame = known().to_pandas()
    assert list(frame.columns) == ["a", "label"]
    assert pandas.isna(frame["a"][1])
    assert [len(part) for part in known().to_pandas(batch_size=2, batched=True)] == [2, 1]


def test_files(tmp_path: Path) -> None:
    known().to_parquet(tmp_path / "x.parquet")
    assert Features.from_arrow_schema(pq.read_schema(tmp_path / "x.parquet")) == FEATURES
    assert pq.read_table(tmp_path / "x.parquet").to_pylist() == ROWS
    mapped().to_parquet(tmp_path / "y.parquet")
    assert pq.read_table(tmp_path / "y.parquet")["n"].to_pylist() == [[0], [1], [1]]
    known().to_csv(tmp_path / "x.csv")
    assert (tmp_path / "x.csv").read_text().split() == ["a,label", "1,0", ",1", "3,1"]
    mapped().to_json(tmp_path / "x.json")
    assert json.loads((tmp_path / "x.json").read_text().splitlines()[0]) == {"a": 1, "label": 0, "n": [0]}


def test_writing_leaves_an_iteration_where_it_was(tmp_path: Path) -> None:
    data = known()
    iterator = iter(data)
    next(iterator)
    state = data.state_dict()
    data.to_parquet(tmp_path / "x.parquet")
    assert data.state_dict() == state
    assert next(iterator) == ROWS[1]


def test_images_that_were_not_looked_at_are_written_as_they_are(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    from madang.datasets.features import Image

    image.new("RGB", (4, 3), "red").save(tmp_path / "red.jpg", quality=60)
    content = (tmp_path / "red.jpg").read_bytes()
    data = Dataset.from_dict({"image": [{"bytes": content, "path": None}]}, features=Features({"image": Image()}))
    data.to_iterable_dataset().map(lambda row: {"n": 1}).to_parquet(tmp_path / "x.parquet")
    assert pq.read_table(tmp_path / "x.parquet")["image"].to_pylist()[0]["bytes"] == content
