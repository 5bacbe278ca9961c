"""How fast the verbs of a dataset are: this library and the reference package on the same rows.

    python benchmarks/tables.py --data titles.csv --reference .parity/transformers-5/bin/python

The rows are memory-mapped from the Arrow files that each library made of the same Parquet file; nothing computed is
taken from a cache. `tokenize` cuts texts into tokens, `padded` also fills each up to 512, as tutorials do. `--model` is
a folder with tokenizer.json; the bare tokenizer encodes the same batches and makes no Python lists of them.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from model import minilm, texts
from rounds import report, serve, take_turns

VERBS = ("rows", "shuffled", "column", "one", "map", "tokenize", "padded", "torch", "filter", "sort", "split")
BATCH, WIDTH, LONGEST, PICKED = 32, 64, 512, 20_000


def write_rows(path: Path, titles: list[str], rows: int) -> None:
    """A Parquet file of `rows` rows: number, title, label and a list of 64 token ids."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import parquet

    random = np.random.default_rng(0)
    ids = pa.array(random.integers(0, 30_000, rows * WIDTH, dtype=np.int32))
    table = pa.table(
        {
            "guid": [f"row-{number}" for number in range(rows)],
            "title": [titles[number % len(titles)] for number in range(rows)],
            "label": random.integers(0, 7, rows),
            "input_ids": pa.ListArray.from_arrays(pa.array(np.arange(rows + 1, dtype=np.int32) * WIDTH), ids),
        }
    )
    parquet.write_table(table, path, row_group_size=50_000)


def work(kind: str, verb: str, arguments: argparse.Namespace) -> None:
    """Be one of the workers."""
    if kind == "bare":
        from tokenizers import Tokenizer

        backend = Tokenizer.from_file(str(arguments.model / "tokenizer.json"))
        backend.no_padding()
        backend.enable_truncation(LONGEST)
        if verb == "padded":
            backend.enable_padding(length=LONGEST)
        lines = _load("madang", arguments.rows_file, arguments.folder)["title"]

        def encode() -> None:
            for start in range(0, len(lines), 1000):
                backend.encode_batch(list(lines[start : start + 1000]))

        serve(encode)
        return
    data = _load(kind, arguments.rows_file, arguments.folder)
    if verb in ("rows", "shuffled", "one", "map", "column", "filter"):
        data = data.select_columns(["guid", "title", "label"])
    if verb in ("tokenize", "padded"):
        if kind == "madang":
            from madang import AutoTokenizer
        else:
            from transformers import AutoTokenizer
        tokenizer = AutoTokenizer.from_pretrained(arguments.model)
        data = data.select_columns(["title", "label"])
        asked = {"truncation": True, "max_length": LONGEST, "padding": "max_length" if verb == "padded" else False}
        serve(lambda: data.map(lambda b: tokenizer(b["title"], **asked), batched=True, load_from_cache_file=False))
        return
    serve(_verb(verb, data))


def _load(kind: str, path: Path, folder: Path):
    if kind == "madang":
        from madang.datasets import Dataset
    else:
        from datasets import Dataset, disable_progress_bars

        disable_progress_bars()
    return Dataset.from_parquet(str(path), cache_dir=str(folder / kind))


def _verb(verb: str, data):
    import numpy as np

    picked = [int(place) for place in np.random.default_rng(1).integers(0, len(data), PICKED)]

    def exhaust(rows) -> None:
        for _ in rows:
            pass

    verbs = {
        "rows": lambda: exhaust(data),
        "shuffled": lambda: exhaust(data.shuffle(seed=1)),
        "column": lambda: list(data["title"]),
        "one": lambda: [data[place] for place in picked],
        "map": lambda: data.map(lambda row: {"length": len(row["title"])}, load_from_cache_file=False),
        "torch": lambda: exhaust(
            data.select_columns(["input_ids", "label"]).with_format("torch").shuffle(seed=1).iter(BATCH)
        ),
        "filter": lambda: data.filter(lambda row: row["label"] == 1, load_from_cache_file=False),
        "sort": lambda: data.sort("title", load_from_cache_file=False),
        "split": lambda: data.train_test_split(test_size=0.1, seed=1, load_from_cache_file=False),
    }
    return verbs[verb]


def main() -> None:
    """Start the workers and compare, one verb after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a CSV file with a column title or text")
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--reference", help="a Python interpreter that has the reference package")
    parser.add_argument("--model", type=Path, default=None, help="a folder with tokenizer.json")
    parser.add_argument("--verb", choices=VERBS, action="append", help="only these")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--rows-file", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments.verb[0], arguments)
        return
    with tempfile.TemporaryDirectory(prefix="madang-bench-") as name:
        folder = Path(name)
        rows_file = folder / "rows.parquet"
        write_rows(rows_file, texts(arguments.data, 40_000), arguments.rows)
        for verb in arguments.verb or VERBS:
            model = str(arguments.model or minilm()) if verb in ("tokenize", "padded") else ""
            passed = [__file__, "--data", arguments.data, "--rows-file", str(rows_file), "--folder", name,
                      "--model", model, "--verb", verb]  # fmt: skip
            commands = {"madang": [sys.executable, *passed, "--worker", "madang"]}
            if verb in ("tokenize", "padded"):
                commands["bare"] = [sys.executable, *passed, "--worker", "bare"]
            if arguments.reference:
                commands["reference"] = [arguments.reference, *passed, "--worker", "reference"]
            print(f"{verb}: {arguments.rows} rows", flush=True)
            report(take_turns(commands, arguments.rounds), "madang")


if __name__ == "__main__":
    main()
