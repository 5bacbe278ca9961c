"""A batch that is half padding against the same batch full: what does leaving padding out save?

    python benchmarks/half_padding.py

Forward passes and training steps of a BERT-like encoder; the texts of the half-empty batch have lengths around half.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import torch
from model import minilm

from madang import AutoModelForSequenceClassification


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(minilm(), num_labels=7)
    ids = torch.randint(1000, 20000, (arguments.batch, arguments.width))
    labels = torch.arange(arguments.batch) % 7
    # lengths spread evenly from nothing to everything: half of the rectangle is padding
    lengths = torch.linspace(2, arguments.width, arguments.batch).long()
    half = (torch.arange(arguments.width) < lengths[:, None]).long()
    full = torch.ones_like(half)

    def forward(mask: torch.Tensor) -> None:
        with torch.inference_mode():
            model(input_ids=ids, attention_mask=mask)

    def step(mask: torch.Tensor) -> None:
        model(input_ids=ids, attention_mask=mask, labels=labels).loss.backward()
        model.zero_grad()

    print(f"{1 - half.float().mean():.0%} padding, batch {arguments.batch} x {arguments.width}")
    for name, work in (("forward", forward), ("training step", step)):
        times: dict[str, list[float]] = {"half": [], "full": []}
        for _ in range(arguments.rounds):
            for kind, mask in (("half", half), ("full", full)):
                times[kind].append(_seconds(work, mask))
        ratio = statistics.median(times["half"]) / statistics.median(times["full"])
        print(f"{name:14} half padding costs {ratio:.2f} of the full batch")


def _seconds(work: Callable[[torch.Tensor], None], mask: torch.Tensor) -> float:
    start = time.perf_counter()
    work(mask)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
