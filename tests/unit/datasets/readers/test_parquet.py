import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest

from madang.datasets import ClassLabel, Dataset
from madang.datasets.readers import parquet
from madang.errors import InputError, UnknownNameError


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
