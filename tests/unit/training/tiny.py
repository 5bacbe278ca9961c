"""A tiny model and tokenizer with the interface of real ones: enough to train within milliseconds."""

from random import Random
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F


class TinyClassifier(nn.Module):
    """Bag of token embeddings (padding left out), a norm, a linear head; one class per text."""

    task = "sequence-classification"
    input_names = ("input_ids", "attention_mask", "labels")
    label_names = ("labels",)
    name_or_path = "tiny"

    def __init__(self, vocabulary: int = 11, hidden: int = 8, num_labels: int = 3, problem_type: str | None = None):
        super().__init__()
        self.config = SimpleNamespace(num_labels=num_labels, problem_type=problem_type)
        self.embed = nn.Embedding(vocabulary, hidden)
        self.norm = nn.LayerNorm(hidden)
        self.head = nn.Linear(hidden, num_labels)
        self.checkpointing = False

    @property
    def device(self) -> torch.device:
        return self.head.weight.device

    def forward(self, input_ids, attention_mask=None, labels=None, num_items_in_batch=None) -> dict[str, Any]:
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        hidden = (self.embed(input_ids) * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
        logits = self.head(self.norm(hidden))
        if labels is None:
            return {"logits": logits}
        loss = F.cross_entropy(logits, labels, reduction="sum")
        return {"loss": loss / (num_items_in_batch or self.count_targets({"labels": labels})), "logits": logits}

    def count_targets(self, inputs) -> int:
        return 0 if "labels" not in inputs else int((inputs["labels"] != -100).sum())

    def gradient_checkpointing_enable(self) -> None:
        self.checkpointing = True

    def save_pretrained(self, folder) -> None:
        torch.save(self.state_dict(), f"{folder}/weights.pt")


class TinyTagger(TinyClassifier):
    """A label per token: the number of targets of a batch depends on its texts."""

    task = "token-classification"

    def forward(self, input_ids, attention_mask=None, labels=None, num_items_in_batch=None) -> dict[str, Any]:
        logits = self.head(self.norm(self.embed(input_ids)))
        if labels is None:
            return {"logits": logits}
        loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="sum", ignore_index=-100)
        count = num_items_in_batch if num_items_in_batch is not None else self.count_targets({"labels": labels})
        return {"loss": loss / count, "logits": logits}


class TinyTokenizer:
    """Knows padding and special tokens, no texts. The padding token is also the one that ends a text."""

    pad_token_id = 0
    eos_token_id = 0
    mask_token_id = 10
    all_special_ids = (0, 1, 10)
    model_input_names = ("input_ids", "attention_mask")

    def __init__(self, padding_side: str = "right"):
        self.padding_side = padding_side

    def __len__(self) -> int:
        return 11

    def pad(self, encodings, padding=True, max_length=None, pad_to_multiple_of=None, return_tensors=None):
        width = max(len(ids) for ids in encodings["input_ids"])
        width = max_length if padding == "max_length" else width
        if pad_to_multiple_of:
            width = -(-width // pad_to_multiple_of) * pad_to_multiple_of
        encodings = dict(encodings)
        encodings.setdefault("attention_mask", [[1] * len(ids) for ids in encodings["input_ids"]])
        fills = {"input_ids": self.pad_token_id, "attention_mask": 0, "special_tokens_mask": 1}
        return {
            name: torch.tensor([self._fill(row, width, fills[name]) for row in rows])
            for name, rows in encodings.items()
        }

    def _fill(self, row, width, fill):
        rest = [fill] * (width - len(row))
        return row + rest if self.padding_side == "right" else rest + row

    def save_pretrained(self, folder) -> None:
        with open(f"{folder}/tokenizer.json", "w", encoding="utf-8") as file:
            file.write("{}")


def examples(count: int = 20, classes: int = 3, seed: int = 0) -> list[dict[str, Any]]:
    """Texts of 2 to 8 tokens whose label is told by their first token."""
    random = Random(seed)
    rows = [{"input_ids": [random.randrange(2, 10) for _ in range(random.randrange(2, 9))]} for _ in range(count)]
    return [{"text": f"text {i}", **row, "label": row["input_ids"][0] % classes} for i, row in enumerate(rows)]


def tagged(count: int = 20, seed: int = 0) -> list[dict[str, Any]]:
    """Texts with a label per token, some of them -100."""
    rows = examples(count, seed=seed)
    return [
        {"input_ids": row["input_ids"], "labels": [-100 if token == 5 else token % 3 for token in row["input_ids"]]}
        for row in rows
    ]
