"""What starting costs, in whole processes: imports, and loading a model to embed one sentence.

python benchmarks/starting.py --reference .parity/transformers-5/bin/python
"""

import argparse
import statistics
import sys
from pathlib import Path

from model import minilm
from rounds import whole_process

NAMES = "AutoTokenizer, AutoModelForSequenceClassification, Trainer, TrainingArguments"
EMBED = """
from {package} import AutoModel, AutoTokenizer
import torch
tokenizer, model = AutoTokenizer.from_pretrained({folder!r}), AutoModel.from_pretrained({folder!r})
with torch.inference_mode():
    model(**tokenizer("One sentence.", return_tensors="pt"))
"""
# the least anybody can do: torch, the tensors, the tokenizer, nothing run
BARE = """
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
load_file({folder!r} + "/model.safetensors"); Tokenizer.from_file({folder!r} + "/tokenizer.json")
"""


def main() -> None:
    """Run every program in turns and print medians."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--reference", help="a Python interpreter that has the reference package")
    arguments = parser.parse_args()
    folder = str(minilm())
    programs = {
        "python": [sys.executable, "-c", "pass"],
        "import madang": [sys.executable, "-c", "import madang"],
        "import torch": [sys.executable, "-c", "import torch"],
        "import names": [sys.executable, "-c", f"from madang import {NAMES}"],
        "bare load": [sys.executable, "-c", BARE.format(folder=folder)],
        "embed": [sys.executable, "-c", EMBED.format(folder=folder, package="madang")],
    }
    if arguments.reference:
        programs["reference names"] = [arguments.reference, "-c", f"from transformers import {NAMES}"]
        programs["reference embed"] = [arguments.reference, "-c", EMBED.format(folder=folder, package="transformers")]
    runs: dict[str, list[tuple[float, float, int]]] = {name: [] for name in programs}
    for number in range(arguments.rounds + 1):
        for name, command in programs.items():
            (run,) = whole_process(command, 1)
            if number:
                runs[name].append(run)
    median = {name: [statistics.median(column) for column in zip(*times, strict=True)] for name, times in runs.items()}
    for name, (cpu, wall, peak) in median.items():
        print(f"{name:16} {cpu:6.3f} s processor  {wall:6.3f} s wall  {peak / 1e6:7.1f} MB peak")
    _compare(median, "import names", "import torch")
    _compare(median, "embed", "bare load")
    if arguments.reference:
        _compare(median, "reference names", "import torch")
        _compare(median, "reference embed", "bare load")
    weights = Path(folder, "model.safetensors").stat().st_size
    over = (median["embed"][2] - median["import names"][2]) / weights
    print(f"embed uses {over:.2f} x the file's size over the imports")


def _compare(median: dict[str, list[float]], one: str, other: str) -> None:
    processor, wall = (median[one][i] / median[other][i] for i in (0, 1))
    print(f"{one} / {other}: {processor:.2f} processor, {wall:.2f} wall")


if __name__ == "__main__":
    main()
