import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import Dataset, load_dataset, load_dataset_builder
from madang.datasets.options import UnknownOptionError, refuse_unknown


def test_an_unknown_option_is_refused_with_the_nearest():
    refuse_unknown("f", ["a", "old"], ["old"], ["a"])
    with pytest.raises(UnknownOptionError, match=r"unknown option of f 'colums'\. Did you mean 'columns'\?") as caught:
        refuse_unknown("f", ["colums"], ["old"], ["columns"])
    assert isinstance(caught.value, ValueError)
    assert isinstance(caught.value, TypeError)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    table = pa.table({"n": [1]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pa.ipc.new_stream(tmp_path / "a.arrow", table.schema) as sink:
        sink.write_table(table)
    (tmp_path / "a.png").write_bytes(b"x")
    (tmp_path / "a.wav").write_bytes(b"x")
    return tmp_path


@pytest.mark.parametrize(
    ("kind", "wrong", "near", "let_be"),
    [
        ("parquet", "colums", "columns", {"on_bad_files": "error", "fragment_scan_options": None}),
        ("arrow", "column", "columns", {}),
        ("imagefolder", "drop_label", "drop_labels", {"decode_num_threads": 2}),
        ("audiofolder", "drop_label", "drop_labels", {"decode_num_threads": 2}),
    ],
)
def test_readers_refuse_options_nobody_knows(files, kind, wrong, near, let_be):
    ending = {"imagefolder": "png", "audiofolder": "wav"}.get(kind, kind)
    path = str(files / f"a.{ending}")
    with pytest.raises(UnknownOptionError, match=f"'{wrong}'.* Did you mean '{near}'"):
        load_dataset(kind, data_files=path, split="train", **{wrong: True})
    assert load_dataset(kind, data_files=path, split="train", **let_be).num_rows == 1


def test_methods_refuse_options_nobody_knows(files):
    made = Dataset.from_dict({"n": [1]})
    with pytest.raises(UnknownOptionError, match=r"from_generator 'gen_kwarg'.*'gen_kwargs'"):
        Dataset.from_generator(lambda: iter([{"n": 1}]), gen_kwarg={})
    with pytest.raises(UnknownOptionError, match=r"cast 'num_procs'.*'num_proc'"):
        made.cast(made.features, num_procs=2)
    with pytest.raises(UnknownOptionError, match=r"flatten_indices 'cache_file'.*'cache_file_name'"):
        made.flatten_indices(cache_file="x")
    builder = load_dataset_builder("parquet", data_files=str(files / "a.parquet"))
    with pytest.raises(UnknownOptionError, match=r"download_and_prepare 'num_procs'.*'num_proc'"):
        builder.download_and_prepare(num_procs=2)
    with pytest.raises(ValueError, match="file_format"):
        builder.download_and_prepare(file_format="parquet")


def test_options_of_old_are_let_be(files):
    made = Dataset.from_dict({"n": [1]})
    names = {"writer_batch_size": 10, "config_name": "x", "token": None, "version": "1.0.0"}
    assert Dataset.from_generator(lambda: iter([{"n": 1}]), keep_in_memory=True, **names)["n"] == [1]
    same = {"batch_size": 10, "writer_batch_size": 10, "keep_in_memory": True, "load_from_cache_file": False}
    assert made.cast(made.features, num_proc=1, cache_file_name=None, **same)["n"] == [1]
    flat = {"writer_batch_size": 10, "features": None, "disable_nullable": True, "num_proc": 1, "new_fingerprint": "x"}
    assert made.flatten_indices(keep_in_memory=True, **flat)["n"] == [1]
    builder = load_dataset_builder("parquet", data_files=str(files / "a.parquet"))
    builder.download_and_prepare(file_format="arrow", max_shard_size="1MB", dl_manager=None, base_path=None)
