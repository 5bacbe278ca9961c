"""text-classification: which class a text belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from madang.errors import InputError, unknown_name
from madang.pipelines.inputs import Chunk, not_a_text
from madang.pipelines.task import Pipeline

FUNCTIONS = ("default", "softmax", "sigmoid", "none")


@dataclass(frozen=True)
class Options:
    """What a call may choose; see TextClassificationPipeline."""

    top_k: int | None = 1
    best_only: bool = True  # nobody chose top_k: a plain answer, not a list of one
    in_class_order: bool = False
    function_to_apply: str = "default"
    truncation: Any = None
    max_length: int | None = None
    padding: Any = None
    add_special_tokens: bool = True

    def __post_init__(self) -> None:
        if self.top_k is not None and (
            isinstance(self.top_k, bool) or not isinstance(self.top_k, int) or self.top_k < 1
        ):
            raise InputError(f"top_k={self.top_k!r}: expected a positive number of classes, or None for all.")
        if self.function_to_apply not in FUNCTIONS:
            raise unknown_name("function_to_apply", self.function_to_apply, FUNCTIONS)


class TextClassificationPipeline(Pipeline):
    """Sorts texts into classes: `{"label": …, "score": …}` for each.

    An input is a text, or `{"text": …, "text_pair": …}` for models that compare two. One text is answered by a list of
    one dict, a list of texts by a list of dicts.

    `top_k=3` gives the three best classes of each text (a list), `top_k=None` all of them, best first.
    `function_to_apply` turns logits into scores: "softmax", "sigmoid" or "none"; by default none for regression,
    sigmoid for several labels at once or a single one, softmax otherwise. A text of more tokens than the model has
    positions for is an error unless `truncation=True` (with `max_length`, if less than the model's limit) cuts it.
    `return_all_scores` is the older spelling of `top_k=None`; it keeps the order of the classes. `padding` is
    accepted and makes no difference: there is no computing on padding.
    """

    task = "text-classification"
    auto = "AutoModelForSequenceClassification"
    heads = ("sequence-classification",)
    columns = ("text", "text_pair")
    options_class = Options
    older_options: ClassVar[tuple[str, ...]] = ("return_all_scores", "tokenizer_kwargs")

    def __call__(self, inputs: Any, **options: Any) -> Any:
        """Classify a text, many texts, or a source of texts."""
        answer = super().__call__(inputs, **options)
        # one text is answered by a list, as it always was, except where a call chose top_k and so gets one anyway
        return [answer] if isinstance(inputs, str) and "top_k" not in options else answer

    def translate(self, options: dict[str, Any]) -> dict[str, Any]:
        """return_all_scores in terms of top_k, the function's name in small letters, tokenizer options unpacked."""
        options = {**(options.pop("tokenizer_kwargs", None) or {}), **options}
        everything = options.pop("return_all_scores", None)
        if "top_k" in options:
            options["best_only"] = False
        elif everything:
            options.update(top_k=None, best_only=False, in_class_order=True)
        function = options.pop("function_to_apply", None)
        if function is not None:
            options["function_to_apply"] = str(getattr(function, "value", function)).lower()
        return options

    def answer(self, chunk: Chunk, options: Options, size: int | None) -> list[Any]:
        """One dict a text, or a list of dicts where top_k was chosen."""
        columns = self._encode(chunk, options)
        answers: list[Any] = [None] * len(chunk.items)
        for batch in self.batches(columns, size):
            scores = self._scores(self.checked(self.model(**batch.inputs).logits), options.function_to_apply)
            for row, answer in zip(batch.rows, self._read(scores, options), strict=True):
                answers[row] = answer
        return answers

    def _encode(self, chunk: Chunk, options: Options) -> dict[str, list[list[int]]]:
        texts, partners = _texts_and_partners(chunk)
        settings = {
            "add_special_tokens": options.add_special_tokens,
            **self.cutting(options.truncation, options.max_length),
        }
        columns: dict[str, list[list[int]]] = {}
        for paired in (False, True):  # a pair is encoded otherwise than a text alone
            rows = [index for index, partner in enumerate(partners) if (partner is not None) == paired]
            if rows:
                second = {"text_pair": [partners[row] for row in rows]} if paired else {}
                made = self.encode([texts[row] for row in rows], chunk.part(rows), **second, **settings)
                if len(rows) == len(texts):
                    return made
                for name, values in made.items():
                    column = columns.setdefault(name, [[] for _ in texts])
                    for row, value in zip(rows, values, strict=True):
                        column[row] = value
        return columns

    def _scores(self, logits: Tensor, function: str) -> Tensor:
        if function == "default":
            problem = self.model.config.problem_type
            if problem == "regression":
                function = "none"
            elif problem == "multi_label_classification" or logits.shape[-1] == 1:
                function = "sigmoid"
            else:
                function = "softmax"
        if function == "softmax":
            return logits.softmax(-1)
        return logits.sigmoid() if function == "sigmoid" else logits

    def _read(self, scores: Tensor, options: Options) -> list[Any]:
        """(B, classes) -> the answers."""
        labels = self.labels
        if options.best_only:
            best, classes = scores.max(-1)
            return [
                {"label": labels[number], "score": score}
                for number, score in zip(classes.tolist(), best.tolist(), strict=True)
            ]
        if options.in_class_order:
            return [[{"label": labels[i], "score": score} for i, score in enumerate(row)] for row in scores.tolist()]
        count = scores.shape[-1] if options.top_k is None else min(options.top_k, scores.shape[-1])
        ordered, classes = scores.sort(stable=True, dim=-1, descending=True)
        return [
            [{"label": labels[number], "score": score} for number, score in zip(*row, strict=True)]
            for row in zip(classes[:, :count].tolist(), ordered[:, :count].tolist(), strict=True)
        ]


def _texts_and_partners(chunk: Chunk) -> tuple[list[str], list[str | None]]:
    """The texts and, for those that are pairs, their partners."""
    if set(map(type, chunk.items)) <= {str}:
        return chunk.items, [None] * len(chunk.items)
    texts: list[str] = []
    partners: list[str | None] = []
    for index, item in enumerate(chunk.items):
        text, partner = item, None
        if isinstance(item, Mapping):
            for name in item:
                if name not in TextClassificationPipeline.columns:
                    raise InputError(
                        f"{chunk.name(index)} has the key {name!r}; expected 'text' and perhaps 'text_pair'."
                    )
            text, partner = item.get("text"), item.get("text_pair")
        elif (
            isinstance(item, (list, tuple))
            and len(item) == 1
            and isinstance(item[0], (list, tuple))
            and len(item[0]) == 2
        ):
            text, partner = item[0]  # [[text, partner]]: how pairs were once written
        for part in (text, *([] if partner is None else [partner])):
            if not isinstance(part, str):
                expected = "a text (str), or {'text': …, 'text_pair': …} for a pair"
                raise not_a_text(chunk, index, part, expected)
        texts.append(text)
        partners.append(partner)
    return texts, partners
