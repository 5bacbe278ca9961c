import pytest

from madang.datasets import ClassLabel, Dataset
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


def test_a_truncated_file_is_named(path):
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(InputError, match=r"data\.parquet is not a whole Parquet file"):
        Dataset.from_parquet(path)
