"""Training without the Trainer, as textbooks write it: a loop of one's own over torch's DataLoader."""

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from madang import AdamW
from madang.datasets import ClassLabel, Dataset, Features, Value
from madang.testing import tiny_model

TITLES = ["유튜브 내달 공간 운영", "코스피 상승 마감", "축구 대표팀 승리", "국회 본회의 개최"]
NAMES = ["IT과학", "경제", "스포츠", "정치"]


def tokenize(rows):
    """Stands for a tokenizer with padding="max_length": the same width for all, and a mask."""
    ids = [[4 + ord(letter) % 57 for letter in title][:16] for title in rows["title"]]
    return {
        "input_ids": [row + [0] * (16 - len(row)) for row in ids],
        "attention_mask": [[1] * len(row) + [0] * (16 - len(row)) for row in ids],
    }


def prepared(count):
    features = Features({"title": Value("string"), "label": ClassLabel(names=NAMES)})
    rows = Dataset.from_dict(
        {"title": [TITLES[n % 4] for n in range(count)], "label": [n % 4 for n in range(count)]}, features
    )
    label = rows.features["label"]

    def make_str_label(batch):
        batch["label_str"] = label.int2str(batch["label"])
        return batch

    rows = rows.map(make_str_label, batched=True).map(tokenize, batched=True).with_format("torch")
    return rows.rename_column("label", "labels").remove_columns(column_names=["title"])


def train_epoch(model, data_loader, optimizer, device):
    model.train()
    total_loss = 0
    for batch in data_loader:
        optimizer.zero_grad()
        input_ids = batch["input_ids"].to(device)
        attention_mask = batch["attention_mask"].to(device)
        labels = batch["labels"].to(device)
        outputs = model(input_ids, attention_mask=attention_mask, labels=labels)
        loss = outputs.loss
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    return total_loss / len(data_loader)


def evaluate(model, data_loader, device):
    model.eval()
    total_loss, predictions, true_labels = 0, [], []
    with torch.no_grad():
        for batch in data_loader:
            labels = batch["labels"].to(device)
            outputs = model(
                batch["input_ids"].to(device), attention_mask=batch["attention_mask"].to(device), labels=labels
            )
            total_loss += outputs.loss.item()
            predictions.extend(torch.argmax(outputs.logits, dim=-1).cpu().numpy())
            true_labels.extend(labels.cpu().numpy())
    return total_loss / len(data_loader), np.mean(np.array(predictions) == np.array(true_labels))


def test_rows_come_as_tensors_and_texts_as_lists():
    batch = next(iter(DataLoader(prepared(6), batch_size=4)))
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (4, 16)
    assert batch["labels"].tolist() == [0, 1, 2, 3]
    assert batch["label_str"] == NAMES


def test_a_model_learns_in_a_loop_of_ones_own():
    torch.manual_seed(0)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = tiny_model("roberta", "sequence-classification", max_position_embeddings=30)
    model.to(device)
    train_loader = DataLoader(prepared(32), batch_size=8, shuffle=True)
    test_loader = DataLoader(prepared(8), batch_size=4, shuffle=False)
    optimizer = AdamW(model.parameters(), lr=5e-3)
    before, _ = evaluate(model, test_loader, device)
    losses = [train_epoch(model, train_loader, optimizer, device) for _ in range(6)]
    after, accuracy = evaluate(model, test_loader, device)
    assert losses[-1] < losses[0]
    assert after < before
    assert accuracy == 1


def test_the_loss_of_the_loop_is_the_trainers(make_trainer):
    rows = prepared(16)
    model = tiny_model("roberta", "sequence-classification", max_position_embeddings=30)
    by_hand, _ = evaluate(model, DataLoader(rows, batch_size=8), torch.device("cpu"))
    assert make_trainer(model=model, tokenizer=None).evaluate(rows)["eval_loss"] == pytest.approx(by_hand, abs=1e-6)
