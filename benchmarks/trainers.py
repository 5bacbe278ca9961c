"""The same fine-tuning in this library and in a reference package: rows, weights, order and arguments alike."""

import argparse
import csv
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from model import minilm

KINDS = ("madang", "reference")


def labelled(path: str, most: int, skipped: int = 0) -> tuple[list[str], list[int], int]:
    """Texts, the numbers of their classes, and how many classes there are; always mixed alike."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        rows = list(csv.DictReader(file))
    text, label = ("title", "topic") if "title" in rows[0] else ("text", "category")
    names = sorted({row[label] for row in rows})
    random.Random(0).shuffle(rows)
    chosen = rows[skipped : skipped + most]
    return [row[text] for row in chosen], [names.index(row[label]) for row in chosen], len(names)


def fresh(folder: Path, classes: int, dropout: float) -> Path:
    """MiniLM with a new head, drawn once and for all sides the same, as files that each of them loads."""
    import torch

    from madang import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(
        minilm(), num_labels=classes, hidden_dropout_prob=dropout, attention_probs_dropout_prob=dropout
    )
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(minilm()).save_pretrained(folder)
    return folder


def library(kind: str) -> Any:
    """The package of this side."""
    if kind == "madang":
        import madang

        return madang
    import transformers

    return transformers


def rows_of(kind: str, tokenizer: Any, texts: list[str], labels: list[int], padding: str | bool) -> Any:
    """Tokenized rows as this side's users have them; plain dicts where the datasets package is not installed."""
    encoded = tokenizer(texts, truncation=True, max_length=512, padding=padding)
    columns = {**{name: encoded[name] for name in ("input_ids", "attention_mask")}, "labels": labels}
    if kind == "madang":
        from madang.datasets import Dataset

        return Dataset.from_dict(columns)
    try:
        from datasets import Dataset
    except ImportError:
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    return Dataset.from_dict(columns)


def trainer_of(kind: str, model: Any, tokenizer: Any, rows: Any, batch: int, **arguments: Any) -> Any:
    """A trainer of this side that takes the rows in the order in which they are."""
    package = library(kind)

    class InOrder(package.Trainer):
        def get_train_dataloader(self) -> Any:
            return self.get_eval_dataloader(self.train_dataset)

    folder = tempfile.mkdtemp(prefix="training-benchmark-")
    given = {"num_train_epochs": 1, "save_strategy": "no", "report_to": "none", "disable_tqdm": True, **arguments}
    args = package.TrainingArguments(
        folder, per_device_train_batch_size=batch, per_device_eval_batch_size=batch, use_cpu=True, **given
    )
    return InOrder(model, args, data_collator=package.DataCollatorWithPadding(tokenizer), train_dataset=rows)


def common_options(description: str | None) -> argparse.ArgumentParser:
    """The options that every comparison has."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a CSV file with columns title and topic, or text and category")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--busy", action="store_true", help="count processor time; with --threads 1, on a busy machine")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--reference", action="append", default=[], help="an interpreter with the reference package")
    parser.add_argument("--model", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    return parser


def clock_of(arguments: argparse.Namespace) -> Callable[[], float]:
    """What to measure time by."""
    return time.process_time if arguments.busy else time.perf_counter


def workers(file: str, model: Path, references: list[str]) -> dict[str, list[str]]:
    """A command for each side."""
    passed = [file, *sys.argv[1:], "--model", str(model), "--worker"]
    commands = {"madang": [sys.executable, *passed, "madang"]}
    for number, interpreter in enumerate(references):
        name = "reference" if number == 0 else f"reference {number + 1}"
        commands[name] = [interpreter, *passed, "reference"]
    return commands
