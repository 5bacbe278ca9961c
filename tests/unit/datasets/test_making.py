import os
import threading

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from madang.datasets import (
    ClassLabel,
    Dataset,
    DatasetInfo,
    Features,
    List,
    NamedSplit,
    Value,
    cache,
    load_from_disk,
)
from madang.datasets.features import Array2D, Image
from madang.errors import InputError, WrongTypeError

ROWS = [{"a": 1, "t": "x"}, {"a": 2}, {"t": "y", "l": [1.5]}]


@pytest.fixture(autouse=True)
def root(monkeypatch, tmp_path):
    """A cache folder for each test."""
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_held", {})
    monkeypatch.setattr(cache, "_temporary", None)
    yield tmp_path / "cache"
    while cache._held:
        os.close(cache._held.popitem()[1])


class TestFromPython:
    def test_lists_and_dicts_say_the_same(self):
        one = Dataset.from_list(ROWS)
        two = Dataset.from_dict({"a": [1, 2, None], "t": ["x", None, "y"], "l": [None, None, [1.5]]})
        assert one.to_dict() == two.to_dict()
        assert one.features == two.features == {"a": Value("int64"), "t": Value("string"), "l": List(Value("float64"))}

    def test_rows_of_no_keys_and_no_rows(self):
        assert Dataset.from_list([]).shape == Dataset.from_dict({}).shape == (0, 0)
        assert Dataset.from_dict({"a": []}).features == {"a": Value("null")}

    def test_features_name_the_columns_wherever_they_are_told(self):
        features = Features({"t": Value("string"), "a": Value("int8")})
        for made in (
            Dataset.from_list(ROWS, features=features),
            Dataset.from_list(ROWS, info=DatasetInfo(features=features)),
            Dataset.from_dict({"a": [1, 2, None], "t": ["x", None, "y"]}, features),
            Dataset.from_generator(lambda: iter(ROWS), features=features),
            Dataset.from_generator(lambda: iter(ROWS), features=features, keep_in_memory=True),
        ):
            assert made.features == features
            assert made.to_dict() == {"t": ["x", None, "y"], "a": [1, 2, None]}

    def test_features_and_info_must_agree(self):
        with pytest.raises(ValueError, match="differ"):
            Dataset.from_dict(
                {"a": [1]},
                features=Features({"a": Value("int8")}),
                info=DatasetInfo(features=Features({"a": Value("int64")})),
            )
        with pytest.raises(InputError, match=r"features name the columns \['b'\], but the data has \['a'\]"):
            Dataset.from_dict({"a": [1]}, features=Features({"b": Value("int8")}))

    def test_what_is_known_of_it_stays(self):
        made = Dataset.from_dict({"a": [1]}, info=DatasetInfo(description="말뭉치"), split=NamedSplit("train"))
        assert (made.info.description, made.split, made.info.features) == ("말뭉치", "train", made.features)
        assert (made.select([0]).info.description, made.map(lambda row: {"b": 1}).split) == ("말뭉치", "train")

    def test_values_that_arrow_cannot_know_are_recognised(self):
        import PIL.Image

        picture = PIL.Image.new("RGB", (2, 3))
        assert Dataset.from_dict({"i": [None, picture]}).features == {"i": Image()}
        assert Dataset.from_list([{"i": picture}])[0]["i"].size == (2, 3)
        for keep in (True, False):
            made = Dataset.from_generator(lambda: iter([{"i": picture}]), keep_in_memory=keep, fingerprint="p")
            assert (made.features, made[0]["i"].size) == ({"i": Image()}, (2, 3))

    def test_arrays_of_a_declared_shape(self):
        made = Dataset.from_dict({"m": [np.ones((2, 3))]}, Features({"m": Array2D(shape=(2, 3), dtype="float32")}))
        assert made[0]["m"] == [[1.0] * 3] * 2
        assert made.with_format("numpy")[0]["m"].shape == (2, 3)

    def test_changing_features_changes_no_dataset(self):
        made = Dataset.from_dict({"a": [1]})
        made.features["a"] = Value("string")
        assert made.features == {"a": Value("int64")}


class TestFromTables:
    def test_pandas(self):
        made = Dataset.from_pandas(pd.DataFrame({"a": [1, None], "t": ["x", None]}), split="train")
        assert (made.to_dict(), made.split) == ({"a": [1.0, None], "t": ["x", None]}, "train")
        typed = Dataset.from_pandas(
            pd.DataFrame({"y": ["no", "yes"]}), features=Features({"y": ClassLabel(names=["no", "yes"])})
        )
        assert typed["y"] == [0, 1]

    def test_polars(self):
        table = pl.DataFrame({"a": [1, 2], "t": ["x", None], "l": [["u"], []]})
        made = Dataset.from_polars(table)
        assert made.features["t"] == Value("string")
        assert made.to_dict() == Dataset.from_polars(table.lazy()).to_dict() == table.to_dict(as_series=False)
        assert Dataset.from_polars(table.with_columns(pl.col("t").cast(pl.Categorical)))["t"] == ["x", None]

    def test_arrow(self):
        table = pa.table({"a": [1, 2]})
        made = Dataset(table)
        assert made.data.column("a").to_pylist() == [1, 2]
        assert Features.from_arrow_schema(made.data.schema) == made.features


class TestFromFiles:
    @pytest.fixture
    def path(self, tmp_path):
        made = Dataset.from_dict({"y": ["b", "a", "b"]}).class_encode_column("y")
        made.save_to_disk(tmp_path / "d")
        return tmp_path / "d" / "data-00000-of-00001.arrow"

    def test_a_file_is_mapped_and_knows_its_features(self, path):
        made = Dataset.from_file(path, split="test")
        assert (made["y"], made.features["y"].names, made.split) == ([1, 0, 1], ["a", "b"], "test")
        assert made.cache_files == [{"filename": str(path)}]
        assert Dataset.from_file(path, in_memory=True).cache_files == []

    def test_rows_of_it_may_be_numbered_in_another(self, path, tmp_path):
        numbers = tmp_path / "rows.arrow"
        with pa.ipc.new_stream(str(numbers), pa.schema([("indices", pa.uint64())])) as sink:
            sink.write_table(pa.table({"indices": pa.array([2, 1], pa.uint64())}))
        assert Dataset.from_file(path, indices_filename=numbers)["y"] == [1, 0]
        assert Dataset.from_buffer(path.read_bytes(), indices_buffer=numbers.read_bytes())["y"] == [1, 0]
        assert Dataset.from_buffer(path.read_bytes()).features["y"].names == ["a", "b"]

    def test_the_same_file_has_the_same_fingerprint_until_it_changes(self, path):
        first = Dataset.from_file(path)._fingerprint
        assert Dataset.from_file(path)._fingerprint == first
        os.utime(path, (1, 1))
        assert Dataset.from_file(path)._fingerprint != first

    def test_one_dataset_has_one_split(self):
        with pytest.raises(InputError, match=r"DatasetDict\.from_"):
            Dataset.from_csv({"train": "a.csv"})


class TestFromGenerator:
    def test_rows_go_to_a_file_that_is_found_again(self, tmp_path):
        calls = tmp_path / "calls"
        calls.touch()

        def rows(count, path):
            with open(path, "a", encoding="utf-8") as log:
                log.write("x")
            yield from ({"n": i, "t": str(i)} for i in range(count))

        made = [Dataset.from_generator(rows, gen_kwargs={"count": 2500, "path": str(calls)}) for _ in range(2)]
        assert calls.read_text(encoding="utf-8") == "x"
        assert made[0]["n"] == made[1]["n"] == list(range(2500))
        assert made[0]._fingerprint == made[1]._fingerprint
        assert made[0].cache_files[0]["filename"].startswith(str(tmp_path / "cache" / "generator"))
        assert len(Dataset.from_generator(rows, gen_kwargs={"count": 3, "path": str(calls)})) == 3

    def test_the_split_is_named(self):
        assert Dataset.from_generator(lambda: iter(ROWS)).split == "train"
        assert Dataset.from_generator(lambda: iter(ROWS), split="test", keep_in_memory=True).split == "test"

    def test_keys_and_types_may_come_late(self):
        def rows():
            yield from ({"a": None} for _ in range(1500))
            yield {"a": 1, "b": "late"}
            yield {"a": 0.5}

        for made in (Dataset.from_generator(rows), Dataset.from_generator(rows, keep_in_memory=True)):
            assert made.features == {"a": Value("float64"), "b": Value("string")}
            assert made[1499:] == {"a": [None, 1.0, 0.5], "b": [None, "late", None]}

    def test_what_has_no_key_is_generated_each_time(self):
        def make(numbers):
            lock = threading.Lock()

            def rows():
                with lock:
                    yield from ({"n": n} for n in numbers)

            return rows

        one, two = Dataset.from_generator(make([1, 2])), Dataset.from_generator(make([3, 4]))
        assert (one["n"], two["n"]) == ([1, 2], [3, 4])
        assert one.cache_files != two.cache_files

    def test_no_rows(self):
        assert Dataset.from_generator(lambda: iter([]), fingerprint="none").shape == (0, 0)
        features = Features({"a": Value("int8")})
        assert Dataset.from_generator(lambda: iter([]), features, keep_in_memory=True).features == features
        assert Dataset.from_generator(lambda: iter([]), features).features == features

    @pytest.mark.parametrize("keep", [True, False])
    def test_mistakes_are_explained(self, keep):
        with pytest.raises(TypeError, match="must be callable"):
            Dataset.from_generator(iter(ROWS), keep_in_memory=keep)
        with pytest.raises(WrongTypeError, match="yields dicts, not int"):
            Dataset.from_generator(lambda: iter([1]), keep_in_memory=keep)

    def test_what_fails_half_way_is_not_kept(self, tmp_path):
        def rows():
            yield {"a": 1}
            raise ZeroDivisionError

        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                Dataset.from_generator(rows)
        assert [path.name for path in (tmp_path / "cache").rglob("*.arrow*")] == []


def test_saved_and_loaded_it_is_the_same(tmp_path):
    made = Dataset.from_list(ROWS).select([2, 0])
    made.save_to_disk(tmp_path / "d")
    assert load_from_disk(tmp_path / "d").to_list() == made.to_list()


def test_a_row_that_is_no_dict_is_told():
    with pytest.raises(WrongTypeError, match="row 1 must be a dict, but is int: '3'"):
        Dataset.from_list([{"a": 1}, 3])
