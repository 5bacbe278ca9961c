"""What people do with datasets 5 and a hub.

Run by test_public_packages.py in the environment of that release as alice; bob's token and a folder are the arguments.
Prints one JSON object.
"""

import json
import sys
from pathlib import Path

import datasets
from datasets import Dataset, DatasetDict, get_dataset_config_names, get_dataset_split_names, load_dataset
from huggingface_hub import HfApi

datasets.disable_progress_bars()
datasets.logging.set_verbosity_error()
bob, work = sys.argv[1], Path(sys.argv[2])
api = HfApi()
seen: dict[str, object] = {"version": datasets.__version__}


def rows(first, count):
    return {"text": [f"문장 {number}" for number in range(first, first + count)], "label": list(range(count))}


def refusal(**options):
    """The name of what loading alice's secret raises."""
    try:
        load_dataset("alice/secret", split="train", **options)
    except Exception as error:
        return type(error).__name__
    return None


DatasetDict({"train": Dataset.from_dict(rows(0, 20)), "validation": Dataset.from_dict(rows(20, 5))}).push_to_hub(
    "alice/table", "first"
)
DatasetDict({"train": Dataset.from_dict(rows(50, 7)), "test": Dataset.from_dict(rows(60, 3))}).push_to_hub(
    "alice/table", "second", num_shards={"train": 3, "test": 1}
)
seen["configs"] = get_dataset_config_names("alice/table")
seen["splits"] = [sorted(get_dataset_split_names("alice/table", name)) for name in ("first", "second")]
seen["rows"] = load_dataset("alice/table", "first", split="train").to_dict() == rows(0, 20)
seen["shards"] = load_dataset("alice/table", "second", split="train")["text"][:] == rows(50, 7)["text"]
seen["all splits"] = {name: len(part) for name, part in load_dataset("alice/table", "second").items()}
seen["a part"] = load_dataset("alice/table", "first", split="train[5:7]")["text"][:]

stream = load_dataset("alice/table", "second", split="train", streaming=True)
seen["stream"] = [row["text"] for row in stream] == rows(50, 7)["text"]
seen["skipped"] = [row["text"] for row in stream.skip(5)]
seen["shuffled"] = sorted(row["text"] for row in stream.shuffle(seed=1, buffer_size=4)) == rows(50, 7)["text"]

Dataset.from_dict(rows(100, 4)).push_to_hub("alice/table", "first", split="train", revision="v2/draft")
seen["branch"] = [
    len(load_dataset("alice/table", "first", split="train", revision="v2/draft")),
    len(load_dataset("alice/table", "first", split="train")),
]
Dataset.from_dict(rows(100, 4)).push_to_hub("alice/table", "third", create_pr=True)
seen["pull request"] = get_dataset_config_names("alice/table", revision="refs/pr/1")

Dataset.from_dict(rows(0, 3)).push_to_hub("alice/secret", private=True)
# before alice loads it: what she has in her cache on this machine, a process of hers gets with any token
seen["private, by bob"] = refusal(token=bob)
seen["private, by nobody"] = refusal(token=False)
seen["private"] = len(load_dataset("alice/secret", split="train"))

raw = {
    "csv": "text,label\n안녕,1\n잘 가,0\n",
    "json": '{"text": "안녕", "label": 1}\n{"text": "잘 가", "label": 0}\n',
    "txt": "안녕\n잘 가\n",
}
for kind, content in raw.items():
    (work / kind / "자료").mkdir(parents=True)
    for split in ("train", "test"):
        (work / kind / "자료" / f"{split}.{kind}").write_text(content, encoding="utf-8")
    api.create_repo(f"alice/raw-{kind}", repo_type="dataset")
    api.upload_folder(repo_id=f"alice/raw-{kind}", repo_type="dataset", folder_path=work / kind)
    seen[kind] = {split: part["text"][:] for split, part in load_dataset(f"alice/raw-{kind}").items()}
Dataset.from_dict(rows(0, 2)).to_parquet(work / "train.parquet")
api.create_repo("alice/raw-parquet", repo_type="dataset")
api.upload_file(
    repo_id="alice/raw-parquet", repo_type="dataset", path_or_fileobj=work / "train.parquet", path_in_repo="a b.parquet"
)
seen["parquet"] = load_dataset("alice/raw-parquet", split="train")["text"][:]
seen["one file"] = load_dataset("alice/raw-csv", data_files="자료/test.csv", split="train")["text"][:]
address = "hf://datasets/alice/raw-csv/자료/train.csv"
seen["by address"] = load_dataset("csv", data_files=address, split="train")["label"][:]
api.delete_file("자료/test.csv", repo_id="alice/raw-csv", repo_type="dataset")
seen["after a deletion"] = sorted(load_dataset("alice/raw-csv"))
print(json.dumps(seen))
