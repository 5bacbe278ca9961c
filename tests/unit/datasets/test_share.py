"""Datasets into repositories on a hub."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from madang.datasets import share
from madang.datasets.card import split_card
from madang.datasets.dataset import Dataset
from madang.datasets.dictionary import DatasetDict
from madang.datasets.features import ClassLabel, Features, Image, Value
from madang.datasets.share import delete_from_hub, push_dataset, push_dataset_dict
from madang.errors import HubError
from tests.stand_in_hub import StandInHub

pytestmark = [
    pytest.mark.loopback,
    # huggingface_hub itself, when it uploads a large file
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]
NAME, KEY = "alice/news", "datasets/alice/news"
FEATURES = Features({"text": Value("string"), "label": ClassLabel(names=["no", "yes"])})


@pytest.fixture(autouse=True)
def alice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who pushes; nobody waits."""
    from huggingface_hub import constants

    monkeypatch.setenv("HF_TOKEN", "hf_alice")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.setattr(share, "_wait", lambda attempt: None)


@pytest.fixture(params=["in the commit", "in large-file storage"])
def any_hub(request: pytest.FixtureRequest, hub: StandInHub) -> StandInHub:
    """A hub without and one with large-file storage."""
    hub.large_from = None if request.param == "in the commit" else 500
    return hub


@pytest.fixture
def data() -> Dataset:
    return Dataset.from_dict({"text": [f"글 {i}" for i in range(10)], "label": [0, 1] * 5}, features=FEATURES)


def rows_of(content: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(pa.BufferReader(content)).to_pylist()
    return rows


def uploaded(hub: StandInHub) -> list[str]:
    return [request for request in hub.requests if request.startswith("PUT ")]


def card(hub: StandInHub, branch: str = "main") -> dict[str, Any]:
    return split_card(hub.files(KEY, branch)["README.md"].decode())[0]


# what arrives -----------------------------------------------------------------------------------------------------


def test_a_dataset_becomes_parquet_and_a_card_in_one_commit(any_hub: StandInHub, data: Dataset) -> None:
    commit = push_dataset(data, NAME)
    files = any_hub.files(KEY)
    assert sorted(files) == [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"]
    content = files["data/train-00000-of-00001.parquet"]
    assert rows_of(content) == [{"text": f"글 {i}", "label": i % 2} for i in range(10)]
    assert pq.read_schema(pa.BufferReader(content)) == FEATURES.arrow_schema
    assert any_hub.repositories[KEY].messages == ["put", "Upload dataset"]
    assert (
        commit.commit_url
        == f"{any_hub.address}/datasets/alice/news/commit/{any_hub.repositories[KEY].branches['main']}"
    )
    assert card(any_hub) == {
        "dataset_info": {
            "features": [
                {"name": "text", "dtype": "string"},
                {"name": "label", "dtype": {"class_label": {"names": {"0": "no", "1": "yes"}}}},
            ],
            "splits": [{"name": "train", "num_bytes": 170, "num_examples": 10}],
            "download_size": len(content),
            "dataset_size": 170,
        },
        "configs": [{"config_name": "default", "data_files": [{"split": "train", "path": "data/train-*"}]}],
    }


def test_splits_subsets_folders_and_numbers_of_files(any_hub: StandInHub, data: Dataset) -> None:
    push_dataset_dict(DatasetDict(train=data, test=data.select([1])), NAME, "ynat", num_shards={"train": 3})
    push_dataset(data, NAME, split="dev", data_dir="deep/er", max_shard_size=100)
    named = Dataset.from_dict({"x": [1]}, split="validation")
    push_dataset(named, NAME, "other", num_proc=2, commit_message="More")
    assert sorted(any_hub.files(KEY)) == [
        ".gitattributes",
        "README.md",
        "deep/er/dev-00000-of-00002.parquet",
        "deep/er/dev-00001-of-00002.parquet",
        "other/validation-00000-of-00001.parquet",
        "ynat/test-00000-of-00001.parquet",
        "ynat/train-00000-of-00003.parquet",
        "ynat/train-00001-of-00003.parquet",
        "ynat/train-00002-of-00003.parquet",
    ]
    assert any_hub.repositories[KEY].messages[-1] == "More"
    found = [rows_of(content) for path, content in sorted(any_hub.files(KEY).items()) if path.startswith("ynat/train")]
    assert [len(rows) for rows in found] == [4, 3, 3]
    assert [one["config_name"] for one in card(any_hub)["configs"]] == ["ynat", "default", "other"]


def test_a_name_alone_is_the_callers_own_and_may_be_private(hub: StandInHub, data: Dataset) -> None:
    push_dataset(data, "mine", private=True, token="hf_bob")
    assert hub.repositories["datasets/bob/mine"].private


def test_a_branch_is_made_and_the_older_word_for_it_works(hub: StandInHub, data: Dataset) -> None:
    push_dataset(data, NAME, revision="dev")
    push_dataset(data, NAME, "more", branch="dev")
    assert {"data/train-00000-of-00001.parquet", "more/train-00000-of-00001.parquet"} <= set(hub.files(KEY, "dev"))
    assert set(hub.files(KEY)) == {".gitattributes"}


def test_a_proposal_changes_nothing_yet(any_hub: StandInHub, data: Dataset) -> None:
    any_hub.put(KEY, {"a.txt": b""})
    commit = push_dataset(data, NAME, create_pr=True, token="hf_bob")
    assert commit.pr_url == f"{any_hub.address}/datasets/alice/news/discussions/1"
    assert set(any_hub.files(KEY)) == {"a.txt"}
    assert "data/train-00000-of-00001.parquet" in any_hub.files(KEY, "refs/pr/1")


def test_images_arrive_with_their_content_unless_told_otherwise(hub: StandInHub, tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"image")
    data = Dataset.from_dict({"i": [str(tmp_path / "a.bin")]}, features=Features({"i": Image()}))
    push_dataset(data, NAME)
    assert rows_of(hub.files(KEY)["data/train-00000-of-00001.parquet"]) == [{"i": {"bytes": b"image", "path": "a.bin"}}]
    push_dataset(data, NAME, embed_external_files=False)
    assert rows_of(hub.files(KEY)["data/train-00000-of-00001.parquet"])[0]["i"]["bytes"] is None


class Stream:
    """As much of a stream as pushing needs."""

    num_shards, split, features = 3, None, FEATURES

    def __init__(self, numbers: range = range(3)) -> None:
        self.numbers = numbers

    def shard(self, num_shards: int, index: int) -> "Stream":
        return Stream(self.numbers[index::num_shards])

    def arrow_batches(self, batch_size: int) -> Iterator[pa.Table]:
        for number in self.numbers:
            yield pa.table({"text": [str(number)] * 2, "label": [0, 1]}, schema=FEATURES.arrow_schema)


def test_a_stream_becomes_a_file_per_shard(hub: StandInHub) -> None:
    push_dataset(Stream(), NAME)
    files = [content for path, content in sorted(hub.files(KEY).items()) if path.startswith("data/")]
    assert [rows_of(content)[0]["text"] for content in files] == ["0", "1", "2"]
    (split,) = card(hub)["dataset_info"]["splits"]
    assert split["num_examples"] == 6
    assert split["num_bytes"] > 0
    push_dataset(Stream(), NAME, num_shards=2)
    assert sum(path.startswith("data/") for path in hub.files(KEY)) == 2


# again ------------------------------------------------------------------------------------------------------------


def test_pushing_the_same_again_sends_and_commits_nothing(any_hub: StandInHub, data: Dataset) -> None:
    first = push_dataset(data, NAME, num_shards=3)
    any_hub.requests.clear()
    again = push_dataset(data, NAME, num_shards=3)
    assert again.oid == first.oid
    assert uploaded(any_hub) == []
    assert len(any_hub.repositories[KEY].commits) == 2


def test_files_of_before_go_and_files_of_others_stay(any_hub: StandInHub, data: Dataset) -> None:
    push_dataset_dict(DatasetDict(train=data, test=data), NAME, num_shards={"train": 3})
    others = {"README.md": any_hub.files(KEY)["README.md"] + b"# Text\n", "data/notes.txt": b"", "train-x.csv": b""}
    any_hub.put(KEY, others)
    push_dataset(data, NAME, num_shards=2)
    assert sorted(any_hub.files(KEY)) == [
        ".gitattributes", "README.md", "data/notes.txt", "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet", "train-x.csv",
    ]  # fmt: skip
    assert any_hub.files(KEY)["README.md"].endswith(b"---\n# Text\n")
    push_dataset_dict(DatasetDict(dev=data), NAME)
    assert [path for path in any_hub.files(KEY) if path.startswith("data/")] == [
        "data/notes.txt",
        "data/dev-00000-of-00001.parquet",
    ]


def test_killed_after_ten_of_twenty_files_it_sends_the_other_ten(
    hub: StandInHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.large_from = 500
    data = Dataset.from_dict({"x": list(range(2000))})
    write, written = share.write_parquet, []

    def killed(file: str, *rest: Any) -> None:
        written.append(file)
        if len(written) > 10:
            raise KeyboardInterrupt
        write(file, *rest)

    monkeypatch.setattr(share, "write_parquet", killed)
    with pytest.raises(KeyboardInterrupt):
        push_dataset(data, NAME, num_shards=20)
    assert len(uploaded(hub)) == 10
    assert set(hub.files(KEY)) == {".gitattributes"}  # nobody sees a half
    monkeypatch.setattr(share, "write_parquet", write)
    hub.requests.clear()
    push_dataset(data, NAME, num_shards=20)
    assert len(uploaded(hub)) == 10
    assert sum(path.startswith("data/") for path in hub.files(KEY)) == 20


def test_without_large_files_much_goes_in_several_commits_that_need_no_repeating(
    hub: StandInHub, data: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share, "FILES_PER_COMMIT", 4)
    hub.broken_once = {"/commit/": [409]}  # somebody else is committing
    push_dataset(data, NAME, num_shards=10)
    assert hub.repositories[KEY].messages[1:] == [
        "Upload dataset (part 1)",
        "Upload dataset (part 2)",
        "Upload dataset",
    ]
    assert sum(path.startswith("data/") for path in hub.files(KEY)) == 10
    commits = len(hub.repositories[KEY].commits)
    push_dataset(data, NAME, num_shards=10)
    assert len(hub.repositories[KEY].commits) == commits


def test_a_large_proposal_is_one_proposal(hub: StandInHub, data: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(share, "FILES_PER_COMMIT", 4)
    hub.put(KEY, {})
    commit = push_dataset(data, NAME, num_shards=10, create_pr=True)
    assert commit.pr_url == f"{hub.address}/datasets/alice/news/discussions/1"
    assert sum(path.startswith("data/") for path in hub.files(KEY, "refs/pr/1")) == 10
    assert hub.files(KEY) == {}


# races and refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [409, 412])
def test_overtaken_by_another_commit_it_looks_again(any_hub: StandInHub, data: Dataset, status: int) -> None:
    push_dataset(data, NAME)
    theirs = any_hub.files(KEY)["README.md"].replace(b"---\ndataset_info", b"---\nlicense: mit\ndataset_info")
    any_hub.before_commit.append(lambda: any_hub.put(KEY, {"README.md": theirs}))
    any_hub.broken_once = {"/commit/": [status]}
    push_dataset(data, NAME, split="test")
    assert card(any_hub)["license"] == "mit"
    assert len(card(any_hub)["dataset_info"]["splits"]) == 2


def test_it_gives_up_in_the_end(hub: StandInHub, data: Dataset) -> None:
    hub.broken = {"/commit/": 409}
    with pytest.raises(HubError, match="answered 409"):
        push_dataset(data, NAME)
    assert sum("/commit/" in request for request in hub.requests) == share.ATTEMPTS


def test_what_cannot_be_pushed_is_refused_before_anything_is_sent(hub: StandInHub, data: Dataset) -> None:
    refused: list[tuple[str, dict[str, Any]]] = [
        ("cannot be 'data'", {"config_name": "data"}),
        ("Split name should match", {"split": "a-b"}),
        ("either max_shard_size or num_shards", {"max_shard_size": "1MB", "num_shards": 2}),
        ("not in a valid format", {"max_shard_size": "big"}),
        ("cannot be a folder in a repository", {"data_dir": "../up"}),
        ("leave out revision='dev'", {"create_pr": True, "revision": "dev"}),
    ]
    for message, options in refused:
        with pytest.raises(ValueError, match=message):
            push_dataset(data, NAME, **options)
    for name in ("a/b/c", "../x", "", "buckets/alice/x"):
        with pytest.raises(ValueError, match="cannot be the name of a repository"):
            push_dataset(data, name)
    with pytest.raises(ValueError, match="features for 'train' and 'test' don't match"):
        push_dataset_dict(DatasetDict(train=data, test=data.remove_columns("text")), NAME)
    with pytest.raises(ValueError, match="one `num_shards` per dataset"):
        push_dataset_dict(DatasetDict(train=data), NAME, num_shards=2)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="nothing to push"):
        push_dataset_dict(DatasetDict(), NAME)
    assert hub.requests == []


def test_other_features_are_refused_before_files_are_uploaded(hub: StandInHub, data: Dataset) -> None:
    push_dataset(data, NAME)
    hub.requests.clear()
    with pytest.raises(ValueError, match="don't match the features of the existing splits"):
        push_dataset(data.remove_columns("text"), NAME, split="test")
    assert not any("preupload" in request for request in hub.requests)


def test_the_hubs_refusals_say_why(hub: StandInHub, data: Dataset) -> None:
    with pytest.raises(HubError, match="does not allow this with your token"):
        push_dataset(data, NAME, token="hf_bob")
    push_dataset(data, NAME)
    with pytest.raises(HubError, match="You don't have write access"):
        push_dataset(data, NAME, token="hf_bob")


# deleting ---------------------------------------------------------------------------------------------------------


def test_deleting_a_subset_is_proposed(hub: StandInHub, data: Dataset) -> None:
    push_dataset(data, NAME)
    push_dataset(data, NAME, "two")
    commit = delete_from_hub(NAME, "two")
    assert commit.pr_url == f"{hub.address}/datasets/alice/news/discussions/1"
    assert sorted(hub.files(KEY, "refs/pr/1")) == [".gitattributes", "README.md", "data/train-00000-of-00001.parquet"]
    assert [one["config_name"] for one in card(hub, "refs/pr/1")["configs"]] == ["default"]
    assert "two/train-00000-of-00001.parquet" in hub.files(KEY)
    with pytest.raises(ValueError, match=r"unknown subset 'tow'\. Did you mean 'two'"):
        delete_from_hub(NAME, "tow")
