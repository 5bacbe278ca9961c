"""Does fine-tuning end where the reference's ends? One epoch with default arguments, accuracy on rows held out.

    python benchmarks/accuracy.py --data train.csv --held-out val.csv --reference .parity/transformers-5/bin/python

Same weights, same rows, same seed; each side shuffles and drops out by its own numbers.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from trainers import common_options, fresh, labelled, library, rows_of, workers


def work(kind: str, arguments: argparse.Namespace) -> None:
    """Train this side and print its accuracy."""
    import torch

    torch.set_num_threads(arguments.threads)
    package = library(kind)
    model = package.AutoModelForSequenceClassification.from_pretrained(arguments.model)
    tokenizer = package.AutoTokenizer.from_pretrained(arguments.model)
    texts, labels, _ = labelled(arguments.data, arguments.rows)
    held_texts, held_labels, _ = labelled(arguments.held_out, arguments.held_out_rows)
    folder = tempfile.mkdtemp(prefix="training-benchmark-")
    options = {"save_strategy": "no", "report_to": "none", "disable_tqdm": True, "use_cpu": True}
    args = package.TrainingArguments(
        folder, num_train_epochs=1, per_device_train_batch_size=arguments.batch, seed=arguments.seed, **options
    )
    trainer = package.Trainer(
        model,
        args,
        data_collator=package.DataCollatorWithPadding(tokenizer),
        train_dataset=rows_of(kind, tokenizer, texts, labels, False),
        eval_dataset=rows_of(kind, tokenizer, held_texts, held_labels, False),
        compute_metrics=lambda told: {"accuracy": float((np.argmax(told[0], -1) == told[1]).mean())},
    )
    start = time.perf_counter()
    loss = trainer.train().training_loss
    took = time.perf_counter() - start
    answer = {"accuracy": trainer.evaluate()["eval_accuracy"], "training loss": loss, "seconds": took}
    print("result", json.dumps(answer))


def main() -> None:
    """One side after the other."""
    parser = common_options(__doc__)
    parser.add_argument("--held-out", required=True)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--held-out-rows", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=42)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as folder:
        model = fresh(Path(folder), labelled(arguments.data, 1)[2], arguments.dropout)
        for name, command in workers(__file__, model, arguments.reference).items():
            output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            found = json.loads(next(line for line in output.splitlines() if line.startswith("result"))[6:])
            print(name, ", ".join(f"{key} {value:.4g}" for key, value in found.items()), flush=True)


if __name__ == "__main__":
    sys.exit(main())
