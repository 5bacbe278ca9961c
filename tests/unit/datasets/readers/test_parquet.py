import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from madang.datasets import ClassLabel, Dataset, load_dataset
from madang.datasets.readers import parquet
from madang.errors import DatasetGenerationError, InputError, UnknownNameError


@pytest.fixture
def path(tmp_path):
    data = Dataset.from_dict({"title": ["a", "b"], "label": [1, 0], "ids": [[1, 2], [3]]})
    data.cast_column("label", ClassLabel(names=["아니오", "예"])).to_parquet(tmp_path / "data.parquet")
    return tmp_path / "data.parquet"


def test_features_survive_the_file(path):
    data = Dataset.from_parquet(path)
    assert data.features["label"] == ClassLabel(names=["아니오", "예"])
    assert data.to_dict() == {"title": ["a", "b"], "label": [1, 0], "ids": [[1, 2], [3]]}


def test_only_the_chosen_columns_are_read(path):
    assert Dataset.from_parquet(path, columns=["ids"]).column_names == ["ids"]
    with pytest.raises(UnknownNameError, match="Did you mean 'label'"):
        Dataset.from_parquet(path, columns=["lable"])


@pytest.mark.parametrize("filters", [[("label", "==", 1)], pc.field("label") == 1])
def test_only_the_wanted_rows_are_read(path, filters):
    assert Dataset.from_parquet(path, filters=filters)["title"] == ["a"]
    assert Dataset.from_parquet(path, filters=[("label", ">", 5)]).num_rows == 0


def test_a_truncated_file_is_named(path):
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"data\.parquet is not a whole Parquet file"):
        Dataset.from_parquet(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"data\.parquet is not a whole Parquet file"):
        Dataset.from_parquet(path)


def test_rows_come_in_small_blocks(tmp_path):
    pq.write_table(pa.table({"a": range(50_000), "t": ["x" * 500] * 50_000}), tmp_path / "a.parquet")
    sizes = [table.nbytes for table in parquet.read([tmp_path / "a.parquet"])]
    assert max(sizes) < 8 << 20
    assert len(sizes) > 3


def test_categories_become_their_values(tmp_path):
    pq.write_table(pa.table({"a": pa.array(["x", "y", "x"]).dictionary_encode()}), tmp_path / "a.parquet")
    assert Dataset.from_parquet(tmp_path / "a.parquet")["a"] == ["x", "y", "x"]


def test_a_file_without_rows_has_its_columns(tmp_path):
    pq.write_table(pa.table({"a": pa.array([], pa.int32())}), tmp_path / "a.parquet")
    data = Dataset.from_parquet(tmp_path / "a.parquet")
    assert (data.num_rows, data.features["a"].dtype) == (0, "int32")


@pytest.fixture
def files(tmp_path):
    def written(*columns):
        for number, values in enumerate(columns):
            pq.write_table(pa.table(values), tmp_path / f"{number}.parquet")
        return [str(tmp_path / f"{number}.parquet") for number in range(len(columns))]

    return written


@pytest.mark.parametrize("streaming", [False, True])
def test_files_that_disagree_are_named_with_both_types(files, streaming):
    paths = files({"a": [1]}, {"a": ["x"]})
    with pytest.raises(DatasetGenerationError, match=r"1\.parquet.*column 'a'.*string.*int64"):
        list(load_dataset("parquet", data_files=paths, split="train", streaming=streaming))


def test_whole_numbers_and_fractions_go_together(files):
    data = load_dataset("parquet", data_files=files({"a": [1]}, {"a": [2.5], "b": ["x"]}), split="train")
    assert data.to_dict() == {"a": [1.0, 2.5], "b": [None, "x"]}


def test_a_stream_tells_of_a_column_that_only_later_files_have(files):
    stream = load_dataset("parquet", data_files=files({"a": [1]}, {"b": [2]}), split="train", streaming=True)
    with pytest.raises(DatasetGenerationError, match=r"1\.parquet.*'b'"):
        list(stream)
