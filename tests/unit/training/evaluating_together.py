"""Evaluations that the tests of several processes compare: the same program, run alone and as several processes.

Each process writes what came of them into `FOLDER/<processes>-<rank>.json`.
"""

import json
import os
import sys
from pathlib import Path

import torch

from madang.datasets import Dataset
from madang.metrics import ClassScores
from madang.training import DataCollatorForTokenClassification, Trainer, TrainingArguments, set_seed
from tests.unit.training.tiny import TinyClassifier, TinyTagger, TinyTokenizer, examples, tagged

COUNT, RANK = int(os.environ.get("WORLD_SIZE", "1")), int(os.environ.get("RANK", "0"))


class ForeignStream(torch.utils.data.IterableDataset):
    """A stream that is not ours."""

    def __init__(self, rows):
        self.rows = rows

    def __iter__(self):
        return iter(self.rows)


def numbers(metrics):
    return {name: value for name, value in metrics.items() if "second" not in name and "runtime" not in name}


def found(folder):
    calls = []

    def seen(prediction):
        logits, labels, inputs, losses = prediction
        calls.append(len(labels))
        return {"labels": labels.tolist(), "inputs": inputs.tolist(), "losses": len(losses), "sum": float(logits.sum())}

    def by_batch(prediction, compute_result):
        calls.append(len(prediction.label_ids))
        return {"batches": len(calls)} if compute_result else None

    def trainer(model, collator=None, **given):
        parts = {name: given.pop(name) for name in ("compute_metrics",) if name in given}
        set_seed(0)
        args = TrainingArguments(
            str(folder),
            use_cpu=True,
            disable_tqdm=True,
            report_to="none",
            per_device_eval_batch_size=4 // COUNT,
            **given,
        )
        return Trainer(model(), args, collator, processing_class=TinyTokenizer(), **parts)

    rows, tags = Dataset.from_list(examples(9)), Dataset.from_list(tagged(11))
    tokens = DataCollatorForTokenClassification(TinyTokenizer())
    result = {}

    whole = trainer(TinyClassifier, compute_metrics=seen, include_for_metrics=["inputs", "loss"])
    result["metrics"] = numbers(whole.evaluate(rows))
    result["called"], calls[:] = list(calls), []
    metrics = whole.evaluate(rows)
    result["same speed"] = len({json.dumps(each) for each in whole.processes.gathered(metrics)})
    result["speed"] = metrics["eval_samples_per_second"] * metrics["eval_runtime"]
    calls[:] = []
    batches = trainer(TinyClassifier, compute_metrics=by_batch, batch_eval_metrics=True)
    result["by batch"], result["by batch called"] = numbers(batches.evaluate(rows)), list(calls)
    scores = trainer(TinyTagger, tokens, compute_metrics=ClassScores("accuracy", "f1"))
    result["adding up"] = numbers(scores.evaluate(tags))
    for name, dataset in (
        ("tokens", tags),
        ("stream", tags.to_iterable_dataset()),
        ("foreign stream", ForeignStream(tagged(11))),
        ("short", Dataset.from_list(tagged(1))),
        ("short stream", ForeignStream(tagged(1))),
    ):
        predictions, labels, metrics = trainer(TinyTagger, tokens, eval_accumulation_steps=2).predict(dataset)
        result[name] = [predictions.tolist(), labels.tolist(), numbers(metrics)]
    return result


if __name__ == "__main__":
    torch.set_num_threads(1)
    where = Path(sys.argv[1])
    (where / f"{COUNT}-{RANK}.json").write_text(json.dumps(found(where / "out")), encoding="utf-8")
