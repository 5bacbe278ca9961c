"""Rows out of Madang."""

import contextlib
import errno
import io
import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

import pandas
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import output
from madang.datasets.dataset import Dataset
from madang.datasets.features import Array2D, ClassLabel, Features, Json, List, Value
from madang.errors import InputError
from tests.shared_data import shared


@pytest.fixture
def data() -> Dataset:
    rows = {"text": ["가,나", None, "다"], "label": [0, 1, 0], "score": [1.5, None, 3.0], "ids": [[1], [], None]}
    features = {"text": Value("string"), "label": ClassLabel(names=["no", "yes"]), "score": Value("float64")}
    return Dataset.from_dict(rows, features=Features({**features, "ids": List(Value("int32"))}))


def csv_of(data: Dataset, **options: Any) -> str:
    buffer = io.BytesIO()
    written = output.to_csv(data, buffer, **options)
    assert written == len(buffer.getvalue())
    return buffer.getvalue().decode(options.get("encoding", "utf-8"))


def json_of(data: Dataset, **options: Any) -> str:
    buffer = io.BytesIO()
    assert output.to_json(data, buffer, **options) == len(buffer.getvalue())
    return buffer.getvalue().decode()


# CSV --------------------------------------------------------------------------------------------------------------


def test_csv_is_that_of_pandas(data: Dataset) -> None:
    plain = data.remove_columns("ids")
    assert csv_of(plain) == 'text,label,score\n"가,나",0,1.5\n,1,\n다,0,3.0\n'
    assert csv_of(plain, lineterminator="\n") == plain.to_pandas().to_csv(index=False, lineterminator="\n")


@pytest.mark.parametrize(
    "options",
    [
        {"sep": "\t"},
        {"index": True},
        {"header": False},
        {"header": ["x", "y", "z"]},
        {"columns": ["score", "text"]},
        {"na_rep": "NA", "quoting": 2},
        {"quoting": 1, "index": True},
        {"float_format": "%.2f"},
        {"decimal": ",", "sep": ";"},
        {"quoting": 3, "escapechar": "\\"},
        {"index": True, "index_label": "row"},
        {"encoding": "utf-16"},
        {"encoding": "cp949"},
    ],
)
def test_options_mean_what_they_mean_to_pandas(data: Dataset, options: dict[str, Any]) -> None:
    plain, frame = data.remove_columns("ids"), data.remove_columns("ids").to_pandas()
    expected = frame.to_csv(**{"index": False, "lineterminator": "\n", **options})
    for batch_size in (None, 2):
        assert csv_of(plain, batch_size=batch_size, lineterminator="\n", **options) == expected


def test_rows_that_were_chosen_are_written_in_their_order(data: Dataset) -> None:
    assert csv_of(data.select([2, 0]).select_columns("label")) == "label\n0\n0\n"
    assert csv_of(data.select([])) == "text,label,score,ids\n"


def test_a_real_table_comes_back(tmp_path: Path) -> None:
    data = Dataset.from_csv(str(shared("ynat/val.csv")))
    written = output.to_csv(data, tmp_path / "a.csv")
    assert written == (tmp_path / "a.csv").stat().st_size
    assert Dataset.from_csv(str(tmp_path / "a.csv"))[:] == data[:]
    assert output.to_csv(data, tmp_path / "a.csv.gz") == written
    assert Dataset.from_csv(str(tmp_path / "a.csv.gz"))[:] == data[:]


def test_wrong_options_name_the_right_ones(data: Dataset) -> None:
    with pytest.raises(TypeError, match="unexpected keyword argument 'seperator'"):
        csv_of(data, seperator=";")
    with pytest.raises(TypeError, match="Did you mean 'float_format'"):
        csv_of(data, float_fromat="%f")
    with pytest.raises(ValueError, match="header= has 2 names for 4 columns"):
        csv_of(data, header=["a", "b"])
    with pytest.raises(KeyError, match="'txt'"):
        csv_of(data, columns=["txt"])
    with pytest.raises(ValueError, match="num_proc 0"):
        csv_of(data, num_proc=0)
    with pytest.raises(ValueError, match="no encoding 'utf-9'"):
        csv_of(data, encoding="utf-9")
    with pytest.raises(ValueError, match="open\\(path, 'ab'\\)"):
        csv_of(data, mode="a")
    with pytest.raises(ValueError, match="batch_size=-1"):
        csv_of(data, batch_size=-1)


def test_arrays_and_json_are_written(data: Dataset) -> None:
    features = Features({"m": Array2D((1, 2), "int32"), "j": Json()})
    data = Dataset.from_dict({"m": [[[1, 2]]], "j": [{"a": 1}]}, features=features)
    assert csv_of(data) == 'm,j\n"[[1, 2]]","{""a"":1}"\n'
    assert json_of(data) == '{"m":[[1,2]],"j":{"a":1}}\n'


# JSON -------------------------------------------------------------------------------------------------------------


def test_json_is_one_object_per_line(data: Dataset) -> None:
    assert json_of(data).splitlines() == [
        '{"text":"\\uac00,\\ub098","label":0,"score":1.5,"ids":[1]}',
        '{"text":null,"label":1,"score":null,"ids":[]}',
        '{"text":"\\ub2e4","label":0,"score":3.0,"ids":null}',
    ]
    assert json_of(data, force_ascii=False).startswith('{"text":"가,나"')
    assert json_of(data, batch_size=1) == json_of(data)


@pytest.mark.parametrize("orient", ["records", "split", "index", "columns", "values", "table"])
@pytest.mark.parametrize("batch_size", [None, 2])
def test_layouts_are_those_of_pandas(data: Dataset, orient: str, batch_size: int | None) -> None:
    plain = data.remove_columns("ids")
    index = {"index": False} if orient in ("split", "table") else {}
    expected = plain.to_pandas().to_json(orient=orient, **index)
    assert json.loads(json_of(plain, orient=orient, lines=False, batch_size=batch_size)) == json.loads(expected)


def test_json_can_be_indented(data: Dataset) -> None:
    data = data.select_columns("text")
    assert json_of(data, lines=False, indent=2) == data.to_pandas().to_json(orient="records", indent=2) + "\n"


def test_layouts_that_do_not_go_with_lines_are_refused(data: Dataset) -> None:
    with pytest.raises(ValueError, match="lines=True goes with orient='records'"):
        json_of(data, orient="split", lines=True)
    with pytest.raises(ValueError, match=r"unknown orient 'record'\. Did you mean 'records'"):
        json_of(data, orient="record")
    with pytest.raises(TypeError, match="unexpected keyword argument 'line'"):
        json_of(data, line=True)


def test_bytes_that_are_no_text_are_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"column 'b' .* holds what JSON has no form for.*remove_columns\('b'\)"):
        json_of(Dataset.from_dict({"b": [b"\xff"]}))


# Parquet ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 10, 50_000])
def test_a_disk_that_is_full_while_parquet_is_written_is_an_error(tmp_path: Path, room: int) -> None:
    class Full(io.BytesIO):
        def write(self, part: Any) -> int:
            if self.tell() + len(part) > room:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(part)

    texts = [os.urandom(20).hex() for _ in range(5000)]
    with pytest.raises(OSError, match="No space left"):
        output.to_parquet(Dataset.from_dict({"a": texts}), Full(), batch_size=500)


def test_parquet_carries_features_and_an_index_of_pages(data: Dataset, tmp_path: Path) -> None:
    assert output.to_parquet(data, tmp_path / "a.parquet") == (tmp_path / "a.parquet").stat().st_size
    assert pq.read_schema(tmp_path / "a.parquet") == data.features.arrow_schema
    part = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0)
    assert (part.compression, part.has_column_index, part.has_offset_index) == ("SNAPPY", True, True)
    assert Dataset.from_parquet(str(tmp_path / "a.parquet"))[:] == data[:]


def test_row_groups_are_as_long_as_asked_and_options_reach_the_writer(data: Dataset) -> None:
    buffer = io.BytesIO()
    output.to_parquet(data, buffer, batch_size=2, compression="zstd", use_content_defined_chunking=False)
    metadata = pq.ParquetFile(pa.BufferReader(buffer.getvalue())).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [2, 1]
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_row_groups_stay_small(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "ROW_GROUP_BYTES", 100)
    large = Dataset.from_dict({"t": ["x" * 46] * 10})  # 50 bytes a row, with its offset
    assert output.rows_in_group(large) == 2
    assert output.rows_in_group(large.select([])) == 1


# databases --------------------------------------------------------------------------------------------------------


def test_a_table_of_a_database(data: Dataset, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'a.db'}"
    assert output.to_sql(data, "news", uri, batch_size=2) == 3
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        rows = connection.execute("SELECT * FROM news").fetchall()
        assert rows == [("가,나", 0, 1.5, "[1]"), (None, 1, None, "[]"), ("다", 0, 3.0, None)]
        assert pandas.read_sql("SELECT * FROM news", connection).shape == (3, 4)
        with pytest.raises(ValueError, match="Table 'news' already exists"):
            output.to_sql(data, "news", connection)
        output.to_sql(data, "news", connection, if_exists="append")
        output.to_sql(data, 'we"ird', connection, index=True)
        assert connection.execute("SELECT count(*) FROM news").fetchone() == (6,)
        assert connection.execute('SELECT "index" FROM "we""ird"').fetchall() == [(0,), (1,), (2,)]
        output.to_sql(data.select([0]), "news", connection, if_exists="replace")
        assert connection.execute("SELECT count(*) FROM news").fetchone() == (1,)
        with pytest.raises(ValueError, match="'drop' is not valid for if_exists"):
            output.to_sql(data, "news", connection, if_exists="drop")


def test_rows_join_a_transaction_that_has_begun(data: Dataset) -> None:
    class Failing(Dataset):
        def arrow_batches(self, batch_size: int = 1) -> Any:
            yield next(super().arrow_batches(1))
            raise RuntimeError("no more")

    with contextlib.closing(sqlite3.connect(":memory:")) as connection:
        connection.execute("CREATE TABLE own (a)")
        connection.execute("INSERT INTO own VALUES (1)")
        assert connection.in_transaction
        output.to_sql(data, "news", connection)
        assert connection.in_transaction  # to be committed by who began it
        with pytest.raises(RuntimeError, match="no more"):
            output.to_sql(Failing.from_dict({"a": [3, 4]}), "more", connection)
        assert connection.execute("SELECT a FROM own").fetchall() == [(1,)]
        assert connection.execute("SELECT count(*) FROM news").fetchone() == (3,)
        connection.rollback()
        assert connection.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


def test_a_database_may_be_named_by_its_path(data: Dataset, tmp_path: Path) -> None:
    for path in (tmp_path / "a.db", str(tmp_path / "b.db")):
        assert output.to_sql(data, "news", path) == 3
        assert len(Dataset.from_sql("news", path)) == 3


def test_what_a_database_refuses_is_told(data: Dataset, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        connection.execute("CREATE TABLE news (other INTEGER)")
        with pytest.raises(InputError, match=r"'news'.*has no column") as told:
            output.to_sql(data, "news", connection, if_exists="append")
        assert isinstance(told.value, OSError)
    with pytest.raises(InputError, match="unable to open"):
        output.to_sql(data, "news", tmp_path / "missing" / "a.db")


def test_other_databases_need_sqlalchemy(data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sqlalchemy", None)
    with pytest.raises(InputError, match="postgresql needs sqlalchemy: pip install sqlalchemy"):
        output.to_sql(data, "news", "postgresql://localhost/a")


def test_a_table_stays_when_replacing_it_fails(tmp_path: Path) -> None:
    class Failing(Dataset):
        def arrow_batches(self, batch_size: int = 1) -> Any:
            yield next(super().arrow_batches(1))
            raise RuntimeError("no more")

    with contextlib.closing(sqlite3.connect(tmp_path / "a.db")) as connection:
        output.to_sql(Dataset.from_dict({"a": [1, 2]}), "t", connection)
        with pytest.raises(RuntimeError, match="no more"):
            output.to_sql(Failing.from_dict({"a": [3, 4]}), "t", connection, if_exists="replace")
        assert connection.execute("SELECT a FROM t").fetchall() == [(1,), (2,)]


# frames and lists -------------------------------------------------------------------------------------------------


def test_a_frame_of_pandas_whole_or_in_parts(data: Dataset) -> None:
    frame = output.to_pandas(data)
    assert list(frame.columns) == data.column_names
    assert frame["label"].tolist() == [0, 1, 0]
    assert [len(part) for part in output.to_pandas(data, batch_size=2, batched=True)] == [2, 1]


def test_json_is_decoded_wherever_it_lies() -> None:
    features = Features({"j": Json(), "l": List(Json()), "s": {"j": Json(), "n": Value("int64")}, "n": Value("int64")})
    rows = [
        {"j": {"a": 1}, "l": [{"b": 1}, None], "s": {"j": [1], "n": 1}, "n": 1},
        {"j": None, "l": None, "s": None, "n": 2},
    ]
    data = Dataset.from_dict({name: [row[name] for row in rows] for name in features}, features=features)
    assert output.to_list(data)[0] == rows[0]
    assert output.to_dict(data)["j"] == [{"a": 1}, None]
    assert next(output.to_dict(data, batch_size=1, batched=True))["l"] == [[{"b": 1}, None]]
    frame = output.to_pandas(data)
    assert list(frame.columns) == list(features)
    assert frame["j"][0] == {"a": 1}
    assert frame["s"][0] == {"j": [1], "n": 1}


def test_lists_of_rows(data: Dataset) -> None:
    assert output.to_list(data.select([1])) == [{"text": None, "label": 1, "score": None, "ids": []}]
    assert output.to_dict(data.select([])) == {"text": [], "label": [], "score": [], "ids": []}
    assert output.to_list(Dataset.from_dict({})) == []


def test_polars_is_asked_for_by_name_when_it_is_missing(data: Dataset) -> None:
    polars = pytest.importorskip("polars") if _has("polars") else None
    if polars is None:
        with pytest.raises(ValueError, match="Polars needs to be installed"):
            output.to_polars(data)
    else:
        assert output.to_polars(data).shape == (3, 4)


def _has(name: str) -> bool:
    import importlib.util

    return importlib.util.find_spec(name) is not None
