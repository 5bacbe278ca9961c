"""Files of the datasets package: it writes them for us to read, or tells what it reads in ours.

The reference's interpreter runs this file; the tests import `COLUMNS` and `FEATURES`.

python datasets_files_observed.py write FOLDER      files into FOLDER, a push to alice/theirs
python datasets_files_observed.py read FOLDER       answers.json from what lies in FOLDER and in alice/ours
"""

import datetime
import json
import sys
from pathlib import Path

TEXTS = [
    "쉼표, 한글",
    "quotes \" and ' both",
    "two\nlines",
    "",
    None,
    "tab\tback\\slash/",
    " blank ",
    "é😀\u2028",
    "NA",
    "1",
]
DAY = datetime.datetime(2020, 2, 29)
COLUMNS = {
    "text": TEXTS,
    "count": [1, None, -3, 2**53, 0, 7, 8, 9, 10, 11],
    "small": [0, 1, 2, 3, 4, 5, 6, 7, 8, None],
    "score": [1.0, 0.1, -2.5, None, 1e20, 100.125, 3.0, 0.0, 1234567.875, 12.0],
    "flag": [True, None, False] * 3 + [True],
    "label": [0, 1, None, 1, 0, 1, 0, 1, 0, 1],
    "moment": [DAY, None] + [DAY.replace(hour=n, second=n, microsecond=1000 * n) for n in range(8)],
    "midnight": [DAY, None] * 5,
    "day": [DAY.date(), None] * 5,
    "tags": [["a", "b'c"], [], None, ["한글", None], ["x"]] * 2,
    "ids": [[1, 2], [3, 4]] * 5,
    "person": [{"name": "김", "ages": [1]}, {"name": None, "ages": None}] * 5,
}
FEATURES = {
    "text": {"dtype": "string", "_type": "Value"},
    "count": {"dtype": "int64", "_type": "Value"},
    "small": {"dtype": "int8", "_type": "Value"},
    "score": {"dtype": "float64", "_type": "Value"},
    "flag": {"dtype": "bool", "_type": "Value"},
    "label": {"names": ["아니오", "예"], "_type": "ClassLabel"},
    "moment": {"dtype": "timestamp[ms]", "_type": "Value"},
    "midnight": {"dtype": "timestamp[us]", "_type": "Value"},
    "day": {"dtype": "date32", "_type": "Value"},
    "tags": {"feature": {"dtype": "string", "_type": "Value"}, "_type": "List"},
    "ids": {"feature": {"dtype": "int32", "_type": "Value"}, "length": 2, "_type": "List"},
    "person": {
        "name": {"dtype": "string", "_type": "Value"},
        "ages": {"feature": {"dtype": "uint8", "_type": "Value"}, "_type": "List"},
    },
}
# of columns whose texts depend on nothing but the value; lists are for JSON
IN_CSV = ["text", "count", "small", "score", "flag", "label", "moment", "midnight", "day"]
CSV = {
    "rows.csv": {},
    "rows.tsv": {"sep": "\t", "na_rep": "NULL"},
    "quoted.csv": {"quoting": 1, "index": True},
    "words.csv": {"quoting": 2, "header": False},
    "some.csv": {"columns": ["score", "text"]},
}
JSON = {
    "rows.jsonl": {},
    "letters.jsonl": {"force_ascii": False},
    "list.json": {"lines": False},
    "split.json": {"orient": "split"},
    "index.json": {"orient": "index"},
    "columns.json": {"orient": "columns"},
    "values.json": {"orient": "values"},
    "iso.jsonl": {"date_format": "iso"},
}


def told(dataset):
    """A dataset as JSON: features and rows."""
    rows = json.loads(json.dumps(dataset[:], default=str))
    return {"features": dataset.features.to_dict(), "rows": rows, "split": dataset.split and str(dataset.split)}


def made(package):
    """The table, made by either package."""
    features = package.Features.from_dict(FEATURES)
    return package.Dataset.from_dict(COLUMNS, features=features, split="train")


def write(package, folder, repository):
    """Everything that either package writes."""
    folder = Path(folder)
    data = made(package)
    data.save_to_disk(folder / "disk", num_shards=2)
    chosen = data.select([3, 1]).with_format("numpy", columns=["count"])
    package.DatasetDict(train=data, test=chosen).save_to_disk(folder / "dict")
    data.to_parquet(str(folder / "rows.parquet"))
    for name, options in CSV.items():
        data.select_columns(IN_CSV).to_csv(str(folder / name), **options)
    for name, options in JSON.items():
        data.to_json(str(folder / name), **options)
    package.DatasetDict(train=data, test=data.select([1])).push_to_hub(repository)
    data.push_to_hub(repository, "more", split="dev", num_shards=3)
    data.push_to_hub(repository, split="extra")


def read(package, folder, repository):
    """What either package reads in what the other one wrote."""
    folder = Path(folder)
    both = package.load_from_disk(folder / "dict")
    found = {
        "disk": told(package.load_from_disk(folder / "disk")),
        "dict": {name: told(split.with_format(None)) for name, split in both.items()},
        "format": {**both["test"].format, "columns": list(both["test"].format["columns"])},
        "parquet": told(package.Dataset.from_parquet(str(folder / "rows.parquet"), split="train")),
    }
    for subset in ("default", "more"):
        loaded = package.load_dataset(repository, subset)
        found[subset] = {name: told(split) for name, split in loaded.items()}
        infos = loaded[next(iter(loaded))].info
        found[f"{subset} splits"] = {name: info.num_examples for name, info in infos.splits.items()}
    return found


def main(direction, folder):
    """Ask the installed datasets."""
    import datasets

    datasets.disable_progress_bars()
    if direction == "write":
        write(datasets, folder, "alice/theirs")
    else:
        answers = read(datasets, folder, "alice/ours")
        (Path(folder) / "answers.json").write_text(json.dumps(answers), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
