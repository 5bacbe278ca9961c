"""Where the time of a training step goes: collating, forward, backward, clipping, optimizer; and by kind of operation.

    python benchmarks/training_step.py --data train.csv --batch 8 --reference .parity/transformers-5/bin/python

A hand-written loop on the same texts for both sides. The stages are timed by themselves; the kinds of operation are
shares of a further round under torch's profiler.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from trainers import clock_of, common_options, fresh, labelled, library, rows_of, workers

STAGES = ("collate", "forward", "backward", "clip", "optimizer", "zero_grad")
# the operations of a kind, by the beginning of their names; the first kind that fits counts
OPERATIONS = {
    "matrix products": ("aten::mm", "aten::addmm", "aten::bmm", "aten::baddbmm"),
    "optimizer": ("aten::_fused_adamw_", "Optimizer."),
    "random numbers": ("aten::bernoulli", "aten::random_"),
    "filling with zeros": ("aten::fill_", "aten::zero_"),
    "gradient's length": ("aten::linalg_vector_norm", "aten::_foreach_norm"),
    "activation": ("aten::gelu",),
    "softmax": ("aten::_softmax",),
    "norms": ("aten::native_layer_norm",),
    "copying": ("aten::copy_", "aten::cat", "aten::clone", "aten::index", "aten::embedding"),
    "element by element": (
        "aten::mul",
        "aten::add",
        "aten::div",
        "aten::sub",
        "aten::where",
        "aten::sum",
        "aten::clamp",
    ),
}


def work(kind: str, arguments: argparse.Namespace) -> None:
    """Time this side's steps and print."""
    import torch
    from torch.profiler import profile

    torch.set_num_threads(arguments.threads)
    package = library(kind)
    model = package.AutoModelForSequenceClassification.from_pretrained(arguments.model).train()
    tokenizer = package.AutoTokenizer.from_pretrained(arguments.model)
    texts, labels, _ = labelled(arguments.data, arguments.batch * arguments.steps)
    rows = rows_of(kind, tokenizer, texts, labels, False)
    starts = range(0, len(texts), arguments.batch)
    batches = [[rows[row] for row in range(start, start + arguments.batch)] for start in starts]
    collate = package.DataCollatorWithPadding(tokenizer)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-5, fused=True)
    clock = clock_of(arguments)

    def steps() -> list[float]:
        spent = dict.fromkeys(STAGES, 0.0)

        def timed(stage: str, function: Callable, *inputs: object, **options: object) -> object:
            start = clock()
            result = function(*inputs, **options)
            spent[stage] += clock() - start
            return result

        for batch in batches:
            loss = timed("forward", model, **timed("collate", collate, batch)).loss
            timed("backward", loss.backward)
            timed("clip", torch.nn.utils.clip_grad_norm_, model.parameters(), 1.0)
            timed("optimizer", optimizer.step)
            timed("zero_grad", optimizer.zero_grad)
        return [1000 * seconds / len(batches) for seconds in spent.values()]

    measured = [steps() for _ in range(arguments.rounds + 1)][1:]
    medians = [statistics.median(times) for times in zip(*measured, strict=True)]
    stages = ", ".join(f"{stage} {time:.1f}" for stage, time in zip(STAGES, medians, strict=True))
    print(f"{kind}: {sum(medians):.1f} ms a step ({stages})")
    with profile() as profiler:
        steps()
    spent = dict.fromkeys([*OPERATIONS, "all else"], 0.0)
    for entry in profiler.key_averages():
        kinds = (name for name, beginnings in OPERATIONS.items() if entry.key.startswith(beginnings))
        spent[next(kinds, "all else")] += entry.self_cpu_time_total
    for name, time in spent.items():
        share = time / sum(spent.values())
        print(f"    {name:20} {share:5.1%} {share * sum(medians):7.1f} ms")


def main() -> None:
    """One side after the other."""
    parser = common_options(__doc__)
    parser.add_argument("--steps", type=int, default=16)
    arguments = parser.parse_args()
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    with tempfile.TemporaryDirectory(prefix="training-benchmark-") as folder:
        model = fresh(Path(folder), labelled(arguments.data, 1)[2], arguments.dropout)
        for command in workers(__file__, model, arguments.reference).values():
            print(subprocess.run(command, check=True, capture_output=True, text=True).stdout, end="", flush=True)


if __name__ == "__main__":
    sys.exit(main())
