import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import Audio, Features, Image, Value
from madang.datasets.memory_map import open_arrow
from madang.datasets.prepare import NOTES, Reading, _memory_given_back, dealt, opened, write
from madang.datasets.readers.files import DataFile
from madang.errors import DatasetGenerationError, InputError


@pytest.fixture
def csv(tmp_path):
    def made(text, name="a.csv"):
        (tmp_path / name).write_text(text, encoding="utf-8")
        return DataFile(str(tmp_path / name))

    return made


def test_what_is_written_is_found_again(csv, tmp_path):
    file = csv("n\n1\n2\n")
    write(tmp_path / "out", Reading("csv", {}), [file], "train", shards=[[file]])
    found = opened(tmp_path / "out")
    assert (found.num_rows, found.download_size) == (2, 6)
    assert open_arrow(found.paths[0])["n"].to_pylist() == [1, 2]
    (tmp_path / "out" / NOTES).write_text(json.dumps({"files": ["../../evil"]}), encoding="utf-8")
    with pytest.raises(InputError, match="is not what a dataset leaves"):
        opened(tmp_path / "out")


def test_shards_agree_on_their_types(csv, tmp_path):
    files = [csv("n,m\n1,\n", "1.csv"), csv("n,m\n1.5,x\n", "2.csv")]
    write(tmp_path / "out", Reading("csv", {}), files, "train", shards=[[file] for file in files])
    tables = [open_arrow(path) for path in opened(tmp_path / "out").paths]
    assert tables[0].schema == tables[1].schema
    assert pa.concat_tables(tables).to_pydict() == {"n": [1.0, 1.5], "m": [None, "x"]}


def test_shards_that_cannot_agree_are_named(csv, tmp_path):
    files = [csv("n\n1\n", "1.csv"), csv("n\nx\n", "2.csv")]
    with pytest.raises(DatasetGenerationError, match=r"2\.csv: column 'n' is string there, but int64 in .*1\.csv"):
        write(tmp_path / "out", Reading("csv", {}), files, "train", shards=[[file] for file in files])


def test_an_error_of_a_cast_names_the_file(csv):
    reading = Reading("csv", {}, Features({"n": Value("int32")}))
    with pytest.raises(DatasetGenerationError, match=r"b\.csv"):
        list(reading.tables([csv("n\n1\n"), csv("n\nx\n", "b.csv")]))


def test_streamed_rows_come_once_although_reading_starts_over(csv):
    file = csv("n\n" + "1\n" * 300_000 + "x\n")
    tables = list(Reading("csv", {})([file]))
    assert sum(table.num_rows for table in tables) == 300_001
    assert tables[-1]["n"].to_pylist()[-1] == "x"


def test_files_are_dealt_out_in_runs():
    files = [DataFile(str(number)) for number in range(5)]
    assert [[file.name for file in part] for part in dealt(files, 2)] == [["0", "1"], ["2", "3", "4"]]
    assert len(dealt(files, 9)) == 5


class Elsewhere(DataFile):
    """A file that came from a hub or an address."""


HOSTILE = {"bytes": None, "path": "/home/u/secret"}


@pytest.mark.parametrize("kind", ["parquet", "arrow", "json"])
def test_files_from_elsewhere_do_not_name_files_of_this_machine(tmp_path, kind):
    features = Features({"i": Image(), "deep": [{"a": Audio()}], "n": Value("int64")})
    rows = {"i": [HOSTILE, None], "deep": [[{"a": HOSTILE}], []], "n": [1, 2]}
    table = pa.table(rows, schema=features.arrow_schema)
    path = str(tmp_path / "x")
    if kind == "parquet":
        pq.write_table(table, path)
    elif kind == "arrow":
        with pa.ipc.new_stream(path, table.schema) as sink:
            sink.write_table(table)
    else:
        (tmp_path / "x").write_text(json.dumps({"i": "/home/u/secret", "deep": [], "n": 1}), encoding="utf-8")
    for known in (features, None)[: 1 if kind == "json" else 2]:
        made = next(Reading(kind, {}, known).tables([Elsewhere(path)]))
        assert made["i"].to_pylist()[0] == {"bytes": None, "path": "secret"}
        assert "/home" not in str(made["deep"].to_pylist())
        assert Features.from_arrow_schema(made.schema) == features
        assert next(Reading(kind, {}, known).tables([DataFile(path)]))["i"].to_pylist()[0] == HOSTILE


def test_two_conversions_at_a_time_give_the_allocator_back():
    usual = pa.default_memory_pool().backend_name
    first, second = _memory_given_back(), _memory_given_back()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert pa.default_memory_pool().backend_name == "system"
    second.__exit__(None, None, None)
    assert pa.default_memory_pool().backend_name == usual
