import pickle

import numpy as np
import pyarrow as pa
import pytest

from madang.datasets import Dataset, concatenate_datasets
from madang.datasets.memory_map import open_arrow, open_frame
from madang.errors import InputError

TABLE = pa.table({"n": range(1000), "t": [f"글{i}" for i in range(1000)]})


def written(path, table=TABLE, opened=pa.ipc.new_stream, rows=400):
    with opened(str(path), table.schema) as sink:
        sink.write_table(table, max_chunksize=rows)
    return path


@pytest.mark.parametrize("opened", [pa.ipc.new_stream, pa.ipc.new_file])
def test_both_formats_of_arrow_files_are_mapped(tmp_path, opened):
    path = written(tmp_path / "a.arrow", opened=opened)
    before = pa.total_allocated_bytes()
    table = open_arrow(path)
    assert pa.total_allocated_bytes() - before < 1000  # Arrow itself has taken no memory for the values
    assert table.equals(TABLE)
    assert open_arrow(path, in_memory=True).equals(TABLE)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: data[: len(data) // 2], "not a whole Arrow file"),
        (lambda data: b"PAR1" + data, "not a whole Arrow file"),
        (lambda data: data[:3], "not a whole Arrow file"),
    ],
)
@pytest.mark.parametrize("opened", [pa.ipc.new_stream, pa.ipc.new_file])
def test_a_file_that_is_cut_short_is_named(tmp_path, damage, message, opened):
    path = written(tmp_path / "a.arrow", opened=opened)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=f"a.arrow.*{message}"):
        open_arrow(path)


def test_files_follow_each_other_and_know_where_they_lie(tmp_path):
    paths = [written(tmp_path / f"{name}.arrow", TABLE.slice(start, 500)) for name, start in (("a", 0), ("b", 500))]
    frame, schema = open_frame(paths)
    assert (frame.table().equals(TABLE), schema) == (True, TABLE.schema)
    origins = frame.columns["n"].cut(450, 600).origins
    assert [(origin.file, origin.start, origin.length) for origin in origins] == [
        (str(paths[0]), 450, 50),
        (str(paths[1]), 0, 100),
    ]
    assert open_frame(paths, in_memory=True)[0].columns["n"].origins is None


def test_files_of_different_columns_are_named(tmp_path):
    one, two = written(tmp_path / "a.arrow"), written(tmp_path / "b.arrow", TABLE.select(["n"]))
    with pytest.raises(InputError, match=r"b.arrow has the columns \['n'\]"):
        open_frame([one, two])


class TestPickling:
    """A mapped dataset travels as the names of its files."""

    @pytest.mark.parametrize(
        "step",
        [
            lambda data: data,
            lambda data: data.select(range(100, 700)),
            lambda data: data.rename_column("n", "m").select_columns(["t", "m"]),
            lambda data: concatenate_datasets([data.skip(300), data.take(5)]),
            lambda data: data.select(np.arange(10)[::-1]),
        ],
    )
    def test_it_is_small_and_the_same(self, tmp_path, step):
        data = step(Dataset.from_file(written(tmp_path / "a.arrow")))
        pickled = pickle.dumps(data)
        assert len(pickled) < 3000
        again = pickle.loads(pickled)
        assert again.to_dict() == data.to_dict()
        assert (again.features, again._fingerprint) == (data.features, data._fingerprint)
        assert again.cache_files == data.cache_files == [{"filename": str(tmp_path / "a.arrow")}]


def test_it_stays_open_when_the_file_is_removed(tmp_path):
    path = written(tmp_path / "a.arrow")
    data = Dataset.from_file(path)
    path.unlink()
    assert data[999] == {"n": 999, "t": "글999"}
