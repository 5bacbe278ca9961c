"""Does evaluating take more memory for more rows? The most while it runs, for a thousand rows and for many.

    python benchmarks/evaluation_memory.py --rows 100000

A tiny token classifier: its logits (rows x tokens x labels) are what would add up. Rows are mapped from a file.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import torch
from memory import anonymous

from madang import Trainer, TrainerCallback, TrainingArguments
from madang.datasets import Dataset
from madang.testing import tiny_model

TOKENS = 16


class Peak(TrainerCallback):
    """The most anonymous memory that was seen after a batch."""

    def __init__(self) -> None:
        self.most = 0

    def on_prediction_step(self, *told: object, **more: object) -> None:
        """After a batch of an evaluation."""
        self.most = max(self.most, anonymous())


class Accuracy:
    """A metric that adds up."""

    right = seen = 0

    def add_batch(self, predictions: object, references: object) -> None:
        """One batch."""
        self.right += int((predictions.argmax(-1) == references).sum())
        self.seen += references.size

    def compute(self) -> dict[str, float]:
        """The share of right ones."""
        return {"accuracy": self.right / self.seen}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    arguments = parser.parse_args()
    os.environ["MADANG_PROGRESS"] = "0"
    torch.set_num_threads(1)
    model = tiny_model("bert", "token-classification", num_labels=40)
    for name, metric in (("the loss alone", None), ("a metric that adds up", Accuracy)):
        most = []
        for count in (1000, 1000, arguments.rows):  # the first is to warm up
            with tempfile.TemporaryDirectory(prefix="evaluation-benchmark-") as folder:
                ids = [[4 + (row + place) % 30 for place in range(TOKENS)] for row in range(1000)]
                part = {"input_ids": ids, "labels": [[token % 40 for token in text] for text in ids]}
                Dataset.from_dict(part).save_to_disk(Path(folder) / "part")
                rows = Dataset.load_from_disk(Path(folder) / "part").select([row % 1000 for row in range(count)])
                peak = Peak()
                args = TrainingArguments(folder, per_device_eval_batch_size=100, disable_tqdm=True, use_cpu=True)
                measured = None if metric is None else metric()
                trainer = Trainer(model, args, eval_dataset=rows, compute_metrics=measured, callbacks=[peak])
                trainer.evaluate()
            most.append(peak.most)
        logits = (arguments.rows - 1000) * TOKENS * 40 * 4
        print(
            f"{name}: {most[1] / 2**20:.0f} MiB at most for 1000 rows, {most[2] / 2**20:.0f} MiB for {arguments.rows}; "
            f"all logits would take {logits / 2**20:.0f} MiB more"
        )


if __name__ == "__main__":
    sys.exit(main())
