"""What a model can be trained for by `madang train`: which columns, which head, which batches, which metrics.

A class for each task. It looks at the rows once, and says what it found in `said`.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

from madang.cli import training_metrics as scores
from madang.cli.training_data import Rows
from madang.cli.training_file import TrainingFile
from madang.errors import InputError, UnknownKeyError, nearest, unknown_name

TEXT = (
    "text",
    "title",
    "sentence",
    "headline",
    "document",
    "review",
    "content",
    "utterance",
    "body",
    "question",
    "src",
)
PAIRS = (
    ("premise", "hypothesis"), ("sentence1", "sentence2"), ("question1", "question2"), ("question", "sentence"),
    ("text_a", "text_b"), ("text1", "text2"),
)  # fmt: skip
LABEL = (
    "label",
    "labels",
    "topic",
    "category",
    "class",
    "gold_label",
    "intent",
    "sentiment",
    "emotion",
    "score",
    "rating",
)
WORDS, TAGS = ("tokens", "words"), ("ner_tags", "tags", "labels", "pos_tags", "ner")
TARGET = ("target", "summary", "answer", "translation", "tgt", "highlights")
LONGEST = 512
IGNORED = -100


class Task(ABC):
    """One task on the rows of one file."""

    name: ClassVar[str]
    head: ClassVar[str]  # the class of madang that loads the model
    lora: ClassVar[str | None] = None
    metrics: list[str]

    def __init__(self, file: TrainingFile, rows: Rows, config: Any) -> None:
        self.file, self.config = file, config
        self.said: list[str] = []
        self.text: list[str] = []
        self.label: str | None = None
        self.choose(rows)
        rows.change(self._complete)

    @abstractmethod
    def choose(self, rows: Rows) -> None:
        """Find the columns and, in the rows, the classes."""

    def model_options(self) -> dict[str, Any]:
        """What from_pretrained is told besides."""
        return {}

    @abstractmethod
    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        """The function for `map` that makes a model's inputs of a batch of columns, and its further arguments."""

    def collator(self, tokenizer: Any, model: Any) -> Any:
        """What makes batches."""
        from madang.training import DataCollatorWithPadding

        return DataCollatorWithPadding(tokenizer)

    def compute_metrics(self) -> Callable[[Any], dict[str, float]] | None:
        """As Trainer takes it."""
        return None

    def every_metric(self) -> Callable[[Any], dict[str, float]] | None:
        """All metrics there are, as a function that a program can import; None where it would need more than that."""
        return None

    def keep_of_logits(self) -> Callable[[Any, Any], Any] | None:
        """Trainer's preprocess_logits_for_metrics."""
        return None

    def answer(self, row: Mapping[str, Any]) -> str:
        """What is to be learned of an encoded row, to be read by people."""
        return str(row["labels"])

    def about(self) -> str:
        """What stands behind the task's name."""
        return ""

    def columns(self) -> list[str]:
        """All that are read."""
        return [*self.text, *([self.label] if self.label else [])]

    def _complete(self, part: Any) -> Any:
        """Rows with an empty cell among the columns that are read say nothing."""
        missing = [name for name in self.columns() if name not in part.column_names]
        if missing:
            raise UnknownKeyError(
                f"a part of the data has no column {missing[0]!r}, only {', '.join(part.column_names)}."
            )
        empty = {place for name in self.columns() for place, value in enumerate(part[name]) if _is_empty(value)}
        if not empty:
            return part
        if len(empty) == len(part):
            raise InputError(f"every row has an empty cell in one of the columns {', '.join(self.columns())}.")
        self.said.append(f"{len(empty):,} of {len(part):,} rows are left out: a cell is empty")
        return part.select([place for place in range(len(part)) if place not in empty])

    def choose_text(self, rows: Rows, pairs: Sequence[tuple[str, str]] = ()) -> None:
        """The column(s) of texts: those named, a usual pair or name, or the only column of texts there is."""
        data, names = self.file.section("data"), rows.train.column_names
        asked = data.get("text")
        if asked is not None:
            self.text = [
                self._known("data.text", name, names) for name in ([asked] if isinstance(asked, str) else asked)
            ]
            return
        found = [list(pair) for pair in pairs if set(pair) <= set(names) and self.label not in pair]
        texts = [name for name in names if name != self.label and _is_text(rows.train.features[name])]
        found += [[name] for name in TEXT if name in texts] or ([[texts[0]]] if len(texts) == 1 else [])
        if not found:
            raise self.file.wrong("data.text", f"must say which column has the texts: there are {', '.join(names)}.")
        self.text = found[0]
        self.said.append(f"text: {' and '.join(self.text)} (guessed)")

    def choose_label(self, rows: Rows, usual: Sequence[str]) -> None:
        """The column of answers: the one named, or the first of the usual names."""
        names, asked = rows.train.column_names, self.file.section("data").get("label")
        if asked is not None:
            self.label = self._known("data.label", asked, names)
            return
        self.label = guessed_label(rows.train, usual)
        if self.label is None:
            raise self.file.wrong("data.label", f"must say which column has the answers: there are {', '.join(names)}.")
        self.said.append(f"label: {self.label} (guessed)")

    def choose_metrics(self, known: Sequence[str] | Mapping[str, Any], usual: Sequence[str]) -> None:
        """Those the file names, or `usual`."""
        self.metrics = list(self.file.values.get("metrics") or usual)
        for name in self.metrics:
            if name not in known:
                raise unknown_name(f"metric in {self.file.where('metrics')}:", name, known)

    def _known(self, key: str, name: str, names: Sequence[str]) -> str:
        if name not in names:
            raise UnknownKeyError(
                f"{self.file.where(key)}: there is no column {name!r}.{nearest(name, names)} "
                f"There are: {', '.join(names)}."
            )
        return name

    def number_classes(self, found: Sequence[str]) -> None:
        """`self.names`, the classes in order: as the model has them, when it has the same."""
        own = [str(name) for name in (getattr(self.config, "id2label", None) or {}).values()]
        self.names = own if sorted(own) == sorted(found) else list(found)
        self.fits = len(own) == len(self.names)

    def class_options(self) -> dict[str, Any]:
        """For from_pretrained. A head for another number of classes in the file is no error: it is replaced."""
        names = dict(enumerate(self.names))
        return {
            "id2label": names,
            "label2id": {name: number for number, name in names.items()},
            **({} if self.fits else {"ignore_mismatched_sizes": True}),
        }


class TextClassification(Task):
    """One class, or one number, for a text or a pair of texts."""

    name, head, lora = "text-classification", "AutoModelForSequenceClassification", "SEQ_CLS"

    def choose(self, rows: Rows) -> None:
        self.choose_label(rows, LABEL)
        assert self.label is not None
        self.choose_text(rows, PAIRS)
        feature = rows.train.features[self.label]
        self.numeric = str(getattr(feature, "dtype", "")).startswith(("float", "double"))
        if self.numeric:
            self.numbers: dict[Any, int] | None = None
            self.choose_metrics(scores.NUMBERS, ("pearson", "spearman", "mean_absolute_error"))
            return
        if hasattr(feature, "names"):
            rows.change(self._labelled)
            found: dict[Any, str] = dict(enumerate(feature.names))
        else:
            values = {value for part in rows.parts().values() for value in part.unique(self.label)}
            if any(isinstance(value, (list, dict)) for value in values):
                raise InputError(
                    f"column {self.label!r} holds lists or mappings; one class or number per row is needed."
                )
            found = {value: str(value) for value in sorted(v for v in values if not _is_empty(v))}
        if len(found) < 2:
            raise InputError(f"column {self.label!r} holds {len(found)} class; telling apart needs two or more.")
        self.number_classes(list(found.values()))
        self.numbers = {value: self.names.index(name) for value, name in found.items()}
        if len(found) > 50 and len(found) > len(rows.train) / 3:
            raise InputError(
                f"column {self.label!r} holds {len(found):,} different values in {len(rows.train):,} rows: no "
                "classes. Is another column the label (data.label)? For texts to write, task: seq2seq."
            )
        self.choose_metrics(scores.CLASSES, ("accuracy", "macro_f1"))

    def _labelled(self, part: Any) -> Any:
        """Rows with a class; -1 says that nobody told it."""
        known = [place for place, value in enumerate(part[self.label]) if value is None or value >= 0]
        if len(known) < len(part):
            self.said.append(f"{len(part) - len(known):,} of {len(part):,} rows are left out: their class is -1")
        if not known:
            raise InputError(f"a part of the data has no classes: every {self.label!r} is -1.")
        return part if len(known) == len(part) else part.select(known)

    def about(self) -> str:
        return (
            "a number (regression)" if self.numbers is None else f"{len(self.names)} classes: {', '.join(self.names)}"
        )

    def model_options(self) -> dict[str, Any]:
        if self.numbers is not None:
            return {**self.class_options(), "problem_type": "single_label_classification"}
        fits = getattr(self.config, "num_labels", None) == 1
        return {"num_labels": 1, "problem_type": "regression", **({} if fits else {"ignore_mismatched_sizes": True})}

    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        told = {
            "tokenizer": tokenizer,
            "text": self.text,
            "label": self.label,
            "numbers": self.numbers,
            "length": length,
        }
        return _encode_classified, told

    def compute_metrics(self) -> Callable[[Any], dict[str, float]]:
        return scores.numbers_scored(self.metrics) if self.numbers is None else scores.classes_scored(self.metrics)

    def every_metric(self) -> Callable[[Any], dict[str, float]]:
        return scores.every_number_score if self.numbers is None else scores.every_class_score

    def answer(self, row: Mapping[str, Any]) -> str:
        return f"{row['labels']}" if self.numbers is None else f"{row['labels']} ({self.names[row['labels']]})"


class TokenClassification(Task):
    """A tag for every word of a list; the first token of a word has its tag, the others none."""

    name, head, lora = "token-classification", "AutoModelForTokenClassification", "TOKEN_CLS"

    def choose(self, rows: Rows) -> None:
        names = rows.train.column_names
        if self.file.section("data").get("text") is None and (words := [name for name in WORDS if name in names]):
            self.text = words[:1]
            self.said.append(f"text: {words[0]} (guessed)")
        else:
            self.choose_text(rows)
        self.choose_label(rows, TAGS)
        for name in self.columns():
            if not _is_list(rows.train.features[name]):
                raise InputError(f"column {name!r} must hold lists, of words or of a tag for each word.")
        inner: Any = getattr(rows.train.features[self.label], "feature", None)
        if hasattr(inner, "names"):
            found: dict[Any, str] = dict(enumerate(inner.names))
        else:
            tags = {tag for part in rows.parts().values() for row in part[self.label] for tag in row or ()}
            found = {tag: str(tag) for tag in sorted(tags, key=lambda tag: (tag != "O", str(tag)[2:], str(tag)))}
        self.number_classes(list(found.values()))
        self.numbers = {tag: self.names.index(name) for tag, name in found.items()}
        tagged = any(name.startswith(("B-", "I-")) for name in self.names)
        usual = ("entity_f1", "entity_precision", "entity_recall", "token_accuracy") if tagged else TOKEN_METRICS
        self.choose_metrics((*scores.ENTITIES, *TOKEN_METRICS) if tagged else TOKEN_METRICS, usual)

    def about(self) -> str:
        return f"{len(self.names)} tags: {', '.join(self.names)}"

    def model_options(self) -> dict[str, Any]:
        return self.class_options()

    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        told = {
            "tokenizer": tokenizer,
            "text": self.text[0],
            "label": self.label,
            "numbers": self.numbers,
            "length": length,
        }
        return _encode_tagged, told

    def collator(self, tokenizer: Any, model: Any) -> Any:
        from madang.training import DataCollatorForTokenClassification

        return DataCollatorForTokenClassification(tokenizer)

    def compute_metrics(self) -> Callable[[Any], dict[str, float]]:
        return scores.tags_scored(self.metrics, dict(enumerate(self.names)))

    def answer(self, row: Mapping[str, Any]) -> str:
        return " ".join("·" if tag == IGNORED else self.names[tag] for tag in row["labels"])


TOKEN_METRICS = ("token_accuracy", "token_macro_f1")


class Language(Task):
    """Texts as their own labels. A text longer than the model takes becomes several rows: nothing of it is lost."""

    def choose(self, rows: Rows) -> None:
        self.choose_text(rows)
        self.choose_metrics(scores.TOKENS, ("perplexity", "token_accuracy"))

    def compute_metrics(self) -> Callable[[Any], dict[str, float]]:
        return scores.tokens_scored(self.metrics)

    def answer(self, row: Mapping[str, Any]) -> str:
        return "the text itself"


class CausalLanguage(Language):
    """Continuing texts."""

    name, head, lora = "causal-lm", "AutoModelForCausalLM", "CAUSAL_LM"

    def model_options(self) -> dict[str, Any]:
        # an encoder would see the word it is to guess
        return {"is_decoder": True} if "is_decoder" in type(self.config).defaults else {}

    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        return _encode_continued, {"tokenizer": tokenizer, "text": self.text, "length": length}

    def collator(self, tokenizer: Any, model: Any) -> Any:
        from madang.training import DataCollatorForLanguageModeling

        return DataCollatorForLanguageModeling(tokenizer, mlm=False)

    def keep_of_logits(self) -> Callable[[Any, Any], Any]:
        return scores.next_token_losses


class MaskedLanguage(Language):
    """Filling gaps."""

    name, head = "masked-lm", "AutoModelForMaskedLM"

    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        return _encode_whole, {"tokenizer": tokenizer, "text": self.text, "length": length}

    def collator(self, tokenizer: Any, model: Any) -> Any:
        from madang.training import DataCollatorForLanguageModeling

        return DataCollatorForLanguageModeling(tokenizer)

    def keep_of_logits(self) -> Callable[[Any, Any], Any]:
        return scores.token_losses

    def answer(self, row: Mapping[str, Any]) -> str:
        return "15% of the tokens, hidden anew in every epoch"


class TextToText(Task):
    """Answering a text with a text, for encoder-decoders."""

    name, head, lora = "seq2seq", "AutoModelForSeq2SeqLM", "SEQ_2_SEQ_LM"

    def choose(self, rows: Rows) -> None:
        self.choose_label(rows, TARGET)
        self.choose_text(rows)
        self.choose_metrics(scores.TOKENS, ("perplexity", "token_accuracy"))

    def encode(self, tokenizer: Any, length: int) -> tuple[Callable[..., Any], dict[str, Any]]:
        return _encode_answered, {"tokenizer": tokenizer, "text": self.text, "label": self.label, "length": length}

    def collator(self, tokenizer: Any, model: Any) -> Any:
        from madang.training import DataCollatorForSeq2Seq

        return DataCollatorForSeq2Seq(tokenizer, model=model)

    def compute_metrics(self) -> Callable[[Any], dict[str, float]]:
        return scores.tokens_scored(self.metrics)

    def keep_of_logits(self) -> Callable[[Any, Any], Any]:
        return scores.token_losses


KINDS: dict[str, type[Task]] = {
    task.name: task for task in (TextClassification, TokenClassification, CausalLanguage, MaskedLanguage, TextToText)
}


def guess_task(file: TrainingFile, rows: Rows, config: Any) -> str:
    """The task, from the columns there are, or else from what the model was made for."""
    names, label = rows.train.column_names, file.section("data").get("label")
    label = label if label in names else guessed_label(rows.train, LABEL)
    words = [name for name in WORDS if name in names and _is_list(rows.train.features[name])]
    if words or (label is not None and _is_list(rows.train.features[label])):
        return TokenClassification.name
    classes = " ".join(getattr(config, "architectures", None) or ())
    if getattr(config, "is_encoder_decoder", False) and guessed_label(rows.train, TARGET) is not None:
        return TextToText.name
    if label is not None:
        return TextClassification.name
    for ending, task in (
        ("ForCausalLM", CausalLanguage),
        ("LMHeadModel", CausalLanguage),
        ("ForMaskedLM", MaskedLanguage),
    ):
        if ending in classes:
            return task.name
    raise file.wrong(
        "task", f"must be said: the columns ({', '.join(names)}) do not tell. It is one of {', '.join(KINDS)}."
    )


def guessed_label(part: Any, usual: Sequence[str]) -> str | None:
    """The first column with one of the usual names, else the only one with classes; None when there is none."""
    classes = [name for name, feature in part.features.items() if hasattr(feature, "names")]
    named = [name for name in usual if name in part.column_names]
    return named[0] if named else classes[0] if len(classes) == 1 and usual is LABEL else None


# columns into a model's inputs; plain functions, whose results are found again in the cache ---------------------------


def _encode_classified(
    rows: Any, *, tokenizer: Any, text: list[str], label: str, numbers: dict[Any, int] | None, length: int
) -> Any:
    encoded = dict(tokenizer(*_texts(rows, text), truncation=True, max_length=length))
    encoded["labels"] = [float(value) if numbers is None else numbers[value] for value in rows[label]]
    return encoded


def _encode_tagged(rows: Any, *, tokenizer: Any, text: str, label: str, numbers: dict[Any, int], length: int) -> Any:
    for words, tags in zip(rows[text], rows[label], strict=True):
        if len(words) != len(tags):
            raise InputError(f"a row has {len(words)} words and {len(tags)} tags: {' '.join(words)[:60]}")
    found = tokenizer(list(rows[text]), is_split_into_words=True, truncation=True, max_length=length)
    labels = []
    for place, tags in enumerate(rows[label]):
        before, own = None, []
        for word in found.word_ids(place):
            own.append(IGNORED if word is None or word == before else numbers[tags[word]])
            before = word
        labels.append(own)
    return {**found, "labels": labels}


def _encode_whole(rows: Any, *, tokenizer: Any, text: list[str], length: int) -> Any:
    """Long texts in pieces, each with its special tokens."""
    found = dict(tokenizer(_joined(rows, text), truncation=True, max_length=length, return_overflowing_tokens=True))
    found.pop("overflow_to_sample_mapping", None)
    return found


def _encode_continued(rows: Any, *, tokenizer: Any, text: list[str], length: int) -> Any:
    """Every text ends with the token that says so, and long ones are cut into pieces."""
    pieces = []
    for ids in tokenizer(_joined(rows, text))["input_ids"]:
        ids, end = list(ids), tokenizer.eos_token_id
        if end is not None and ids[-1:] != [end]:
            ids.append(end)
        # a token alone has nothing before it to be told from
        cut = [ids[start : start + length] for start in range(0, len(ids), length)]
        pieces += [piece for piece in cut if len(piece) > 1]
    return {"input_ids": pieces, "attention_mask": [[1] * len(piece) for piece in pieces]}


def _encode_answered(rows: Any, *, tokenizer: Any, text: list[str], label: str, length: int) -> Any:
    encoded = dict(tokenizer(_joined(rows, text), truncation=True, max_length=length))
    answers = tokenizer(text_target=[str(value) for value in rows[label]], truncation=True, max_length=length)
    return {**encoded, "labels": answers["input_ids"]}


def _texts(rows: Any, text: list[str]) -> list[list[str]]:
    return [[str(value) for value in rows[name]] for name in text]


def _joined(rows: Any, text: list[str]) -> list[str]:
    return ["\n".join(parts) for parts in zip(*_texts(rows, text), strict=True)]


def _is_empty(value: Any) -> bool:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return True
    return isinstance(value, (str, list)) and not (value.strip() if isinstance(value, str) else value)


def _is_text(feature: Any) -> bool:
    return getattr(feature, "dtype", None) in ("string", "large_string")


def _is_list(feature: Any) -> bool:
    return hasattr(feature, "feature")
