import os
import sqlite3
from contextlib import closing

import pytest

from madang.datasets import Dataset, Features, Value
from madang.errors import DatasetGenerationError, InputError, MissingFileError


@pytest.fixture
def path(tmp_path):
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute('create table "t" (a text, b int, c real)')
        database.executemany("insert into t values (?, ?, ?)", [("x", 1, 1.0), ("y", None, 2.5)])
        database.commit()
    return tmp_path / "a.db"


def test_a_table_and_a_query_from_path_address_and_connection(path):
    whole = {"a": ["x", "y"], "b": [1, None], "c": [1.0, 2.5]}
    with closing(sqlite3.connect(path)) as connection:
        for con in (str(path), f"sqlite:///{path}", connection):
            assert Dataset.from_sql("t", con).to_dict() == whole
            assert Dataset.from_sql("select a from t where b = ?", con, params=(1,)).to_dict() == {"a": ["x"]}
            assert Dataset.from_sql("t", con, columns=["b"]).column_names == ["b"]


def test_the_database_is_only_read(path):
    before = path.read_bytes()
    with pytest.raises(DatasetGenerationError, match="readonly database"):
        Dataset.from_sql("delete from t where 1", str(path))
    assert path.read_bytes() == before


def test_a_change_of_the_database_is_seen(path):
    assert Dataset.from_sql("t", str(path)).num_rows == 2
    with closing(sqlite3.connect(path)) as database:
        database.execute("insert into t values ('z', 3, 3.0)")
        database.commit()
    os.utime(path, ns=(1, 1))
    assert Dataset.from_sql("t", str(path)).num_rows == 3


def test_types_widen_over_blocks_and_features_are_kept(path):
    query = "select 1 as n union all select 2.5"
    assert Dataset.from_sql(query, str(path), chunksize=1)["n"] == [1.0, 2.5]
    assert Dataset.from_sql("select 1 as n", str(path), features=Features({"n": Value("string")}))["n"] == ["1"]


@pytest.mark.parametrize(
    ("sql", "con", "error", "message"),
    [
        ("nothing", None, InputError, "must be given"),
        ("t", "/nowhere/a.db", MissingFileError, "no such database"),
        ("t", "oracle://h/d", InputError, "needs (sqlalchemy|.*oracle)"),
    ],
)
def test_what_cannot_be_opened_is_explained(sql, con, error, message):
    with pytest.raises(error, match=message):
        Dataset.from_sql(sql, con)


def test_an_unknown_table_is_named(path):
    with pytest.raises(DatasetGenerationError, match="no such table: u"):
        Dataset.from_sql("u", str(path))


def test_a_mixed_column_is_named(path):
    with pytest.raises(DatasetGenerationError, match="column 'n' of the query holds values of different kinds"):
        Dataset.from_sql("select 1 as n union all select 'x'", str(path))


def test_other_databases_are_read_and_written_by_their_address(tmp_path):
    pytest.importorskip("sqlalchemy")
    address = f"sqlite+pysqlite:///{tmp_path / 'b.db'}"  # a SQLite file, but by way of SQLAlchemy
    rows = Dataset.from_dict({"n": [1, 2, 3], "s": ["x", "y", None]})
    assert rows.to_sql("t", address) == 3
    assert Dataset.from_sql("t", address).to_dict() == rows.to_dict()
    assert Dataset.from_sql("select n from t where n > 1", address)["n"] == [2, 3]
