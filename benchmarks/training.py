"""Fine-tuning a pretrained encoder by Trainer.train(): this library against a reference package's trainer.

    python benchmarks/training.py --data train.csv --batch 8 --reference .parity/transformers-5/bin/python

Same weights, same rows in the same order, same arguments; the reference pads each batch to its longest text, or with
`--padding max_length` every text to 512 tokens, as tutorials do. What counts is examples per second of the whole call.
`--losses` compares the loss of every step instead, without dropout, whose numbers no two programs draw alike.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from rounds import report, serve, take_turns
from trainers import clock_of, common_options, fresh, labelled, library, rows_of, trainer_of, workers


def work(kind: str, arguments: argparse.Namespace) -> None:
    """Be one of the sides."""
    import torch

    torch.set_num_threads(arguments.threads)
    package = library(kind)
    model = package.AutoModelForSequenceClassification.from_pretrained(arguments.model)
    tokenizer = package.AutoTokenizer.from_pretrained(arguments.model)
    texts, labels, _ = labelled(arguments.data, arguments.batch * arguments.steps)
    rows = rows_of(kind, tokenizer, texts, labels, "max_length" if arguments.padding == "max_length" else False)
    if arguments.losses:
        trainer = trainer_of(kind, model, tokenizer, rows, arguments.batch, logging_steps=1)
        trainer.train()
        print("losses", json.dumps([entry["loss"] for entry in trainer.state.log_history if "loss" in entry]))
        return
    serve(lambda: trainer_of(kind, model, tokenizer, rows, arguments.batch).train(), clock_of(arguments))


def compare_losses(commands: dict[str, list[str]]) -> None:
    """Print how far the losses of the sides are apart."""
    losses = {}
    for name, command in commands.items():
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        losses[name] = json.loads(next(line for line in output.splitlines() if line.startswith("losses"))[7:])
    own = losses.pop("madang")
    for name, others in losses.items():
        apart = [abs(mine - other) for mine, other in zip(own, others, strict=True)]
        print(
            f"{name}: {len(own)} steps, loss {own[0]:.4f} to {own[-1]:.4f}, at most {max(apart):.1e} apart, "
            f"{statistics.mean(apart):.1e} in the mean"
        )


def main() -> None:
    """Start the sides and compare."""
    parser = common_options(__doc__)
    parser.add_argument("--steps", type=int, default=40, help="optimizer steps of a round")
    parser.add_argument("--padding", choices=("longest", "max_length"), default="longest")
    parser.add_argument("--losses", action="store_true")
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    classes = labelled(arguments.data, 1)[2]
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as folder:
        model = fresh(Path(folder), classes, 0.0 if arguments.losses else arguments.dropout)
        commands = workers(__file__, model, arguments.reference)
        if arguments.losses:
            compare_losses(commands)
            return
        seconds = take_turns(commands, arguments.rounds)
    examples = arguments.batch * arguments.steps
    print(f"{arguments.data}: {arguments.steps} steps of {arguments.batch}, {arguments.threads} threads")
    for name, times in seconds.items():
        print(f"{name:12} {examples / statistics.median(times):8.1f} examples per second")
    report(seconds, "madang")


if __name__ == "__main__":
    sys.exit(main())
