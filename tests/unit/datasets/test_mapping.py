import numpy as np
import pyarrow as pa
import pytest
import torch

from madang.datasets import ClassLabel, Dataset, Features, Json, List, Value, load_from_disk
from madang.errors import InputError


@pytest.fixture
def data():
    return Dataset.from_dict({"a": [1, 2, 3], "b": ["x", "y", "z"], "c": [[1], [2, 3], []]})


class TestMap:
    def test_a_row_is_updated_by_what_is_returned(self, data):
        mapped = data.map(lambda row: {"n": row["a"] * 2, "b": row["b"] * 2})
        assert mapped.column_names == ["a", "b", "c", "n"]
        assert mapped[1] == {"a": 2, "b": "yy", "c": [2, 3], "n": 4}

    def test_batches_get_and_return_columns(self, data):
        sizes = []

        def double(batch):
            sizes.append(len(batch["a"]))
            return {"n": [2 * a for a in batch["a"]]}

        assert data.map(double, batched=True, batch_size=2)["n"] == [2, 4, 6]
        assert sizes == [2, 1]

    def test_a_batch_can_be_written_to_and_returned(self):
        label = ClassLabel(names=["경제", "사회"])
        data = Dataset.from_dict({"label": [1, 0]}).cast_column("label", label)

        def name(batch):
            batch["label_str"] = label.int2str(batch["label"])
            return batch

        mapped = data.map(name, batched=True, batch_size=1000)
        assert mapped[0] == {"label": 1, "label_str": "사회"}
        assert mapped.features["label"] == label

    def test_a_row_can_be_written_to_and_returned(self, data):
        def change(row):
            row["a"] += 10
            row["new"] = row.pop("b")
            return row

        assert data.map(change)[0] == {"a": 11, "c": [1], "new": "x"}

    def test_lists_changed_in_place_count(self, data):
        def grow(row):
            row["c"].append(9)
            return row

        def grow_batch(batch):
            batch["a"][0] = 7
            return batch

        assert data.map(grow)["c"] == [[1, 9], [2, 3, 9], [9]]
        assert data.map(grow_batch, batched=True)["a"] == [7, 2, 3]
        assert data["c"] == [[1], [2, 3], []]

    def test_returning_nothing_changes_nothing(self, data):
        seen = []
        assert data.map(lambda row: seen.append(row["a"])) is data
        assert seen == [1, 2, 3]

    def test_columns_are_removed_before_the_returned_ones_come(self, data):
        mapped = data.map(lambda row: {"b": row["b"] + "!", "n": 1}, remove_columns=["a", "b", "c"])
        assert mapped.to_list() == [{"b": f"{b}!", "n": 1} for b in "xyz"]

    def test_indices_columns_and_keywords_are_passed(self, data):
        assert data.map(lambda row, i: {"i": i}, with_indices=True)["i"] == [0, 1, 2]
        assert data.map(lambda batch, i: {"i": i}, with_indices=True, batched=True, batch_size=2)["i"] == [0, 1, 2]
        assert data.map(lambda a, b: {"s": f"{a}{b}"}, input_columns=["a", "b"])["s"] == ["1x", "2y", "3z"]
        assert data.map(lambda row, by: {"n": row["a"] * by}, fn_kwargs={"by": 5})["n"] == [5, 10, 15]

    def test_batches_may_change_the_number_of_rows(self, data):
        repeated = data.map(
            lambda b: {"n": [a for a in b["a"] for _ in range(a)]}, batched=True, remove_columns=["a", "b", "c"]
        )
        assert repeated["n"] == [1, 2, 2, 3, 3, 3]

    def test_the_last_short_batch_can_be_dropped(self, data):
        dropped = data.map(
            lambda b: {"n": b["a"]}, batched=True, batch_size=2, drop_last_batch=True, remove_columns=data.column_names
        )
        assert dropped["n"] == [1, 2]

    def test_keys_that_only_some_rows_return(self, data):
        mapped = data.map(lambda row: {"a": 0, "n": 1} if row["a"] == 2 else {})
        assert mapped.to_dict() == {"a": [1, 0, 3], "b": ["x", "y", "z"], "c": [[1], [2, 3], []], "n": [None, 1, None]}

    def test_arrays_and_tensors_are_taken(self, data):
        mapped = data.map(
            lambda b: {"m": np.ones((3, 2), dtype=np.float32), "t": torch.tensor([1, 2, 3])}, batched=True
        )
        assert mapped.features["m"] == List(Value("float32"))
        assert mapped[2]["m"] == [1.0, 1.0]
        assert mapped["t"] == [1, 2, 3]
        assert data.map(lambda row: {"t": torch.tensor([row["a"]])})["t"] == [[1], [2], [3]]

    def test_arrow_tables_are_taken(self, data):
        mapped = data.with_format("arrow").map(lambda table: pa.table({"n": table["a"]}), batched=True)
        assert mapped.with_format(None)["n"] == [1, 2, 3]

    def test_a_first_batch_of_empty_cells_decides_nothing(self):
        data = Dataset.from_dict({"a": list(range(1500))})
        mapped = data.map(
            lambda row: {"n": None if row["a"] < 1200 else row["a"], "l": [] if row["a"] < 1200 else [1.5]}
        )
        assert mapped.features["n"] == Value("int64")
        assert mapped.features["l"] == List(Value("float64"))
        assert mapped[1499] == {"a": 1499, "n": 1499, "l": [1.5]}

    def test_a_column_keeps_its_type_where_all_values_fit(self, data):
        assert data.map(lambda row: {"a": row["a"] > 1}).features["a"] == Value("int64")
        assert data.map(lambda row: {"a": row["a"] + 0.5})["a"] == [1.5, 2.5, 3.5]
        assert data.map(lambda row: {"a": f"n{row['a']}"})["a"] == ["n1", "n2", "n3"]

    def test_numbers_that_come_back_as_text_stay_numbers_and_that_is_said(self, data):
        with pytest.warns(UserWarning, match="column 'a' was int64 and came back as text"):
            assert data.map(lambda row: {"a": str(row["a"])})["a"] == [1, 2, 3]

    def test_features_decide_the_types(self, data):
        features = Features({"a": Value("string"), "n": Value("float32")})
        mapped = data.map(lambda row: {"a": f"{row['a']:03}", "n": 1}, remove_columns=["b", "c"], features=features)
        assert (mapped.features, mapped["a"]) == (features, ["001", "002", "003"])

    def test_untouched_columns_are_shared_not_copied(self, data):
        mapped = data.map(lambda row: {"n": 1})
        assert mapped._frame.columns["b"].values is data._frame.columns["b"].values

    def test_a_shuffled_dataset_maps_in_its_order(self):
        data = Dataset.from_dict({"a": list(range(2100))}).shuffle(seed=1)
        mapped = data.map(lambda row: {"n": row["a"] + 1})
        assert all(row["n"] == row["a"] + 1 for row in mapped)
        assert mapped.select([5, 3])[0] == {"a": data[5]["a"], "n": data[5]["a"] + 1}

    def test_the_function_gets_the_format_of_the_dataset(self, data):
        mapped = data.with_format("torch", columns=["a"]).map(lambda row: {"n": row["a"] + torch.tensor(1)})
        assert mapped[0] == {"a": torch.tensor(1), "n": torch.tensor(2)}

    def test_an_empty_dataset_stays_as_it_is(self, data):
        assert data.select([]).map(lambda row: {"n": 1}).column_names == ["a", "b", "c"]

    @pytest.mark.parametrize(
        ("function", "options", "error", "message"),
        [
            (lambda row: 3 if row["a"] == 2 else {}, {}, TypeError, r"returned int[\s\S]*row 1 of the dataset"),
            (lambda row: {7: 1}, {}, TypeError, "the key 7"),
            (lambda row: {"n": object()}, {}, InputError, r"column 'n'[\s\S]*rows 0 to 2 of the dataset"),
            (lambda batch: {"n": 1}, {"batched": True}, TypeError, "column 'n' came back as int"),
            (lambda batch: {"n": "abc"}, {"batched": True}, TypeError, "column 'n' came back as str"),
            (
                lambda batch: {"n": [1]},
                {"batched": True},
                InputError,
                r"returned 1 rows for 3, but the columns \['a', 'b', 'c'\]",
            ),
            (lambda batch: {"n": [1], "m": [1, 2]}, {"batched": True}, InputError, "'n': 1, 'm': 2"),
            (lambda row: {"n": row["q"]}, {}, KeyError, "'q' doesn't exist"),
            (lambda row: {}, {"remove_columns": ["q"]}, KeyError, "not in the dataset"),
        ],
    )
    def test_mistakes_are_explained(self, data, function, options, error, message):
        with pytest.raises(error, match=message):
            data.map(function, **options)

    def test_an_exception_tells_the_row(self, data):
        with pytest.raises(ZeroDivisionError) as caught:
            data.map(lambda row: {"n": 1 // (row["a"] - 2)})
        assert caught.value.__notes__ == ["This happened at row 1 of the dataset."]

    def test_types_that_change_on_the_way_are_told_with_the_rows(self):
        data = Dataset.from_dict({"a": list(range(2500))})
        with pytest.raises(InputError, match=r"'b' came back as string for rows 2000 to 2499, but as int64"):
            data.map(lambda row: {"b": "x" if row["a"] >= 2000 else 1})

    @pytest.mark.parametrize("place", [0, 1500, 2400])
    def test_one_mixed_block_makes_the_column_json(self, place, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path))
        held = Dataset.from_dict({"a": list(range(2500))})
        held.save_to_disk(tmp_path / "saved")
        for data in (held, load_from_disk(tmp_path / "saved")):
            made = data.map(lambda row: {"b": "x" if row["a"] == place else row["a"]})
            assert made.features["b"] == Json()
            assert made["b"] == [*range(place), "x", *range(place + 1, 2500)]


class TestFilter:
    def test_rows_for_which_the_function_is_true_stay(self, data):
        assert data.filter(lambda row: row["c"])["a"] == [1, 2]
        assert data.filter(lambda a: a > 1, input_columns="a")["b"] == ["y", "z"]
        assert data.filter(lambda batch: np.array(batch["a"]) > 2, batched=True)["a"] == [3]
        assert data.filter(lambda row, i: i == 1, with_indices=True)["a"] == [2]
        assert len(data.filter(lambda row: False)) == 0

    def test_one_answer_per_row_is_needed(self, data):
        with pytest.raises(InputError, match="one yes or no per row"):
            data.filter(lambda batch: [True], batched=True)

    def test_only_asked_columns_are_converted(self, data, monkeypatch):
        from madang.datasets import formats

        converted = []
        original = formats.to_python
        monkeypatch.setattr(formats, "to_python", lambda array: converted.append(array.type) or original(array))
        data.filter(lambda row: row["a"] + 1 > 2)
        assert converted == [pa.int64()]


def test_map_reads_only_the_columns_that_the_function_touches(monkeypatch):
    from madang.datasets.frame import StoredColumn

    data = Dataset.from_dict({"a": list(range(2500)), "large": ["x" * 100] * 2500}).shuffle(seed=1)
    kinds = []
    gather = StoredColumn._gather
    monkeypatch.setattr(
        StoredColumn, "_gather", lambda self, places: kinds.append(self.values.type) or gather(self, places)
    )
    data.map(lambda row: {"b": row["a"] + 1})
    data.map(lambda batch: {"b": [a + 1 for a in batch["a"]]}, batched=True)
    assert set(kinds) == {pa.int64()}
