"""Encoder inference in the order in which the texts come: this library, a reference package, bare matrix products.

    python benchmarks/encoder.py --data titles.csv --reference .parity/transformers-5/bin/python

The bare products are those of the model's linear layers on the real tokens, without bias, attention, norms or
activations: no implementation of this model can be faster.
"""

import argparse
import sys
from pathlib import Path

from model import minilm, texts
from rounds import report, serve, take_turns


def batches(tokenizer: object, lines: list[str], size: int) -> list[dict]:
    """Padded batches as PyTorch tensors, in order."""
    return [
        dict(tokenizer(lines[i : i + size], padding=True, truncation=True, max_length=256, return_tensors="pt"))
        for i in range(0, len(lines), size)
    ]


def work(kind: str, arguments: argparse.Namespace) -> None:
    """Be one of the workers."""
    import torch

    torch.set_num_threads(arguments.threads)
    if kind == "reference":
        from transformers import AutoModel, AutoTokenizer
    else:
        from madang import AutoModel, AutoTokenizer
    model = AutoModel.from_pretrained(arguments.model).eval()
    prepared = batches(AutoTokenizer.from_pretrained(arguments.model), arguments.lines, arguments.batch)

    @torch.inference_mode()
    def run() -> None:
        for batch in prepared:
            model(**batch)

    @torch.inference_mode()
    def bare() -> None:
        for batch in prepared:
            tokens = int(batch["attention_mask"].sum())
            inputs = {width: torch.ones(tokens, width) for width in widths}
            for matrix in matrices:
                torch.mm(inputs[matrix.shape[1]], matrix.t())

    if kind == "bare":
        blocks = model.body.blocks
        matrices = [m.weight for m in blocks.modules() if isinstance(m, torch.nn.Linear)]
        widths = {matrix.shape[1] for matrix in matrices}
        masks = [batch["attention_mask"] for batch in prepared]
        share = sum(mask.numel() for mask in masks) / sum(int(mask.sum()) for mask in masks)
        print(f"{share:.2f} padded tokens to a real one", file=sys.stderr)
    serve(bare if kind == "bare" else run)


def main() -> None:
    """Start the workers and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="a CSV file with a column title or text")
    parser.add_argument("--texts", type=int, default=960)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--reference", help="a Python interpreter that has the reference package")
    parser.add_argument("--model", type=Path, default=None)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    arguments.model = arguments.model or minilm()
    arguments.lines = texts(arguments.data, arguments.texts)
    if arguments.worker:
        work(arguments.worker, arguments)
        return
    passed = [*sys.argv[1:], "--model", str(arguments.model)]
    commands = {"madang": [sys.executable, __file__, *passed, "--worker", "madang"]}
    commands["bare"] = [sys.executable, __file__, *passed, "--worker", "bare"]
    if arguments.reference:
        commands["reference"] = [arguments.reference, __file__, *passed, "--worker", "reference"]
    seconds = take_turns(commands, arguments.rounds)
    print(f"{arguments.data}: {len(arguments.lines)} texts, batches of {arguments.batch}, {arguments.threads} threads")
    report(seconds, "bare")
    if arguments.reference:
        report(seconds, "madang")


if __name__ == "__main__":
    main()
