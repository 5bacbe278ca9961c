"""How large datasets are, and into how many files they go."""

from pathlib import Path

import pytest

from madang.datasets.dataset import Dataset
from madang.datasets.features import Features, Image, List
from madang.datasets.shards import bytes_of, embedded, is_stream, shard_count, spans


def test_only_the_rows_there_are_count() -> None:
    data = Dataset.from_dict({"x": list(range(1000)), "y": list(range(1000))})
    assert bytes_of(data) == 16_000
    assert bytes_of(data.shuffle(seed=1).select(range(100))) == 1600
    assert bytes_of(data.select([])) == 0


def test_files_that_images_lie_in_count(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"x" * 1000)
    path = str(tmp_path / "a.bin")
    data = Dataset.from_dict({"i": [[path], [path, path]]}, features=Features({"i": List(Image())}))
    assert 3000 < bytes_of(data) < 3500


def test_a_dataset_is_cut_by_size_by_number_or_by_processes() -> None:
    data = Dataset.from_dict({"x": list(range(1000)), "y": list(range(1000))})
    assert shard_count(data, None, None) == 1
    assert shard_count(data, "16KB", None) == 2
    assert shard_count(data, None, 7) == 7
    assert shard_count(data, None, None, num_proc=3) == 3
    assert shard_count(data, 1, None) == 1000  # never more files than rows
    assert shard_count(data.select([]), None, None) == 1
    with pytest.raises(ValueError, match="either max_shard_size or num_shards"):
        shard_count(data, "1MB", 2)
    with pytest.raises(ValueError, match="num_shards=0"):
        shard_count(data, None, 0)


def test_streams_are_told_from_tables() -> None:
    data = Dataset.from_dict({"x": [1]})
    assert not is_stream(data)
    assert is_stream(data.to_iterable_dataset())


def test_the_first_runs_are_a_row_longer() -> None:
    assert list(spans(8, 3)) == [(0, 3), (3, 6), (6, 8)]
    assert list(spans(1, 2)) == [(0, 1), (1, 1)]


def test_contents_of_files_move_into_the_table(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    features = Features({"i": Image()})
    data = Dataset.from_dict({"i": [str(tmp_path / "a.bin"), None]}, features=features)
    table = embedded(next(data.arrow_batches(10)), features)
    assert table["i"].to_pylist() == [{"bytes": b"abc", "path": "a.bin"}, None]
    assert table.schema == features.arrow_schema
