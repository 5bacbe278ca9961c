import json
import pickle

import pytest

from madang.datasets import DatasetDict, IterableDataset, load_dataset, load_dataset_builder
from madang.datasets.hub import open_repository, split_address
from madang.errors import (
    DataFilesNotFoundError,
    DatasetNotFoundError,
    DatasetScriptError,
    InputError,
    MissingSubsetError,
    NonMatchingSplitsSizesError,
    UnreachableHubError,
)

pytestmark = pytest.mark.loopback

YAML = """---
configs:
- config_name: ynat
  data_files:
  - split: train
    path: ynat/train-*
  - split: validation
    path: ynat/validation-*
- config_name: sts
  data_files: sts/*.csv
  sep: ";"
dataset_info:
- config_name: ynat
  features:
  - name: title
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': no
          '1': yes
  splits:
  - name: train
    num_bytes: 10
    num_examples: 2
  - name: validation
    num_bytes: 10
    num_examples: 1
---
# KLUE
"""
YAML = YAML.replace("'0': no", "'0': 아니오").replace("'1': yes", "'1': 예")
FILES = {
    "README.md": YAML.encode(),
    "ynat/train-00000.csv": "title,label\n축구,1\n금리,0\n".encode(),
    "ynat/validation-00000.csv": b"title,label\nx,1\n",
    "sts/train.csv": b"a;b\n1;2\n",
}


@pytest.fixture(autouse=True)
def kept(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    return tmp_path / "datasets"


@pytest.fixture
def klue(hub):
    hub.put("datasets/klue/klue", FILES)
    hub.renamed["datasets/klue"] = "datasets/klue/klue"
    return hub


def test_a_subset_has_the_features_and_splits_of_its_card(klue):
    data = load_dataset("klue/klue", "ynat")
    assert isinstance(data, DatasetDict)
    assert data.num_rows == {"train": 2, "validation": 1}
    assert data["train"].features["label"].names == ["아니오", "예"]
    assert data["train"][0] == {"title": "축구", "label": 1}
    assert load_dataset("klue/klue", "sts", split="train")[0] == {"a": 1, "b": 2}


def test_a_name_without_an_owner_is_followed_and_shares_the_cache(klue, kept):
    short = load_dataset_builder("klue", "ynat")
    assert short.cache_dir == load_dataset_builder("klue/klue", "ynat").cache_dir
    assert load_dataset("klue", "ynat", split="validation")["title"] == ["x"]
    assert "klue___klue" in short.cache_dir


def test_only_what_is_asked_for_is_downloaded(klue):
    load_dataset("klue/klue", "ynat", split="validation")
    downloads = [request for request in klue.requests if request.startswith("GET") and "/resolve/" in request]
    assert sorted(request.rsplit("/", 1)[-1] for request in downloads) == ["README.md", "validation-00000.csv"]
    trees = [request for request in klue.requests if "/tree/" in request]
    assert [request.rsplit("/", 1)[-1] for request in trees] == ["ynat"]


def test_a_second_load_asks_for_the_commit_only(klue):
    load_dataset("klue/klue", "ynat")
    klue.requests.clear()
    load_dataset("klue/klue", "ynat")
    assert klue.requests == ["GET /api/datasets/klue/klue"]


def test_a_change_of_the_card_alone_converts_nothing_again(klue):
    before = load_dataset_builder("klue/klue", "sts").cache_dir
    klue.put("datasets/klue/klue", {"README.md": YAML.encode() + b"more text\n"})
    assert load_dataset_builder("klue/klue", "sts").cache_dir == before
    klue.put("datasets/klue/klue", {"sts/train.csv": b"a;b\n3;4\n"})
    assert load_dataset("klue/klue", "sts", split="train")[0] == {"a": 3, "b": 4}


def test_what_was_loaded_once_loads_offline_with_and_without_its_name(klue, monkeypatch):
    online = load_dataset_builder("klue", "ynat").cache_dir
    load_dataset("klue", "ynat")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    klue.requests.clear()
    for name in ("klue", "klue/klue"):
        assert load_dataset(name, "ynat").num_rows == {"train": 2, "validation": 1}
        assert load_dataset(name, split="train").num_rows == 2
        assert load_dataset_builder(name, "ynat").cache_dir == online
    assert klue.requests == []
    with pytest.raises(UnreachableHubError, match=r"Couldn't reach 'klue/other' on the Hub.*offline"):
        load_dataset("klue/other")


def test_data_files_give_the_same_cache_folder_offline(klue, monkeypatch):
    online = load_dataset("klue/klue", data_files="ynat/train-*", split="train")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    offline = load_dataset("klue/klue", data_files="ynat/train-*", split="train")
    assert offline.cache_files == online.cache_files
    assert online._fingerprint == offline._fingerprint


def test_an_unreachable_hub_is_the_first_thing_said(hub, klue, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(ConnectionError, match=r"^Couldn't reach 'klue/klue' on the Hub \(ConnectError: .*127.0.0.1:9"):
        load_dataset("klue/klue", "ynat")


def test_a_cached_copy_is_used_with_a_warning_when_the_hub_is_away(klue, monkeypatch):
    load_dataset("klue/klue", "ynat")
    klue.broken["/api/"] = 503
    with pytest.warns(UserWarning, match="Using the latest cached version"):
        assert load_dataset("klue/klue", "ynat", split="train").num_rows == 2


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"path": "klue/nothing"},
            DatasetNotFoundError,
            "Dataset 'klue/nothing' doesn't exist on the Hub or cannot be",
        ),
        ({"path": "nothing"}, FileNotFoundError, "Dataset 'nothing' doesn't exist on the Hub"),
        ({"path": "klue/klue"}, MissingSubsetError, r"Config name is missing.\n.*\['ynat', 'sts'\]"),
        ({"path": "klue/klue", "name": "ynot"}, ValueError, "BuilderConfig 'ynot' not found.*Did you mean 'ynat'"),
        ({"path": "klue/klue", "revision": "v9"}, DatasetNotFoundError, "Revision 'v9' doesn't exist for dataset"),
        ({"path": "klue/klue", "data_files": "nope-*"}, DataFilesNotFoundError, "Couldn't find any data file at"),
        ({"path": "klue/klue", "name": "ynat", "split": "dev"}, KeyError, r"Unknown split \"dev\". Should be one of"),
        ({"path": "klue/klue", "revision": "../x"}, InputError, "not the name of a branch"),
    ],
)
def test_what_is_not_there_is_named(klue, arguments, error, message):
    with pytest.raises(error, match=message):
        load_dataset(**arguments)


def test_a_private_dataset_needs_its_owners_token(hub):
    hub.put("datasets/alice/secret", {"train.csv": b"a\n1\n"}, private=True)
    with pytest.raises(DatasetNotFoundError, match="token="):
        load_dataset("alice/secret")
    assert load_dataset("alice/secret", token="hf_alice", split="train")[0] == {"a": 1}


def test_a_revision_has_its_own_files(klue):
    klue.put("datasets/klue/klue", {"sts/train.csv": b"a;b\n7;8\n"}, branch="dev")
    klue.put("datasets/klue/klue", {"README.md": YAML.encode()}, branch="dev")
    assert load_dataset("klue/klue", "sts", revision="dev", split="train")[0] == {"a": 7, "b": 8}


def test_splits_are_inferred_where_the_card_says_nothing(hub):
    hub.put(
        "datasets/a/plain", {"data/train-00000-of-00001.csv": b"a\n1\n", "data/extra-00000-of-00001.csv": b"a\n2\n"}
    )
    assert load_dataset("a/plain").num_rows == {"train": 1, "extra": 1}


def test_a_hub_that_lists_no_files_is_asked_for_its_tree(hub):
    hub.lists_files, hub.page_size = False, 2
    hub.put("datasets/a/plain", {f"data/train-0000{n}-of-00003.csv": b"a\n%d\n" % n for n in range(3)})
    assert load_dataset("a/plain", split="train")["a"] == [0, 1, 2]


def test_a_program_is_not_run_and_its_parquet_branch_is_read(hub):
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    hub.put("datasets/a/old", {"old.py": b"raise SystemExit", "README.md": b"hi"})
    with pytest.raises(DatasetScriptError, match=r"found old\.py.*refs/convert/parquet") as caught:
        load_dataset("a/old")
    assert isinstance(caught.value, RuntimeError)
    table = io.BytesIO()
    pq.write_table(pa.table({"a": [1, 2]}), table)
    hub.put("datasets/a/old", {"plain/train/0000.parquet": table.getvalue()}, branch="refs/convert/parquet")
    assert load_dataset("a/old", split="train")["a"] == [1, 2]
    assert load_dataset("a/old", "plain").num_rows == {"train": 2}


def test_a_card_cannot_reach_other_files_or_servers(hub, tmp_path):
    (tmp_path / "secret.csv").write_text("a\n1\n", encoding="utf-8")
    for place in (str(tmp_path / "secret.csv"), "http://127.0.0.1:9/x.csv", "../secret.csv", "file:///etc/passwd"):
        card = f"---\nconfigs:\n- config_name: default\n  data_files: {json.dumps(place)}\n---\n"
        hub.put("datasets/bad/card", {"README.md": card.encode(), "train.csv": b"a\n1\n"})
        with pytest.raises((InputError, DataFilesNotFoundError)):
            load_dataset("bad/card")


def test_sizes_are_compared_with_the_card(klue):
    klue.put("datasets/klue/klue", {"ynat/validation-00000.csv": b"title,label\nx,1\ny,0\n"})
    with pytest.raises(NonMatchingSplitsSizesError, match="has 2 rows, but its card announces 1"):
        load_dataset("klue/klue", "ynat")
    assert load_dataset("klue/klue", "ynat", verification_mode="no_checks").num_rows == {"train": 2, "validation": 2}


def test_streaming_reads_without_downloading(klue, cache):
    stream = load_dataset("klue/klue", "ynat", split="train", streaming=True)
    assert isinstance(stream, IterableDataset)
    assert list(stream) == [{"title": "축구", "label": 1}, {"title": "금리", "label": 0}]
    assert not list(cache.rglob("train-00000.csv"))
    assert list(pickle.loads(pickle.dumps(stream))) == list(stream)


def test_streamed_parquet_says_its_features(hub, tmp_path):
    from madang.datasets import ClassLabel, Dataset

    data = Dataset.from_dict({"label": [0, 1]}).cast_column("label", ClassLabel(names=["a", "b"]))
    data.to_parquet(tmp_path / "train.parquet")
    hub.put("datasets/a/table", {"train.parquet": (tmp_path / "train.parquet").read_bytes()})
    stream = load_dataset("a/table", split="train", streaming=True)
    assert stream.features["label"].names == ["a", "b"]
    assert list(stream) == [{"label": 0}, {"label": 1}]


def test_an_hf_address_names_repository_revision_and_files(klue):
    assert load_dataset("csv", data_files="hf://datasets/klue/klue/sts/*.csv", sep=";", split="train")[0] == {
        "a": 1,
        "b": 2,
    }
    assert split_address("hf://datasets/a/b@v1/c/d.csv") == ("a/b", "v1", "c/d.csv")
    assert split_address("hf://datasets/a/b@refs/convert/parquet/c.parquet") == (
        "a/b",
        "refs/convert/parquet",
        "c.parquet",
    )


def test_names_that_lead_out_of_the_folder_are_left_out(hub):
    hub.put("datasets/a/evil", {"../../x.csv": b"a\n1\n", "train.csv": b"a\n2\n"})
    assert open_repository("a/evil").names == ["train.csv"]
