import pytest

from madang.datasets import (
    get_dataset_config_info,
    get_dataset_config_names,
    get_dataset_default_config_name,
    get_dataset_infos,
    get_dataset_split_names,
)  # fmt: skip
from madang.errors import DatasetNotFoundError, MissingSubsetError

pytestmark = pytest.mark.loopback
CARD = """---
configs:
- config_name: a
  data_files: [{split: train, path: a/*.csv}, {split: dev, path: b/*.csv}]
- config_name: b
  data_files: b/*.csv
dataset_info:
- config_name: a
  features: [{name: n, dtype: int64}]
  splits: [{name: train, num_bytes: 1, num_examples: 1}, {name: dev, num_bytes: 1, num_examples: 1}]
---
"""


@pytest.fixture(autouse=True)
def repository(hub, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    files = {"README.md": CARD.encode(), "a/1.csv": b"n\n1\n", "b/1.csv": b"n\n2\n"}
    hub.put("datasets/me/rows", files)
    hub.put("datasets/me/plain", {"train.csv": b"n\n1\n", "test.csv": b"n\n1\n"})
    return hub


def test_subsets_and_the_default_one():
    assert get_dataset_config_names("me/rows") == ["a", "b"]
    assert get_dataset_default_config_name("me/rows") is None
    assert get_dataset_config_names("me/plain") == ["default"]
    assert get_dataset_default_config_name("me/plain") == "default"


def test_splits_of_a_subset(repository):
    assert get_dataset_split_names("me/rows", "a") == ["train", "dev"]
    assert get_dataset_split_names("me/rows", "b") == ["train"]
    assert get_dataset_split_names("me/plain") == ["train", "test"]
    assert not [request for request in repository.requests if request.endswith(".csv")]


def test_infos_of_all_subsets():
    infos = get_dataset_infos("me/rows")
    assert list(infos) == ["a", "b"]
    assert infos["a"].features["n"].dtype == "int64"
    assert infos["a"].splits["dev"].num_examples == 1
    assert infos["b"].config_name == "b"


def test_what_is_not_there_or_not_named_is_explained():
    with pytest.raises(MissingSubsetError):
        get_dataset_config_info("me/rows")
    with pytest.raises(MissingSubsetError):
        get_dataset_split_names("me/rows")
    with pytest.raises(DatasetNotFoundError):
        get_dataset_config_names("me/nothing")
    with pytest.raises(DatasetNotFoundError):
        get_dataset_infos("me/nothing")
