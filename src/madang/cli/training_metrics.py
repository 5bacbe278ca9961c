"""What `madang train` measures: for each kind of answer the known metrics, by name, and those taken unasked."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from madang import metrics

IGNORED = -100
Metric = Callable[[Any, Any], float]

CLASSES: dict[str, Metric] = {
    "accuracy": metrics.accuracy,
    "macro_f1": metrics.f1,
    "micro_f1": partial(metrics.f1, average="micro"),
    "weighted_f1": partial(metrics.f1, average="weighted"),
    "macro_precision": metrics.precision,
    "macro_recall": metrics.recall,
    "matthews": metrics.matthews,
}
NUMBERS: dict[str, Metric] = {
    "pearson": metrics.pearson,
    "spearman": metrics.spearman,
    "mean_squared_error": metrics.mean_squared_error,
    "mean_absolute_error": metrics.mean_absolute_error,
}
ENTITIES = ("entity_f1", "entity_precision", "entity_recall")
TOKENS = ("perplexity", "token_accuracy")
# the smaller the better
FALLING = ("perplexity", "mean_squared_error", "mean_absolute_error")


def classes_scored(names: Sequence[str]) -> Callable[[Any], dict[str, float]]:
    """compute_metrics for logits (rows, classes) and a class per row."""
    return lambda found: {name: CLASSES[name](found.label_ids, found.predictions.argmax(-1)) for name in names}


def numbers_scored(names: Sequence[str]) -> Callable[[Any], dict[str, float]]:
    """compute_metrics for one number per row."""
    return lambda found: {name: NUMBERS[name](found.label_ids, found.predictions) for name in names}


def tags_scored(names: Sequence[str], tags: Mapping[int, str]) -> Callable[[Any], dict[str, float]]:
    """compute_metrics for logits (rows, tokens, classes) and a tag per token, -100 where there is none."""

    def score(found: Any) -> dict[str, float]:
        guessed, real = found.predictions.argmax(-1), found.label_ids != IGNORED
        if not real.any():
            return {}
        scores = {
            "token_accuracy": metrics.accuracy(found.label_ids[real], guessed[real]),
            "token_macro_f1": metrics.f1(found.label_ids[real], guessed[real]),
        }
        if set(names) & set(ENTITIES):
            rows = list(zip(found.label_ids, guessed, real, strict=True))
            true = [[tags[int(tag)] for tag in expected[kept]] for expected, _, kept in rows]
            predicted = [[tags[int(tag)] for tag in guess[kept]] for _, guess, kept in rows]
            scores |= metrics.entity_scores(true, predicted)
        return {name: scores[name] for name in names}

    return score


# functions without values of their own, which a program that --to-script wrote can import


def every_class_score(found: Any) -> dict[str, float]:
    """All metrics for classes."""
    return classes_scored(list(CLASSES))(found)


def every_number_score(found: Any) -> dict[str, float]:
    """All metrics for numbers."""
    return numbers_scored(list(NUMBERS))(found)


def next_token_losses(logits: Any, labels: Any) -> tuple[Any, Any]:
    """`token_losses` where the answer at a place is the next token."""
    import torch

    return token_losses(logits, torch.cat([labels[:, 1:], labels.new_full((len(labels), 1), IGNORED)], 1))


def token_losses(logits: Any, labels: Any) -> tuple[Any, Any]:
    """For each token whether it was guessed, and the loss of it, both (B, T): all that is kept of large logits."""
    from torch.nn import functional as F

    logits = logits[0] if isinstance(logits, tuple) else logits
    losses = F.cross_entropy(logits.float().transpose(1, 2), labels, reduction="none", ignore_index=IGNORED)
    real = labels != IGNORED
    return (logits.argmax(-1) == labels).int().masked_fill(~real, IGNORED), losses.masked_fill(~real, IGNORED)


def tokens_scored(names: Sequence[str]) -> Callable[[Any], dict[str, float]]:
    """compute_metrics for what `token_losses` kept."""

    def score(found: Any) -> dict[str, float]:
        right, losses = found.predictions
        real = right != IGNORED
        if not real.any():
            return {}
        scores = {"token_accuracy": float(right[real].mean())}
        scores["perplexity"] = float(np.exp(min(losses[real].astype(np.float64).mean(), 700)))
        return {name: scores[name] for name in names}

    return score
