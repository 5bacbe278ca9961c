"""Reading rows and columns: what is asked for is read, and nothing else; test_dataset.py has the everyday ones."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
import torch

from madang.datasets import Dataset, formats, frame, values
from madang.datasets.frame import StoredColumn


@pytest.fixture
def data():
    return Dataset.from_dict(
        {"a": list(range(3000)), "t": [f"글{i}" for i in range(3000)], "l": [[i, i] for i in range(3000)]}
    )


@pytest.fixture
def gathered(monkeypatch):
    """How many values of which type were asked for, each time."""
    asked = []

    def noted(name):
        original = getattr(StoredColumn, name)

        def method(self, *given):
            found = original(self, *given)
            asked.append((name, str(self.values.type), len(found) if hasattr(found, "type") else 1))
            return found

        monkeypatch.setattr(StoredColumn, name, method)

    for name in ("slice", "take", "whole", "one"):
        noted(name)
    return asked


class TestBlocks:
    """Rows become Python objects a thousand at a time, shuffled ones as well."""

    @pytest.mark.parametrize("step", [lambda d: d, lambda d: d.shuffle(seed=1), lambda d: d.select(range(3000))])
    def test_iterating_takes_a_thousand_rows_at_a_time(self, data, gathered, step):
        assert sum(1 for _ in step(data)) == 3000
        assert sorted(gathered) == sorted(
            ("slice", kind, 1000) for kind in ("int64", "string", "list<item: int64>") * 3
        )

    def test_small_batches_of_shuffled_rows_are_gathered_together(self, data, gathered):
        shuffled = data.select_columns(["a"]).shuffle(seed=1)
        assert sum(len(batch["a"]) for batch in shuffled.iter(8)) == 3000
        assert gathered == [("slice", "int64", 1000)] * 3

    def test_a_column_is_read_in_blocks(self, data, gathered):
        assert len(list(data["t"])) == 3000
        assert gathered == [("slice", "string", 1000)] * 3

    def test_only_touched_chunks_are_gathered_from(self):
        chunks = [np.arange(start, start + 20_000) for start in range(0, 100_000, 20_000)]
        texts = pa.chunked_array([pa.array([str(n) for n in chunk]) for chunk in chunks])
        column = StoredColumn(texts)
        assert column.take(np.array([45_000, 40_001, 45_000])).to_pylist() == ["45000", "40001", "45000"]


class TestOnlyWhatIsAsked:
    @pytest.mark.parametrize("kind", [None, "numpy", "torch"])
    def test_a_cell_reads_its_column(self, data, gathered, kind):
        assert data.with_format(kind)["a"][7] == 7
        assert {asked[1:] for asked in gathered} == {("int64", 1)}

    def test_a_cell_under_a_transform_transforms_its_column(self, data, gathered):
        seen = []
        shown = data.with_transform(lambda batch: seen.append(dict(batch)) or {n: v * 2 for n, v in batch.items()})
        assert shown["a"][7] == 7
        assert seen == [{"a": [7]}]
        assert gathered == [("slice", "int64", 1)]

    def test_a_format_reads_the_columns_it_shows(self, data, gathered):
        assert list(data.with_format("torch", columns=["a"])[0]) == ["a"]
        assert {asked[1] for asked in gathered} == {"int64"}

    def test_a_filter_on_one_column_reads_that(self, data, gathered):
        kept = data.filter(lambda a: a % 2, input_columns="a")
        assert len(kept) == 1500
        assert {asked[1] for asked in gathered} == {"int64"}

    def test_a_map_converts_the_columns_it_touches(self, data, monkeypatch):
        converted = []
        original = formats.to_python
        monkeypatch.setattr(formats, "to_python", lambda array: converted.append(str(array.type)) or original(array))
        assert data.map(lambda row: {"n": row["a"] + 1})["a"][5] == 5
        assert set(converted) == {"int64"}

    def test_numbers_reach_tensors_without_python_objects(self, data, monkeypatch):
        monkeypatch.setattr(values, "to_python", None)
        monkeypatch.setattr(formats, "to_python", None)
        shown = data.select_columns(["a", "l"]).shuffle(seed=1)
        for kind in ("torch", "numpy"):
            batch = shown.with_format(kind)[:10]
            assert (batch["a"].shape, batch["l"].shape) == ((10,), (10, 2))
        loader = torch.utils.data.DataLoader(shown.with_format("torch"), batch_size=500)
        assert [tuple(batch["l"].shape) for batch in loader] == [(500, 2)] * 6

    def test_lists_of_one_length_are_views_of_one_matrix(self, data):
        column = data._frame.columns["l"]
        assert column._matrices[0].shape == (3000, 2)
        there = column.values.chunk(0).flatten().buffers()[1].address
        assert column._matrices[0].__array_interface__["data"][0] == there


class TestFormats:
    def test_texts_and_empty_cells_of_numpy(self):
        data = Dataset.from_dict({"t": ["가", "나다"], "f": [0.5, None]}).with_format("numpy")
        assert data[:]["t"].dtype.kind == "U"
        assert data[0]["t"] == "가"
        assert np.isnan(data["f"][1])

    @pytest.mark.parametrize(
        ("kind", "column", "table"),
        [("arrow", pa.Array, pa.Table), ("pandas", pd.Series, pd.DataFrame), ("polars", pl.Series, pl.DataFrame)],
    )
    def test_table_formats_give_whole_columns_and_tables(self, data, kind, column, table):
        shown = data.take(3).with_format(kind)
        assert isinstance(shown["a"], column)
        assert isinstance(shown[0], table)
        assert isinstance(shown[[2, 0]], table)
        assert [len(batch) for batch in shown.iter(2)] == [2, 1]
        with pytest.raises(KeyError, match="'q' doesn't exist"):
            shown["q"]

    def test_for_a_while(self, data):
        with data.formatted_as("torch", columns=["a"]):
            assert isinstance(data[0]["a"], torch.Tensor)
        assert data[0] == {"a": 0, "t": "글0", "l": [0, 0]}
        with pytest.raises(ZeroDivisionError), data.formatted_as("numpy"):
            raise ZeroDivisionError
        assert data.format["type"] is None

    def test_transforms(self, data):
        def shout(batch):
            return {"t": [text + "!" for text in batch["t"]]}

        shown = data.with_transform(shout, columns=["t"], output_all_columns=True)
        assert shown[1] == {"t": "글1!", "a": 1, "l": [1, 1]}
        assert shown[:2]["t"] == ["글0!", "글1!"]
        assert data.with_transform(shout)[1] == {"t": "글1!"}
        data.set_transform(shout)
        assert [row["t"] for row in data][:2] == ["글0!", "글1!"]
        with pytest.raises(TypeError, match="a transform returns a dict of columns, not list"):
            data.with_transform(lambda batch: [1])[0]
        with pytest.raises(ValueError, match="needs transform="):
            data.with_format("custom")

    def test_the_setting_can_be_handed_on(self, data):
        shown = data.with_format("numpy", columns=["a"], dtype=np.float32)
        again = data.with_format(**shown.format)
        assert again.format == shown.format
        assert again[0]["a"].dtype == np.float32


class TestOther:
    def test_messages_people_search_for(self, data):
        for key, message in ((3000, "Invalid key: 3000 is out of bounds for size 3000"), (-3001, "out of bounds")):
            with pytest.raises(IndexError, match=message):
                data[key]
        with pytest.raises(ValueError, match=r"Column 'nope' doesn't exist\."):
            data["nope"]

    def test_every_whole_number_is_a_row_number(self, data):
        for one in (np.int64(1), np.uint8(1), torch.tensor(1), np.array(1)):
            assert data[one]["a"] == data["a"][one] == 1

    def test_a_column_goes_where_lists_go(self, data):
        import json

        from tokenizers import Tokenizer, models, pre_tokenizers

        column = data.take(3)["t"]
        tokenizer = Tokenizer(models.WordLevel({"글0": 0, "글1": 1, "글2": 2, "?": 3}, unk_token="?"))
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        assert [encoded.ids for encoded in tokenizer.encode_batch(column)] == [[0], [1], [2]]
        assert json.dumps(list(column), ensure_ascii=False) == '["글0", "글1", "글2"]'
        assert (np.asarray(column).tolist(), len(column), column == ["글0", "글1", "글2"]) == (list(column), 3, True)

    def test_batches_out(self, data):
        data = data.take(5).select_columns("a")
        assert list(data.to_dict(batch_size=2, batched=True)) == [{"a": [0, 1]}, {"a": [2, 3]}, {"a": [4]}]
        assert [len(table) for table in data.to_pandas(batch_size=2, batched=True)] == [2, 2, 1]
        assert [len(table) for table in data.to_polars(batch_size=2, batched=True)] == [2, 2, 1]
        with pytest.raises(ValueError, match="at least 1, not 0"):
            list(data.iter(0))

    def test_tokenising_needs_no_processes(self, data, monkeypatch):
        monkeypatch.setattr("madang.datasets.nursery.nursery", None)
        monkeypatch.setattr("os.fork", None)
        assert data.map(lambda batch: {"n": batch["a"]}, batched=True)["n"][:3] == [0, 1, 2]

    def test_what_is_known_of_files(self, data, tmp_path):
        assert (data.cache_files, data._indices, data._format_type, data._format_columns) == ([], None, None, None)
        assert data.shuffle(seed=1)._indices.schema == pa.schema([("indices", pa.uint64())])
        assert data._data.num_rows == 3000


class TestMoreThanTwoGigabytesOfText:
    """One Arrow array of texts holds two gigabytes; this column has 2.5, of one piece of memory many times."""

    @pytest.fixture
    def big(self):
        chunk = pa.array(["x" * (1 << 20)] * 16)
        texts = pa.chunked_array([chunk] * 160)
        assert texts.nbytes > 2**31
        return Dataset(pa.table({"i": np.arange(len(texts))[::-1], "t": texts}))

    def test_it_is_sorted_selected_filtered_and_mapped(self, big, monkeypatch):
        monkeypatch.setattr(frame, "ROWS_AT_ONCE", 100)
        assert big.sort("i")[0]["i"] == 0
        assert len(big.shuffle(seed=1)[5]["t"]) == 1 << 20
        assert big.filter(lambda row: row["i"] < 3)["i"] == [2, 1, 0]
        assert [len(text) for text in big.select([2559, 0, 1280])["t"]] == [1 << 20] * 3
        assert big.select_columns("i").map(lambda row: {"n": row["i"] + 1})["n"][:2] == [2560, 2559]
        assert big.take(2430).skip(2400).map(lambda row: {"n": len(row["t"])})["n"] == [1 << 20] * 30
